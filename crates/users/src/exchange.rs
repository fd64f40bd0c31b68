//! SCRAM-SHA-256, the server's side.
//!
//! ```text
//! client                                        server
//!   n,,n=,r=<nonce>                    ──>
//!                                      <──        r=<nonce><more>,s=<salt>,i=<iterations>
//!   c=<binding>,r=<both>,p=<proof>     ──>
//!                                      <──        v=<signature>
//! ```
//! The proof shows that the client knows the password, the signature that the server has its verifier; neither can be used again, as
//! both sign the nonces. `-PLUS` binds the exchange to the certificate of the connection, so that nobody in between can pass it on.
//! Source: RFC 5802, RFC 7677, RFC 5929 (tls-server-end-point).

use crate::chance;
use crate::verifier::{Checked, KEY_BYTES, hmac_sha256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The name of the exchange.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The same, bound to the connection's certificate.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";
const NONCE_BYTES: usize = 18;
/// What a nonce of a client may have.
const NONCE_BYTES_MAX: usize = 512;

/// What an exchange can be bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Binding {
    /// Nothing: `-PLUS` is not offered.
    #[default]
    None,
    /// The hash of the server's certificate.
    ServerEndPoint(Vec<u8>),
}

/// A client that does not keep to the exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SCRAM: {0}")]
pub struct ExchangeError(&'static str);

/// An exchange whose challenge is sent.
#[derive(Debug)]
pub struct Exchange {
    checked: Checked,
    /// Both nonces.
    nonce: String,
    /// What the client says of the binding, as `c=` repeats it.
    pub(crate) bound: Vec<u8>,
    /// The messages until now, as they are signed.
    signed: String,
}

impl Exchange {
    /// Reads the client's first message. Returns the challenge too.
    ///
    /// # Errors
    /// It is none, or does not go with what was offered.
    pub fn begin(
        mechanism: &str,
        binding: &Binding,
        checked: Checked,
        message: &[u8],
    ) -> Result<(Self, String), ExchangeError> {
        Self::begin_with(mechanism, binding, checked, message, &STANDARD.encode(chance::<NONCE_BYTES>()))
    }

    /// As [`begin`](Self::begin), with the server's nonce.
    pub(crate) fn begin_with(
        mechanism: &str,
        binding: &Binding,
        checked: Checked,
        message: &[u8],
        own: &str,
    ) -> Result<(Self, String), ExchangeError> {
        let message = std::str::from_utf8(message).map_err(|_| ExchangeError("a message that is not UTF-8"))?;
        let mut parts = message.splitn(3, ',');
        let (flag, authorized, bare) = match (parts.next(), parts.next(), parts.next()) {
            (Some(flag), Some(authorized), Some(bare)) => (flag, authorized, bare),
            _ => return Err(ExchangeError("a first message that is none")),
        };
        if !authorized.is_empty() {
            return Err(ExchangeError("it is not possible to act as another user"));
        }
        let mut bound = format!("{flag},,").into_bytes();
        match (mechanism, flag, binding) {
            (MECHANISM, "n", _) | (MECHANISM, "y", Binding::None) => {}
            (MECHANISM, "y", _) => {
                return Err(ExchangeError("the client was not told that channel binding is offered"));
            }
            (MECHANISM_PLUS, "p=tls-server-end-point", Binding::ServerEndPoint(hash)) => bound.extend(hash),
            (MECHANISM | MECHANISM_PLUS, ..) => return Err(ExchangeError("a channel binding that is not offered")),
            _ => return Err(ExchangeError("a mechanism that is not offered")),
        }
        let theirs = bare.split_once(',').filter(|(name, _)| name.starts_with("n=")).map(|(_, rest)| rest);
        let theirs = theirs.and_then(|rest| rest.split(',').next()?.strip_prefix("r="));
        let is_nonce = |n: &&str| (1..=NONCE_BYTES_MAX).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_graphic());
        let theirs = theirs.filter(is_nonce).ok_or(ExchangeError("a first message without a name and a nonce"))?;
        let nonce = format!("{theirs}{own}");
        let verifier = &checked.verifier;
        let challenge = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let signed = format!("{bare},{challenge}");
        Ok((Self { checked, nonce, bound, signed }, challenge))
    }

    /// Reads the client's proof. Returns the server's; `None`: the password is wrong, or there is no such user.
    ///
    /// # Errors
    /// It is none, or belongs to another exchange.
    pub fn finish(self, message: &[u8]) -> Result<Option<String>, ExchangeError> {
        let message = std::str::from_utf8(message).map_err(|_| ExchangeError("a message that is not UTF-8"))?;
        let (unproved, proof) = message.rsplit_once(",p=").ok_or(ExchangeError("a last message without a proof"))?;
        let mut parts = unproved.split(',');
        let bound = parts.next().and_then(|part| part.strip_prefix("c="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        if bound.is_none_or(|bound| bound != STANDARD.encode(&self.bound)) {
            return Err(ExchangeError("the channel binding is another one"));
        }
        if nonce != Some(self.nonce.as_str()) {
            return Err(ExchangeError("the nonce is that of another exchange"));
        }
        let proof: Option<[u8; KEY_BYTES]> = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        let proof = proof.ok_or(ExchangeError("a proof that does not read"))?;
        let signed = format!("{},{unproved}", self.signed);
        let Checked { verifier, is_real } = &self.checked;
        let signature = hmac_sha256(&verifier.stored, signed.as_bytes());
        let mut key = [0; KEY_BYTES];
        key.iter_mut().zip(proof.iter().zip(&signature)).for_each(|(key, (proof, signed))| *key = proof ^ signed);
        let answer = format!("v={}", STANDARD.encode(hmac_sha256(&verifier.server, signed.as_bytes())));
        Ok((verifier.is_key(&key) & is_real).then_some(answer))
    }
}
