//! Who comes in unasked, and where a server may listen.
//!
//! | who | from the server's machine | from elsewhere |
//! |---|---|---|
//! | a user with a password | is asked | is asked, encrypted |
//! | a user without one | comes in | does not |
//! | anybody else | is asked, in vain | is asked, in vain |
//!
//! An insecure server lets users without a password in from anywhere, and does not ask for encryption. One that asks everyone lets nobody in
//! without a password, also from its machine, where something else may pass on what comes from elsewhere.

use crate::Users;
use std::net::IpAddr;

/// The rule of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entrance {
    /// Other machines are taken for this one.
    pub is_insecure: bool,
    /// Nobody comes in without a password.
    pub asks_everyone: bool,
}

/// Why a server does not listen somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntranceError {
    /// What is said there can be read and changed on its way.
    #[error(
        "it is reached from other machines, and nothing is encrypted: give a certificate (--tls-cert, --tls-key), listen at 127.0.0.1, or say --insecure"
    )]
    Plain,
    /// Nobody could come in.
    #[error(
        "it is reached from other machines, and no user has a password: give root one (--root-password-file), listen at 127.0.0.1, or say --insecure"
    )]
    NoPasswords,
    /// Nobody could come in.
    #[error("everyone is to be asked for a password, and no user has one: give root one (--root-password-file)")]
    Nobody,
}

impl Entrance {
    /// Does a user without a password come in from there?
    pub fn trusts(self, peer: IpAddr) -> bool {
        !self.asks_everyone && (self.is_insecure || is_here(peer))
    }

    /// Is what is not encrypted taken from there?
    pub fn takes_plain(self, peer: IpAddr) -> bool {
        self.is_insecure || is_here(peer)
    }

    /// May a server listen there?
    ///
    /// # Errors
    /// It may not, as nobody could come in, or anybody could listen in.
    pub fn check(self, listen: IpAddr, has_certificate: bool, users: &Users) -> Result<(), EntranceError> {
        let (is_closed, is_far) = (!users.have_passwords(), !self.is_insecure && !is_here(listen));
        match (is_far, has_certificate) {
            (true, false) => Err(EntranceError::Plain),
            (true, true) if is_closed => Err(EntranceError::NoPasswords),
            _ if self.asks_everyone && is_closed => Err(EntranceError::Nobody),
            _ => Ok(()),
        }
    }
}

/// Is this an address of the machine itself?
fn is_here(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
