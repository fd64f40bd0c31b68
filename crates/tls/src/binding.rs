//! `tls-server-end-point` (RFC 5929): the hash of a certificate, by the function with which it is signed, SHA-256 at least.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// Algorithms of signatures, as their object identifiers are written, and their hash functions. MD5 and SHA-1 are weak: SHA-256 stands for
/// them. Ed25519 and RSASSA-PSS are not here: what they hash with is not said by their identifiers.
const SIGNATURES: [(&[u8], &Algorithm); 9] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", &SHA384),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", &SHA512),
    (b"\x2a\x86\x48\xce\x3d\x04\x01", &SHA256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", &SHA256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &SHA384),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", &SHA512),
];

/// What binds to a certificate; `None`: its signature is of another kind.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let signature = signature(certificate)?;
    let (_, algorithm) = SIGNATURES.iter().find(|(identifier, _)| *identifier == signature)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The object identifier of the signature: `SEQUENCE { what is signed, SEQUENCE { identifier, … }, signature }`.
fn signature(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate)?;
    let (_, behind) = element(certificate)?;
    let (algorithm, _) = element(behind)?;
    Some(element(algorithm)?.0)
}

/// What the first element of DER holds, and what stands behind it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
