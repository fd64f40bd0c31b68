use super::{decode, decoding, encode, format_with, options, request, schema};
use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use arrow::datatypes::DataType;
use std::sync::Arc;

const RAW: &[(&str, &str)] = &[("format", "raw")];

#[test]
fn a_line_is_a_value() {
    let text = schema(&[("line", DataType::Utf8)]);
    assert_eq!(decode(RAW, &text, "a,\"b\n\n c \r\nlast").unwrap().lines(), ["a,\"b", "", " c \r", "last"]);
    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\xff\x00", b""]));
    let rows = RecordBatch::try_from_iter([("line", bytes)]).unwrap();
    assert_eq!(encode(RAW, &rows).unwrap(), b"\xff\x00\n\n");
}

#[test]
fn numbers_are_their_bytes() {
    let ints = schema(&[("n", DataType::Int32)]);
    let little = [("format", "raw"), ("raw.endianness", "little-endian")];
    assert_eq!(decode(RAW, &ints, "\0\0\0\x01\0\0\n\x02").unwrap().lines(), ["1", "2562"]);
    assert_eq!(decode(&little, &ints, "\x01\0\0\0").unwrap().lines(), ["1"]);
    let error = decode(RAW, &ints, "\0\0\0\x01\0\0").err().unwrap().to_string();
    assert!(error.starts_with("in.txt, byte 4: 2 bytes are left where a value has 4"), "{error}");
    let request = request(&ints);
    let format = format_with(RAW, &request);
    assert_eq!((format.record_end(&[0; 7]), format.record_end(&[0; 3])), (Some(4), None));
    assert_eq!(format.record_starts(&mut [0; 12].as_slice(), &[1, 4, 9]).unwrap(), [4, 4, 12]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refuse = |pairs: &[(&str, &str)], columns: &[(&str, DataType)]| {
        decoding(&mut options(pairs), &request(&schema(columns))).err().unwrap().to_string()
    };
    let two = [("a", DataType::Utf8), ("b", DataType::Utf8)];
    assert_eq!(refuse(RAW, &two), "table t: format 'raw' holds one physical column, the table has 2");
    let latin = [("format", "raw"), ("raw.charset", "ISO-8859-1")];
    assert!(refuse(&latin, &two[..1]).contains("only UTF-8 is"));
    let date = refuse(RAW, &[("d", DataType::Date32)]);
    assert_eq!(date, "table t: format 'raw' cannot hold column d of type Date32");
}
