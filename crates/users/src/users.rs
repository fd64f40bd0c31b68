//! Names, and what the password of each is checked against.

use crate::verifier::{Checked, ITERATIONS, KEY_BYTES, SALT_BYTES, Verifier, hmac_sha256};
use crate::{Secret, chance};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The user that is there from the beginning.
pub const ROOT: &str = "root";
/// The number of root, as of the first user of PostgreSQL.
const ROOT_ID: u32 = 10;
/// Others have numbers from here on.
const FIRST_ID: u32 = 16_384;

/// Someone who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// A number that nobody else has.
    pub id: u32,
    /// What the password is checked against; `None`: there is no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<Verifier>,
    /// How often the user may be connected; `None`: as often as the server takes connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
}

/// What is wrong with a change of users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The name is taken.
    #[error("user {0} exists already")]
    Exists(String),
    /// There is no such user.
    #[error("user {0} does not exist")]
    Missing(String),
    /// Root stays.
    #[error("user root cannot be dropped")]
    Root,
}

/// All who may connect. What is shown of it has nothing of passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    by_name: BTreeMap<String, User>,
    next_id: u32,
    /// What is asked of users that there are not comes from it.
    secret: Key,
}

/// A key that is kept, and not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Key([u8; KEY_BYTES]);

impl Default for Users {
    /// Root alone, without a password.
    fn default() -> Self {
        let root = User { id: ROOT_ID, verifier: None, connections_max: None };
        Self { by_name: BTreeMap::from([(ROOT.to_owned(), root)]), next_id: FIRST_ID, secret: Key(chance()) }
    }
}

impl Users {
    /// A user.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &User)> {
        self.by_name.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// Is there such a user, who has no password?
    pub fn is_without_password(&self, name: &str) -> bool {
        self.user(name).is_some_and(|user| user.verifier.is_none())
    }

    /// Has anybody a password?
    pub fn have_passwords(&self) -> bool {
        self.by_name.values().any(|user| user.verifier.is_some())
    }

    /// What a password of this user is checked against. Where there is no such user, or one without a password, nothing fits it, and
    /// it is the same for a name every time.
    pub fn checked(&self, name: &str) -> Checked {
        match self.user(name).and_then(|user| user.verifier.clone()) {
            Some(verifier) => Checked { verifier, is_real: true },
            None => {
                let salt = hmac_sha256(&self.secret.0, name.as_bytes())[..SALT_BYTES].to_vec();
                let [stored, server] = [[0; KEY_BYTES], [0; KEY_BYTES]];
                Checked { verifier: Verifier { iterations: ITERATIONS, salt, stored, server }, is_real: false }
            }
        }
    }

    /// Is this the password of this user? Takes as long whether there is such a user or not.
    pub fn is_password(&self, name: &str, password: &Secret) -> bool {
        self.checked(name).matches(password)
    }

    /// One more.
    ///
    /// # Errors
    /// The name is taken.
    pub fn create(&mut self, name: &str) -> Result<&mut User, UserError> {
        if self.by_name.contains_key(name) {
            return Err(UserError::Exists(name.to_owned()));
        }
        let user = User { id: self.next_id, verifier: None, connections_max: None };
        self.next_id += 1;
        Ok(self.by_name.entry(name.to_owned()).or_insert(user))
    }

    /// One that there is, to be changed.
    ///
    /// # Errors
    /// There is none.
    pub fn alter(&mut self, name: &str) -> Result<&mut User, UserError> {
        self.by_name.get_mut(name).ok_or_else(|| UserError::Missing(name.to_owned()))
    }

    /// One less.
    ///
    /// # Errors
    /// There is none; it is root.
    pub fn remove(&mut self, name: &str) -> Result<(), UserError> {
        match name {
            ROOT => Err(UserError::Root),
            name => self.by_name.remove(name).map(drop).ok_or_else(|| UserError::Missing(name.to_owned())),
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        STANDARD.encode(key.0)
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Key).ok_or("a key that does not read")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
