use crate::print::is_plain;
use std::fmt;
use std::sync::Arc;

/// The schema that is there from the start.
pub const PUBLIC: &str = "public";

/// What a table or view is called: its schema, and its name there.
///
/// As text, one in [`PUBLIC`] goes by its name alone, and no two names have one text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// `None`: [`PUBLIC`].
    schema: Option<Arc<str>>,
    object: Arc<str>,
}

impl Name {
    /// The name of an object in a schema.
    pub fn new(schema: &str, object: &str) -> Self {
        Self { schema: (schema != PUBLIC).then(|| schema.into()), object: object.into() }
    }

    /// In which schema.
    pub fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or(PUBLIC)
    }

    /// What it is called there.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The object under the same name in another schema.
    #[must_use]
    pub fn in_schema(&self, schema: &str) -> Self {
        Self::new(schema, &self.object)
    }

    /// As SQL in back-ticks, with the schema unless it is [`PUBLIC`].
    pub fn to_sql(&self) -> String {
        match &self.schema {
            None => crate::print::name(&self.object),
            Some(schema) => format!("{}.{}", crate::print::name(schema), crate::print::name(&self.object)),
        }
    }
}

/// In [`PUBLIC`].
impl From<&str> for Name {
    fn from(object: &str) -> Self {
        Self { schema: None, object: object.into() }
    }
}

/// In [`PUBLIC`].
impl From<String> for Name {
    fn from(object: String) -> Self {
        Self { schema: None, object: object.into() }
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        self.schema.is_none() && &*self.object == text
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            // What looks like more than one part would be taken for another name.
            None if looks_qualified(&self.object) => f.write_str(&crate::print::name(&self.object)),
            None => f.write_str(&self.object),
            Some(schema) => {
                let part = crate::print::name_if_needed;
                write!(f, "{}.{}", part(schema), part(&self.object))
            }
        }
    }
}

fn looks_qualified(text: &str) -> bool {
    text.contains('`') || text.split_once('.').is_some_and(|(schema, rest)| is_plain(schema) && is_plain(rest))
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A name as a statement writes it: the search path says in which schema it is looked for, where it says none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `database.schema.name`.
    pub database: Option<String>,
    /// `schema.name`.
    pub schema: Option<String>,
    /// What it is called there.
    pub object: String,
}

impl Reference {
    /// A name without a schema.
    pub fn bare(object: impl Into<String>) -> Self {
        Self { database: None, schema: None, object: object.into() }
    }

    /// Reads `name`, `schema.name` or `database.schema.name`. What stands in quotes is taken as it is, the rest in small letters where `folds`.
    /// `None`: it is no such name.
    pub fn read(text: &str, folds: bool) -> Option<Self> {
        let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
        for c in text.trim().chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), c) => part.push(c),
                (None, '"' | '`' | '\'') => quote = Some(c),
                (None, '.') => parts.push(std::mem::take(&mut part)),
                (None, c) if folds => part.extend(c.to_lowercase()),
                (None, c) => part.push(c),
            }
        }
        parts.push(part);
        let (object, schema, database) = (parts.pop()?, parts.pop(), parts.pop());
        parts.is_empty().then_some(Self { database, schema, object })
    }

    /// As SQL in back-ticks.
    pub fn to_sql(&self) -> String {
        let parts = [&self.database, &self.schema].into_iter().flatten().chain([&self.object]);
        parts.map(|part| crate::print::name(part)).collect::<Vec<_>>().join(".")
    }
}

/// Without a schema.
impl From<&str> for Reference {
    fn from(object: &str) -> Self {
        Self::bare(object)
    }
}

/// The same, whatever the search path is.
impl From<&Name> for Reference {
    fn from(name: &Name) -> Self {
        Self { database: None, schema: Some(name.schema().to_owned()), object: name.object().to_owned() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.database, &self.schema].into_iter().flatten() {
            write!(f, "{part}.")?;
        }
        f.write_str(&self.object)
    }
}
