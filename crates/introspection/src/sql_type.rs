//! Types, by Postgres' numbers and names.

use sqlparser::ast::DataType;
use std::sync::Arc;

/// A type of Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Of a literal or parameter that has none yet.
    Unknown,
    /// `bool`.
    Bool,
    /// `"char"`: one byte.
    Char,
    /// `name`.
    Name,
    /// `int2`.
    Int2,
    /// `int4`.
    Int4,
    /// `int8`.
    Int8,
    /// `float4`.
    Float4,
    /// `float8`.
    Float8,
    /// `text`, and all that are texts to us.
    Text,
    /// `json`.
    Json,
    /// `timestamptz`.
    Moment,
    /// `oid`.
    Oid,
    /// `regclass`: the number of a relation, shown as its name.
    Regclass,
    /// `regtype`.
    Regtype,
    /// `regproc`.
    Regproc,
    /// `regnamespace`.
    Regnamespace,
    /// `regrole`.
    Regrole,
    /// `int2vector`: counts from 0.
    Int2Vector,
    /// `oidvector`: counts from 0.
    OidVector,
    /// An array.
    List(Box<Type>),
    /// A row.
    Record(Arc<[(String, Type)]>),
}

/// Numbers of types and of arrays of them, and their names.
const TYPES: [(Type, u32, u32, &[&str]); 17] = [
    (Type::Bool, 16, 1000, &["bool", "boolean"]),
    (Type::Char, 18, 1002, &["\"char\""]),
    (Type::Name, 19, 1003, &["name", "sql_identifier"]),
    (Type::Int2, 21, 1005, &["int2", "smallint"]),
    (Type::Int4, 23, 1007, &["int4", "int", "integer", "cardinal_number"]),
    (Type::Int8, 20, 1016, &["int8", "bigint"]),
    (Type::Float4, 700, 1021, &["float4", "real"]),
    (Type::Float8, 701, 1022, &["float8", "double precision", "double", "numeric", "decimal"]),
    (
        Type::Text,
        25,
        1009,
        &["text", "varchar", "character varying", "char", "character", "bpchar", "character_data", "yes_or_no"],
    ),
    (Type::Json, 114, 199, &["json", "jsonb"]),
    (Type::Moment, 1184, 1185, &["timestamptz", "timestamp with time zone"]),
    (Type::Oid, 26, 1028, &["oid"]),
    (Type::Regclass, 2205, 2210, &["regclass"]),
    (Type::Regtype, 2206, 2211, &["regtype"]),
    (Type::Regproc, 24, 1008, &["regproc"]),
    (Type::Regnamespace, 4089, 4090, &["regnamespace"]),
    (Type::Regrole, 4096, 4097, &["regrole"]),
];
const VECTORS: [(Type, u32, &str); 2] = [(Type::Int2Vector, 22, "int2vector"), (Type::OidVector, 30, "oidvector")];
/// What clients call texts.
const TEXTS: [(u32, u32); 3] = [(1043, 1015), (1042, 1014), (705, 0)];
const RECORD: u32 = 2249;

impl Type {
    /// An array of this.
    #[must_use]
    pub fn list(self) -> Type {
        Type::List(Box::new(self))
    }

    /// Its number. What has none yet is a text.
    pub fn oid(&self) -> u32 {
        match self {
            Type::List(item) => TYPES.iter().find(|(of, ..)| of == item.as_ref()).map_or(1009, |(_, _, list, _)| *list),
            Type::Record(_) => RECORD,
            own => {
                let vector = VECTORS.iter().find(|(of, ..)| of == own).map(|(_, oid, _)| *oid);
                vector.or_else(|| TYPES.iter().find(|(of, ..)| of == own).map(|(_, oid, ..)| *oid)).unwrap_or(25)
            }
        }
    }

