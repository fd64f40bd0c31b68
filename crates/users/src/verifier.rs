//! What is kept of a password.
//!
//! Source: RFC 5802 and RFC 7677; the text is that of PostgreSQL's `pg_authid.rolpassword`, so that what clients compute (`\password`)
//! is understood: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, in base64.

use crate::chance;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// Rounds of a key derivation, as in PostgreSQL.
pub(crate) const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
/// More would keep the server busy with the check of one password.
const ITERATIONS_MAX: u32 = 1_000_000;
pub(crate) const SALT_BYTES: usize = 16;
const PREFIX: &str = "SCRAM-SHA-256$";

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Why there is no verifier. The text that was given is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// No password at all.
    #[error("a password is empty")]
    Empty,
    /// A hash of another kind.
    #[error("an MD5 hash of a password is not taken")]
    Md5,
    /// It begins like a verifier and is none.
    #[error("a SCRAM-SHA-256 verifier that does not read, or has less than 4096 or more than 1000000 iterations")]
    Malformed,
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verifier {
    pub(crate) iterations: NonZeroU32,
    pub(crate) salt: Vec<u8>,
    /// The hash of the key that a client proves to have.
    pub(crate) stored: [u8; KEY_BYTES],
    /// The key by which the server proves that it has the verifier.
    pub(crate) server: [u8; KEY_BYTES],
}

impl Verifier {
    /// Of what `PASSWORD '…'` says: a password, or a verifier that the client has computed.
    ///
    /// # Errors
    /// An empty text; a hash of another kind; a verifier that does not read.
    pub fn of(text: &Secret) -> Result<Self, VerifierError> {
        let Secret(text) = text;
        if text.is_empty() {
            return Err(VerifierError::Empty);
        }
        if text.starts_with(PREFIX) {
            return Self::read(text).ok_or(VerifierError::Malformed);
        }
        let is_md5 = text.len() == 35 && text.starts_with("md5") && text[3..].bytes().all(|b| b.is_ascii_hexdigit());
        match is_md5 {
            true => Err(VerifierError::Md5),
            false => Ok(Self::derived(text, chance::<SALT_BYTES>().to_vec(), ITERATIONS)),
        }
    }

    pub(crate) fn derived(password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let salted = salted(password, &salt, iterations);
        let stored = sha256(&hmac_sha256(&salted, b"Client Key"));
        let server = hmac_sha256(&salted, b"Server Key");
        Self { iterations, salt, stored, server }
    }

    /// Is this the password? Takes as long as it takes to derive a key.
    pub fn matches(&self, password: &Secret) -> bool {
        let salted = salted(&password.0, &self.salt, self.iterations);
        self.is_key(&hmac_sha256(&salted, b"Client Key"))
    }

    /// Is this the key that clients prove to have?
    pub(crate) fn is_key(&self, key: &[u8; KEY_BYTES]) -> bool {
        sha256(key).ct_eq(&self.stored).into()
    }

    fn read(text: &str) -> Option<Self> {
        let (cost, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let (iterations, salt) = cost.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        let iterations: NonZeroU32 = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| (1..=1024).contains(&salt.len()))?;
        let is_usual = (ITERATIONS.get()..=ITERATIONS_MAX).contains(&iterations.get());
        is_usual.then_some(Self { iterations, salt, stored: key(stored)?, server: key(server)? })
    }
}

impl From<Verifier> for String {
    fn from(verifier: Verifier) -> Self {
        let Verifier { iterations, salt, stored, server } = verifier;
        let [salt, stored, server] = [&salt[..], &stored, &server].map(|bytes| STANDARD.encode(bytes));
        format!("{PREFIX}{iterations}:{salt}${stored}:{server}")
    }
}

impl TryFrom<String> for Verifier {
    type Error = VerifierError;

    fn try_from(text: String) -> Result<Self, VerifierError> {
        Self::read(&text).ok_or(VerifierError::Malformed)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

/// What a password is checked against: that of a user, or one that nothing fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub(crate) verifier: Verifier,
    /// There is such a user, with a password.
    pub(crate) is_real: bool,
}

impl Checked {
    /// Is this the password? Takes as long whether there is a user or not.
    pub fn matches(&self, password: &Secret) -> bool {
        self.verifier.matches(password) & self.is_real
    }
}

/// The password as it goes into keys: prepared as RFC 4013 has it, or, where that does not take it, as it is. So does PostgreSQL.
fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> [u8; KEY_BYTES] {
    let prepared = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    let mut key = [0; KEY_BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), &mut key);
    key
}

pub(crate) fn hmac_sha256(key: &[u8], bytes: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes);
    tag.as_ref().try_into().expect("a tag of SHA-256 has 32 bytes")
}

fn sha256(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().try_into().expect("a hash of SHA-256 has 32 bytes")
}
