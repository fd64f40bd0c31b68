//! Digests, encodings, URLs.

use super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use datafusion_functions::crypto;
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Bytes, Int, Text};

const fn text(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::Type(Type::Text);
    Definition {
        name,
        aliases: &[],
        args,
        variadic: false,
        returns,
        body,
        page: Page { signature, result: "STRING", text, example },
    }
}

pub(super) const FUNCTIONS: &[Definition] = &[
    text(
        "md5",
        &[&[Bytes]],
        |call| digest(call, &crypto::md5()),
        "MD5(text STRING | BYTES)",
        "The MD5 digest in hexadecimal. NULL if the argument is NULL.",
        ("MD5('')", "d41d8cd98f00b204e9800998ecf8427e"),
    ),
    text(
        "sha1",
        &[&[Bytes]],
        sha1,
        "SHA1(text STRING | BYTES)",
        "The SHA-1 digest in hexadecimal. NULL if the argument is NULL.",
        ("SHA1('')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ),
    text(
        "sha224",
        &[&[Bytes]],
        |call| digest(call, &crypto::sha224()),
        "SHA224(text STRING | BYTES)",
        "The SHA-224 digest in hexadecimal. NULL if the argument is NULL.",
        ("SHA224('')", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"),
    ),
    text(
        "sha256",
        &[&[Bytes]],
        |call| digest(call, &crypto::sha256()),
        "SHA256(text STRING | BYTES)",
        "The SHA-256 digest in hexadecimal. NULL if the argument is NULL.",
        ("SHA256('')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ),
    text(
        "sha384",
        &[&[Bytes]],
        |call| digest(call, &crypto::sha384()),
        "SHA384(text STRING | BYTES)",
        "The SHA-384 digest in hexadecimal. NULL if the argument is NULL.",
        ("LEFT(SHA384(''), 8)", "38b060a7"),
    ),
    text(
        "sha512",
        &[&[Bytes]],
        |call| digest(call, &crypto::sha512()),
        "SHA512(text STRING | BYTES)",
        "The SHA-512 digest in hexadecimal. NULL if the argument is NULL.",
        ("LEFT(SHA512(''), 8)", "cf83e135"),
    ),
    text(
        "sha2",
        &[&[Bytes, Int]],
        sha2,
        "SHA2(text STRING | BYTES, bits INT)",
        "The SHA-2 digest of 224, 256, 384 or 512 bits in hexadecimal. NULL if the text is NULL.",
        ("LEFT(SHA2('', 256), 8)", "e3b0c442"),
    ),
    text(
        "to_base64",
        &[&[Bytes]],
        to_base64,
        "TO_BASE64(text STRING | BYTES)",
        "The bytes in Base64. NULL if the argument is NULL.",
        ("TO_BASE64('hello')", "aGVsbG8="),
    ),
    text(
        "from_base64",
        &[&[Text]],
        from_base64,
        "FROM_BASE64(text STRING)",
        "The text that Base64 stands for. NULL if the argument is NULL or no Base64 of a text.",
        ("FROM_BASE64('aGVsbG8=')", "hello"),
    ),
    Definition {
        name: "unhex",
        aliases: &[],
        args: &[&[Text]],
        variadic: false,
        returns: Returns::Type(Type::Bytes),
        body: unhex,
        page: Page {
            signature: "UNHEX(text STRING)",
            result: "BYTES",
            text: "The bytes that hexadecimal digits stand for. NULL if the argument is NULL or has other characters.",
            example: ("UNHEX('466C')", "x'466c'"),
        },
    },
    text(
        "parse_url",
        &[&[Text, Text], &[Text, Text, Text]],
        parse_url,
        "PARSE_URL(url STRING, part STRING [, key STRING])",
        "HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY or USERINFO of a URL, or the value of a key of the query. NULL if an argument is NULL or the part is missing.",
        ("PARSE_URL('http://example.org/a?k=v', 'QUERY', 'k')", "v"),
    ),
    text(
        "url_encode",
        &[&[Text]],
        url_encode,
        "URL_ENCODE(text STRING)",
        "The text as it stands in a URL's query (`application/x-www-form-urlencoded`). NULL if the argument is NULL.",
        ("URL_ENCODE('a b&c')", "a+b%26c"),
    ),
    text(
        "url_decode",
        &[&[Text]],
        url_decode,
        "URL_DECODE(text STRING)",
        "What URL_ENCODE encoded. NULL if the argument is NULL or no such text.",
        ("URL_DECODE('a+b%26c')", "a b&c"),
    ),
];

/// A digest of DataFusion's, in hexadecimal.
fn digest(call: &Call, function: &ScalarUDF) -> Result<ArrayRef> {
    let digests = digest_bytes(call, function)?;
    if digests.data_type() != &DataType::Binary {
        return Ok(cast(&digests, &DataType::Utf8)?);
    }
    let digests = digests.as_binary::<i32>();
    texts(call.rows, |row, out| Ok(digests.is_valid(row) && write_hex(digests.value(row), out)))
}

/// The digest as the function has it.
pub(super) fn digest_bytes(call: &Call, function: &ScalarUDF) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let types = [column.data_type().clone()];
    let return_type = function.return_type(&types)?;
    let args = ScalarFunctionArgs {
        arg_fields: vec![Arc::new(Field::new("text", types[0].clone(), true))],
        args: vec![ColumnarValue::Array(column)],
        number_rows: call.rows,
        return_field: Arc::new(Field::new(function.name(), return_type, true)),
        config_options: Arc::new(ConfigOptions::default()),
    };
    function.invoke_with_args(args)?.into_array(call.rows)
}

fn write_hex(bytes: &[u8], out: &mut StringBuilder) -> bool {
    bytes.iter().all(|byte| write!(out, "{byte:02x}").is_ok())
}

fn sha2(call: &Call) -> Result<ArrayRef> {
    let bits = call.int(1);
    let Some(first) = (call.rows > 0).then(|| bits.at(0)).flatten() else {
        return texts(call.rows, |_, _| Ok(false));
    };
    if (0..call.rows).any(|row| bits.at(row) != Some(first)) {
        return exec_err!("SHA2: the number of bits is a constant");
    }
    let function = match first {
        224 => crypto::sha224(),
        0 | 256 => crypto::sha256(),
        384 => crypto::sha384(),
        512 => crypto::sha512(),
        other => return exec_err!("SHA2: the number of bits is 224, 256, 384 or 512, not {other}"),
    };
    digest(call, &function)
}

fn sha1(call: &Call) -> Result<ArrayRef> {
    let column = cast(&call.column(0)?, &DataType::Binary)?;
    let input = column.as_binary::<i32>();
    texts(call.rows, |row, out| Ok(input.is_valid(row) && write_hex(&sha1_of(input.value(row)), out)))
}

/// FIPS 180-4, section 6.1.
fn sha1_of(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).div_ceil(64) * 64 - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (f, k) = match i {
                0..20 => ((b & c) | (!b & d), 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(call: &Call) -> Result<ArrayRef> {
    let column = cast(&call.column(0)?, &DataType::Binary)?;
    base64_of(column.as_binary::<i32>())
}

/// The Base64 of bytes.
pub(super) fn base64_of(input: &BinaryArray) -> Result<ArrayRef> {
    texts(input.len(), |row, out| {
        Ok(input.is_valid(row)
            && input.value(row).chunks(3).all(|chunk| {
                let bits = (0..3).fold(0usize, |bits, i| bits << 8 | usize::from(*chunk.get(i).unwrap_or(&0)));
                (0..4).all(|i| {
                    let digit = char::from(BASE64[bits >> (18 - 6 * i) & 63]);
                    out.write_char(if i <= chunk.len() { digit } else { '=' }).is_ok()
                })
            }))
    })
}

fn from_base64(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    texts(call.rows, |row, out| {
        let decoded = input.at(row).and_then(base64_bytes).and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(decoded.is_some_and(|text| out.write_str(&text).is_ok()))
    })
}

fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut out, mut bits, mut count) = (Vec::with_capacity(digits.len() * 3 / 4), 0u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | BASE64.iter().position(|d| *d == digit)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    (count < 6).then_some(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn unhex(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut out = BinaryBuilder::with_capacity(call.rows, call.rows * 8);
    for row in 0..call.rows {
        let bytes = input.at(row).and_then(|text| {
            let digits: Vec<u8> = text.bytes().map(hex_digit).collect::<Option<_>>()?;
            // Of an odd number of digits the first stands alone.
            let (first, pairs) = digits.split_at(digits.len() % 2);
            Some(first.iter().copied().chain(pairs.chunks(2).map(|p| p[0] << 4 | p[1])).collect::<Vec<u8>>())
        });
        out.append_option(bytes);
    }
    Ok(Arc::new(out.finish()))
}

fn parse_url(call: &Call) -> Result<ArrayRef> {
    let (input, part, key) = (call.text(0), call.text(1), call.optional_text(2));
    texts(call.rows, |row, out| {
        let (Some(url), Some(part)) = (input.at(row), part.at(row)) else { return Ok(false) };
        let found = match &key {
            None => url_part(url, part),
            Some(key) => match (part, key.at(row)) {
                ("QUERY", Some(key)) => url_part(url, "QUERY").and_then(|query| {
                    query.split('&').find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == key)).map(|(_, v)| v)
                }),
                _ => None,
            },
        };
        Ok(found.is_some_and(|found| out.write_str(found).is_ok()))
    })
}

fn url_part<'a>(url: &'a str, part: &str) -> Option<&'a str> {
    let (rest, reference) = url.split_once('#').map_or((url, None), |(rest, r)| (rest, Some(r)));
    let (protocol, rest) = rest.split_once("://")?;
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, file) = rest.split_at(path_at);
    let (path, query) = file.split_once('?').map_or((file, None), |(path, query)| (path, Some(query)));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    match part {
        "PROTOCOL" => Some(protocol),
        "AUTHORITY" => Some(authority),
        "USERINFO" => user,
        "HOST" => Some(match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        }),
        "PATH" => Some(path),
        "FILE" => Some(file),
        "QUERY" => query,
        "REF" => reference,
        _ => None,
    }
}

fn url_encode(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    texts(call.rows, |row, out| {
        Ok(input.at(row).is_some_and(|text| {
            text.bytes().all(|byte| {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.write_char(byte.into()),
                    b' ' => out.write_char('+'),
                    _ => write!(out, "%{byte:02X}"),
                }
                .is_ok()
            })
        }))
    })
}

fn url_decode(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    texts(call.rows, |row, out| {
        let decoded = input.at(row).and_then(decoded_url);
        Ok(decoded.is_some_and(|text| out.write_str(&text).is_ok()))
    })
}

fn decoded_url(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
