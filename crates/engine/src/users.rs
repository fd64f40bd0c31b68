//! CREATE, ALTER and DROP USER. Root changes users; everyone may change the own password.

use crate::error::state::NOT_ALLOWED;
use crate::{Instance, Outcome, Session};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{UserOptions, UserStatement, UserVerb};
use eddyline_users::{ROOT, Secret, User, UserError, Users, Verifier, VerifierError};

impl Session {
    /// Carries out a statement about a user.
    pub(crate) fn user_statement(&self, statement: &UserStatement) -> Result<Outcome, SqlError> {
        let UserStatement { name, verb } = statement;
        self.check_may(statement)?;
        Ok(match verb {
            UserVerb::Create(options) => {
                let change = Change::of(options)?;
                self.instance.change_users(|users| {
                    change.apply(users.create(name).map_err(of_users)?);
                    Ok(())
                })?;
                done(name, "created", &self.users())
            }
            UserVerb::Alter(options) => {
                let change = Change::of(options)?;
                self.instance.change_users(|users| {
                    change.apply(users.alter(name).map_err(of_users)?);
                    Ok(())
                })?;
                done(name, "changed", &self.users())
            }
            UserVerb::Drop { if_exists: true } if self.users().user(name).is_none() => {
                Outcome::Noted(format!("user {name} does not exist, nothing is dropped"))
            }
            UserVerb::Drop { .. } => {
                self.instance.change_users(|users| users.remove(name).map_err(of_users))?;
                Outcome::Done(format!("user {name} dropped"))
            }
        })
    }

    fn check_may(&self, statement: &UserStatement) -> Result<(), SqlError> {
        let UserStatement { name, verb } = statement;
        let is_own = *name == self.user;
        match verb {
            UserVerb::Drop { .. } if is_own => {
                Err(SqlError::new("55006", "the current user cannot be dropped").with_hint("another user can do it"))
            }
            _ if self.user == ROOT => Ok(()),
            UserVerb::Alter(UserOptions { connections_max: None, .. }) if is_own => Ok(()),
            _ => Err(SqlError::new(NOT_ALLOWED, format!("user {} may not change users", self.user))
                .with_hint("root may; everyone may change the own password")),
        }
    }
}

impl Instance {
    /// Gives root a password, if it has not that one already.
    ///
    /// # Errors
    /// No password; it cannot be stored.
    pub fn set_root_password(&self, password: &Secret) -> Result<(), SqlError> {
        if self.users().is_password(ROOT, password) {
            return Ok(());
        }
        let options = UserOptions { password: Some(Some(password.clone())), connections_max: None };
        let change = Change::of(&options)?;
        self.change_users(|users| {
            change.apply(users.alter(ROOT).map_err(of_users)?);
            Ok(())
        })
    }
}

/// What is said of a user, with the key of the password derived: that takes a moment, and nobody is to wait for it.
struct Change {
    verifier: Option<Option<Verifier>>,
    connections_max: Option<Option<u32>>,
}

impl Change {
    fn of(options: &UserOptions) -> Result<Self, SqlError> {
        let verifier = match &options.password {
            Some(Some(password)) => Some(Some(Verifier::of(password).map_err(of_verifier)?)),
            Some(None) => Some(None),
            None => None,
        };
        Ok(Self { verifier, connections_max: options.connections_max })
    }

    fn apply(self, user: &mut User) {
        if let Some(verifier) = self.verifier {
            user.verifier = verifier;
        }
        if let Some(connections_max) = self.connections_max {
            user.connections_max = connections_max;
        }
    }
}

fn done(name: &str, what: &str, users: &Users) -> Outcome {
    match users.is_without_password(name) {
        true => Outcome::Noted(format!(
            "user {name} {what}, without a password: it can connect from the server's machine alone"
        )),
        false => Outcome::Done(format!("user {name} {what}")),
    }
}

fn of_users(error: UserError) -> SqlError {
    let (sqlstate, hint) = match &error {
        UserError::Exists(_) => ("42710", "ALTER USER … PASSWORD gives another password"),
        UserError::Missing(_) => (SqlError::UNDEFINED_OBJECT, "SELECT * FROM pg_user lists them"),
        UserError::Root => (NOT_ALLOWED, "ALTER USER root PASSWORD '…' keeps others from using it"),
    };
    SqlError::new(sqlstate, error.to_string()).with_hint(hint)
}

fn of_verifier(error: VerifierError) -> SqlError {
    let hint = match error {
        VerifierError::Empty => "PASSWORD NULL takes the password away",
        VerifierError::Md5 | VerifierError::Malformed => {
            "give the password itself, or what \\password of psql computes"
        }
    };
    SqlError::new(SqlError::INVALID_PARAMETER, error.to_string()).with_hint(hint)
}
