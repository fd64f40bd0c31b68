//! What can be wrong with a query.

/// What is wrong, as clients are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// SQLSTATE.
    pub code: &'static str,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Error {
    /// An error by its SQLSTATE.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// What to do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new("0A000", format!("{what} in a query over the catalogs is not supported"))
    }
}
