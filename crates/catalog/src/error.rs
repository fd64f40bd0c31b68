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
    /// A schema of that name is there.
    #[error("schema {name} exists already")]
    SchemaExists {
        /// The name.
        name: String,
    },
    /// There is no such schema.
    #[error("schema {name} does not exist")]
    MissingSchema {
        /// The name.
        name: String,
    },
    /// No schema of the search path is there.
    #[error("no schema of search_path exists, to create it in")]
    NoSchema,
    /// A schema that is always as it is.
    #[error("schema {name} belongs to the system")]
    SystemSchema {
        /// The name.
        name: String,
    },
    /// A name that schemas of the system have.
    #[error("{name} is no name for a schema: those that begin with pg_ are the system's")]
    ReservedSchema {
        /// The name.
        name: String,
    },
    /// Something is in the schema.
    #[error("schema {name} holds {}", objects.join(", "))]
    Dependent {
        /// The schema.
        name: String,
        /// Kinds and names.
        objects: Vec<String>,
    },
    /// A name of another database than the one that is connected to.
    #[error("{name}: names of another database cannot be reached from here")]
    OtherDatabase {
        /// The database.
        database: String,
        /// The name.
        name: String,
    },
}

impl CatalogError {
    /// The same, where something of this kind was asked for.
    pub fn of_kind(self, kind: &'static str) -> Self {
        match self {
            Self::Missing { name, nearest, .. } => Self::Missing { kind, name, nearest },
            other => other,
        }
    }
}
