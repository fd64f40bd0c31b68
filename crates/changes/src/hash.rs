//! The hash of keys: fast, not cryptographic, and the same on every machine and in every version, because key
//! groups of stored state are derived from it.
//!
//! Equal SQL keys hash equally: NULL is one value, `-0.0` equals `0.0`, all NaN are one. The hash of a key of
//! several columns folds the columns' hashes in order.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericByteArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, ByteArrayType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

const SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;
const NULL: u64 = 0x2545_f491_4f6c_dd1d;

/// Hash of a fixed-width key of up to 64 bits. A bijection, so distinct keys never collide.
#[inline]
pub fn hash_u64(value: u64) -> u64 {
    // splitmix64's finaliser: two multiplications, full avalanche.
    let mut x = value ^ SEED;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hash of a byte string.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Folds the hash of the next column into that of the columns before it. Order matters.
#[inline]
pub fn combine(earlier: u64, column: u64) -> u64 {
    hash_u64(earlier.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ column)
}

/// Hashes the rows of `columns` (all of `rows` rows) into one `u64` per row. No columns: every row hashes to 0.
///
/// # Errors
/// A column of a type that cannot be ordered (`MAP`, union).
pub fn hash_columns(columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>, ArrowError> {
    let mut hashes = vec![0u64; rows];
    for (at, column) in columns.iter().enumerate() {
        hash_into(column, at == 0, &mut hashes)?;
    }
    Ok(hashes)
}

fn hash_into(column: &ArrayRef, first: bool, out: &mut [u64]) -> Result<(), ArrowError> {
    use arrow::datatypes::*;
    macro_rules! prim {
        ($t:ty, $f:expr) => {
            primitive(column.as_primitive::<$t>(), first, out, $f)
        };
    }
    match column.data_type() {
        DataType::Null => out.iter_mut().for_each(|h| *h = if first { NULL } else { combine(*h, NULL) }),
        DataType::Boolean => boolean(column.as_boolean(), first, out),
        DataType::Int8 => prim!(Int8Type, |v| hash_u64(v as i64 as u64)),
        DataType::Int16 => prim!(Int16Type, |v| hash_u64(v as i64 as u64)),
        DataType::Int32 => prim!(Int32Type, |v| hash_u64(v as i64 as u64)),
        DataType::Int64 => prim!(Int64Type, |v| hash_u64(v as u64)),
        DataType::UInt8 => prim!(UInt8Type, |v| hash_u64(u64::from(v))),
        DataType::UInt16 => prim!(UInt16Type, |v| hash_u64(u64::from(v))),
        DataType::UInt32 => prim!(UInt32Type, |v| hash_u64(u64::from(v))),
        DataType::UInt64 => prim!(UInt64Type, hash_u64),
        DataType::Float32 => prim!(Float32Type, |v| float(f64::from(v))),
        DataType::Float64 => prim!(Float64Type, float),
        DataType::Decimal128(..) => prim!(Decimal128Type, wide),
        DataType::Date32 => prim!(Date32Type, |v| hash_u64(v as i64 as u64)),
        DataType::Time32(TimeUnit::Second) => prim!(Time32SecondType, |v| hash_u64(v as i64 as u64)),
        DataType::Time32(_) => prim!(Time32MillisecondType, |v| hash_u64(v as i64 as u64)),
        DataType::Time64(TimeUnit::Microsecond) => prim!(Time64MicrosecondType, |v| hash_u64(v as u64)),
        DataType::Time64(_) => prim!(Time64NanosecondType, |v| hash_u64(v as u64)),
        DataType::Timestamp(TimeUnit::Second, _) => prim!(TimestampSecondType, |v| hash_u64(v as u64)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => prim!(TimestampMillisecondType, |v| hash_u64(v as u64)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => prim!(TimestampMicrosecondType, |v| hash_u64(v as u64)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => prim!(TimestampNanosecondType, |v| hash_u64(v as u64)),
        DataType::Interval(IntervalUnit::YearMonth) => prim!(IntervalYearMonthType, |v| hash_u64(v as i64 as u64)),
        DataType::Utf8 => byte_strings(column.as_bytes::<Utf8Type>(), first, out),
        DataType::LargeUtf8 => byte_strings(column.as_bytes::<LargeUtf8Type>(), first, out),
        DataType::Binary => byte_strings(column.as_bytes::<BinaryType>(), first, out),
        DataType::LargeBinary => byte_strings(column.as_bytes::<LargeBinaryType>(), first, out),
        DataType::Utf8View => views(column.as_string_view().iter().map(|v| v.map(str::as_bytes)), first, out),
        DataType::BinaryView => views(column.as_binary_view().iter(), first, out),
        _ => return nested(column, first, out),
    }
    Ok(())
}

#[inline]
fn float(v: f64) -> u64 {
    let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
    hash_u64(v.to_bits())
}

#[inline]
fn wide(v: i128) -> u64 {
    match i64::try_from(v) {
        Ok(v) => hash_u64(v as u64),
        Err(_) => combine(hash_u64((v >> 64) as u64), hash_u64(v as u64)),
    }
}

#[inline]
fn put(slot: &mut u64, first: bool, hash: u64) {
    *slot = if first { hash } else { combine(*slot, hash) };
}

fn primitive<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    first: bool,
    out: &mut [u64],
    hash: impl Fn(T::Native) -> u64,
) {
    match column.nulls().filter(|n| n.null_count() > 0) {
        None if first => out.iter_mut().zip(column.values()).for_each(|(h, v)| *h = hash(*v)),
        None => out.iter_mut().zip(column.values()).for_each(|(h, v)| *h = combine(*h, hash(*v))),
        Some(nulls) => {
            for (i, (h, v)) in out.iter_mut().zip(column.values()).enumerate() {
                put(h, first, if nulls.is_valid(i) { hash(*v) } else { NULL });
            }
        }
    }
}

fn boolean(column: &BooleanArray, first: bool, out: &mut [u64]) {
    for (h, v) in out.iter_mut().zip(column.iter()) {
        put(h, first, v.map_or(NULL, |v| hash_u64(u64::from(v))));
    }
}

fn byte_strings<T: ByteArrayType>(column: &GenericByteArray<T>, first: bool, out: &mut [u64]) {
    let bytes = |i: usize| -> &[u8] { column.value(i).as_ref() };
    for (i, h) in out.iter_mut().enumerate() {
        put(h, first, if column.is_valid(i) { hash_bytes(bytes(i)) } else { NULL });
    }
}

fn views<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, first: bool, out: &mut [u64]) {
    for (h, v) in out.iter_mut().zip(values) {
        put(h, first, v.map_or(NULL, hash_bytes));
    }
}

/// ROW, ARRAY and the rarer intervals: through the row format, which is canonical.
fn nested(column: &ArrayRef, first: bool, out: &mut [u64]) -> Result<(), ArrowError> {
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(column))?;
    for (h, row) in out.iter_mut().zip(rows.iter()) {
        put(h, first, hash_bytes(row.as_ref()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn the_hash_never_changes() {
        // Stored state depends on these values: a change here is a new state format.
        let c: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(1), None, Some(-1)])),
            Arc::new(StringArray::from(vec![Some("a"), Some(""), None])),
        ];
        assert_eq!(hash_bytes(b""), 0x2d06_8005_38d3_94c2);
        let one = hash_columns(&c[..1], 3).expect("hashable");
        let two = hash_columns(&c, 3).expect("hashable");
        assert_eq!(one[1], NULL);
        assert_eq!(one[0], hash_u64(1));
        assert_eq!(two[0], combine(hash_u64(1), hash_bytes(b"a")));
        assert_eq!(two[2], combine(hash_u64(-1i64 as u64), NULL));
    }

    #[test]
    fn equal_keys_hash_equally() {
        let c: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]))];
        let h = hash_columns(&c, 4).expect("hashable");
        assert_eq!(h[0], h[1]);
        assert_eq!(h[2], h[3]);
        assert_ne!(h[0], h[2]);
    }
}