    /// The type of a number.
    pub fn of_oid(oid: u32) -> Option<Type> {
        if let Some((of, scalar, ..)) = TYPES.iter().find(|(_, scalar, list, _)| *scalar == oid || *list == oid) {
            return Some(if *scalar == oid { of.clone() } else { of.clone().list() });
        }
        if let Some((scalar, _)) = TEXTS.iter().find(|(scalar, list)| *scalar == oid || (*list == oid && oid != 0)) {
            return Some(if *scalar == oid { Type::Text } else { Type::Text.list() });
        }
        VECTORS.iter().find(|(_, own, _)| *own == oid).map(|(of, ..)| of.clone())
    }

    /// The type that a cast names.
    pub(crate) fn of_sql(of: &DataType) -> Option<Type> {
        Self::of_name(&of.to_string())
    }

    /// The type of a name; an array is `item[]`, or `_item` as `pg_type` has it.
    pub fn of_name(name: &str) -> Option<Type> {
        let name = name.trim();
        if let Some(item) = name.strip_suffix("[]").or(name.strip_prefix('_')) {
            return Some(Self::of_name(item)?.list());
        }
        let lower = name.to_lowercase();
        let plain = lower.strip_prefix("pg_catalog.").or(lower.strip_prefix("information_schema.")).unwrap_or(&lower);
        let plain = plain.split('(').next().unwrap_or(plain).trim();
        let vector = VECTORS.iter().find(|(.., own)| *own == plain).map(|(of, ..)| of.clone());
        vector.or_else(|| TYPES.iter().find(|(.., names)| names.contains(&plain)).map(|(of, ..)| of.clone()))
    }

    /// What columns of a cast are called.
    pub(crate) fn name(&self) -> String {
        match self {
            Type::List(item) => item.name(),
            Type::Record(_) => "row".into(),
            Type::Char => "char".into(),
            own => {
                let vector = VECTORS.iter().find(|(of, ..)| of == own).map(|(_, _, name)| *name);
                let name = TYPES.iter().find(|(of, ..)| of == own).and_then(|(.., names)| names.first().copied());
                vector.or(name).unwrap_or("unknown").into()
            }
        }
    }

    /// The type of its items, if it has some.
    pub(crate) fn item(&self) -> Option<Type> {
        match self {
            Type::List(item) => Some(item.as_ref().clone()),
            Type::Int2Vector => Some(Type::Int2),
            Type::OidVector => Some(Type::Oid),
            _ => None,
        }
    }

    /// The number of its first item.
    pub(crate) fn first(&self) -> i64 {
        i64::from(!matches!(self, Type::Int2Vector | Type::OidVector))
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Type::Text | Type::Name | Type::Char)
    }

    /// The rank of a number among numbers.
    fn width(&self) -> Option<u8> {
        Some(match self {
            Type::Int2 => 0,
            Type::Int4 => 1,
            Type::Int8 => 2,
            Type::Float4 => 3,
            Type::Float8 => 4,
            _ => return None,
        })
    }

    /// The number of an object: comparable with each other and with whole numbers.
    pub(crate) fn is_object(&self) -> bool {
        use Type::{Oid, Regclass, Regnamespace, Regproc, Regrole, Regtype};
        matches!(self, Oid | Regclass | Regtype | Regproc | Regnamespace | Regrole)
    }

    pub(crate) fn is_number(&self) -> bool {
        self.width().is_some()
    }

    /// The type to which values of both can be brought; `None`: there is none.
    pub(crate) fn common(&self, other: &Type) -> Option<Type> {
        Some(match (self, other) {
            (a, b) if a == b => a.clone(),
            (Type::Unknown, known) | (known, Type::Unknown) => known.clone(),
            (a, b) if a.is_text() && b.is_text() => Type::Text,
            (a, b) if a.is_number() && b.is_number() => if a.width() > b.width() { a } else { b }.clone(),
            (a, b) if (a.is_object() || a.is_number()) && (b.is_object() || b.is_number()) => Type::Oid,
            (a, b) => a.item()?.common(&b.item()?)?.list(),
        })
    }
}
