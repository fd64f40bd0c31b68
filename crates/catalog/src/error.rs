/// What can go wrong with names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("{kind} {name} exists already")]
    Exists {
        /// As [`Object::kind`](crate::Object::kind).
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// There is nothing of that name.
    #[error("{kind} {name} does not exist")]
    Missing {
        /// As [`Object::kind`](crate::Object::kind).
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// The name stands for something else.
    #[error("{name} is a {is}, not a {wanted}")]
    Kind {
        /// The name.
        name: String,
        /// What it is.
        is: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
}
