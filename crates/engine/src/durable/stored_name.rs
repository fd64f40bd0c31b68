//! A name in JSON: a text for one in `public`, as there were no others once; else its schema and its name.

use eddyline_catalog::{Name, PUBLIC};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Public(String),
    In(String, String),
}

pub(super) fn serialize<S: Serializer>(name: &Name, serializer: S) -> Result<S::Ok, S::Error> {
    of(name).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    Stored::deserialize(deserializer).map(name)
}

fn of(name: &Name) -> Stored {
    match name.schema() {
        PUBLIC => Stored::Public(name.object().to_owned()),
        schema => Stored::In(schema.to_owned(), name.object().to_owned()),
    }
}

fn name(stored: Stored) -> Name {
    match stored {
        Stored::Public(object) => Name::from(object),
        Stored::In(schema, object) => Name::new(&schema, &object),
    }
}

/// Several of them.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Name, Serialize, Serializer, Stored, name, of};

    pub(in crate::durable) fn serialize<S: Serializer>(names: &[Name], serializer: S) -> Result<S::Ok, S::Error> {
        names.iter().map(of).collect::<Vec<_>>().serialize(serializer)
    }

    pub(in crate::durable) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Name>, D::Error> {
        Vec::<Stored>::deserialize(deserializer).map(|all| all.into_iter().map(name).collect())
    }
}
