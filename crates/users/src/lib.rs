//! Who may connect, and how a password is checked that nobody here knows.
//!
//! ```text
//! password ──> Verifier (salt, iterations, two keys) ──kept in──> Users
//! client   <── challenge, proof, answer ──> Exchange over a Verifier
//! ```
//! | module | holds |
//! |---|---|
//! | `users` | names, and what the password of each is checked against |
//! | `verifier` | what is kept of a password |
//! | `exchange` | SCRAM-SHA-256, the server's side |
//! | `entrance` | who comes in unasked, and where a server may listen |
//!
//! A password is kept as SCRAM does (RFC 5802): from what is kept nobody can log in, and finding the password is as much work as it
//! takes to derive a key from every guess. Whoever names a user that there is not is asked as if there were one, so that nobody learns
//! who there is.
//!
//! Not here: messages of a protocol, who may do what. Start at [`Users`].

mod entrance;
mod exchange;
#[cfg(test)]
mod tests;
mod users;
mod verifier;

pub use entrance::{Entrance, EntranceError};
pub use exchange::{Binding, Exchange, ExchangeError, MECHANISM, MECHANISM_PLUS};
pub use users::{ROOT, User, UserError, Users};
pub use verifier::{Checked, Secret, Verifier, VerifierError};

use ring::rand::{SecureRandom, SystemRandom};

/// Bytes that nobody can guess.
fn chance<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has random bytes, or nothing could be kept secret");
    bytes
}
