//! What there is, told as Postgres' catalogs tell it: the database that queries over them are asked of.
//!
//! | module | holds |
//! |---|---|
//! | `shape` | relations, columns and types of PostgreSQL 15 |
//! | `objects` | tables and views with their columns, keys, comments |
//! | `postgres`, `standard` | rows of `pg_catalog`, of `information_schema` |
//! | `functions` | `format_type`, `pg_get_indexdef`, `to_regclass` and the like |
//! | `asked` | a query of a client, its parameters and its answer |
//! | `beside` | relations for a statement that reads tables too |
//!
//! Relations are made when a query names them. Not here: what queries mean (`eddyline-introspection`).

mod asked;
mod beside;
mod functions;
mod objects;
mod postgres;
mod shape;
mod standard;

pub(crate) use asked::{Asked, read};
pub(crate) use beside::{are_named, relations};

use crate::variables::Variables;
use eddyline_engine::catalog::SYSTEM_SCHEMAS;
use eddyline_engine::{Session, SqlError};
use eddyline_introspection::{Environment, Error, Relation, Row, Signature, Value};
use eddyline_users::{ROOT, User};
use objects::Object;
use shape::Shape;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

const PG_CATALOG: u32 = 11;
const PUBLIC: u32 = 2200;
const INFORMATION_SCHEMA: u32 = 13_000;
const OWNER: u32 = 10;
const DATABASE_OID: u32 = 16_383;

/// What a client is told of a variable: its name and its value.
type Told = Vec<(String, String)>;

/// The database, as one query sees it.
pub(crate) struct Catalogs<'a> {
    session: RefCell<&'a mut Session>,
    variables: RefCell<&'a mut Variables>,
    objects: OnceCell<Vec<Object>>,
    /// Relations that were asked for.
    relations: RefCell<HashMap<(String, String), Arc<Relation>>>,
    told: RefCell<Told>,
}

impl<'a> Catalogs<'a> {
    pub(crate) fn new(session: &'a mut Session, variables: &'a mut Variables) -> Self {
        Self {
            session: RefCell::new(session),
            variables: RefCell::new(variables),
            objects: OnceCell::new(),
            relations: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// Variables that were set, of which the client is to be told.
    fn into_told(self) -> Told {
        self.told.into_inner()
    }

    fn objects(&self) -> &[Object] {
        self.objects.get_or_init(|| objects::objects(&self.session.borrow()))
    }

    /// All schemas, those of the system first.
    fn schemas(&self) -> Vec<String> {
        let session = self.session.borrow();
        let own = session.catalog().schemas().into_iter().map(str::to_owned);
        SYSTEM_SCHEMAS.map(str::to_owned).into_iter().chain(own).collect()
    }

    /// What the database is called.
    fn database(&self) -> String {
        self.session.borrow().catalog().database().to_owned()
    }

    fn databases(&self) -> Vec<String> {
        self.session.borrow().databases()
    }

    /// Whose session it is.
    fn user(&self) -> String {
        self.session.borrow().user().to_owned()
    }

    /// Users, as all relations of them tell it. Nothing is told of passwords but that there is one.
    fn roles(&self, shape: &Shape) -> Vec<Row> {
        let users = self.session.borrow().users();
        let row = |(name, user): (&str, &User)| {
            let is_root = name == ROOT;
            let value = |column: &str| -> Value {
                match column {
                    "oid" | "usesysid" => user.id.into(),
                    "rolname" | "usename" => name.into(),
                    "rolconnlimit" => user.connections_max.map_or(-1, i64::from).into(),
                    "rolpassword" | "passwd" if user.verifier.is_some() => "********".into(),
                    "rolsuper" | "rolcreaterole" | "rolcreatedb" | "usecreatedb" | "usesuper" => is_root.into(),
                    "rolinherit" | "rolcanlogin" => true.into(),
                    "rolreplication" | "rolbypassrls" | "userepl" | "usebypassrls" => false.into(),
                    _ => Value::Null,
                }
            };
            shape.columns.iter().map(|(name, _)| value(name)).collect()
        };
        users.iter().map(row).collect()
    }

    fn role_name(&self, oid: Option<u32>) -> String {
        let users = self.session.borrow().users();
        let found = users.iter().find(|(_, user)| Some(user.id) == oid).map(|(name, _)| name.to_owned());
        found.unwrap_or_else(|| format!("unknown (OID={})", oid.unwrap_or_default()))
    }

    fn role_named(&self, name: &str) -> Option<u32> {
        self.session.borrow().users().user(name).map(|user| user.id)
    }

    fn all_settings(&self) -> Vec<(String, String)> {
        // Numbers that are built into a server, which tools ask for to know what it takes.
        let built_in = [("block_size", "8192"), ("max_function_args", "100"), ("max_index_keys", "32")];
        let mut all = self.variables.borrow().all(&self.session.borrow());
        all.extend(built_in.map(|(name, value)| (name.to_owned(), value.to_owned())));
        all.sort_by_key(|(name, _)| name.to_lowercase());
        all
    }

    fn setting(&self, name: &str, missing_ok: Option<&Value>) -> Result<Value, Error> {
        if let Some(value) = self.variables.borrow().value(&self.session.borrow(), name) {
            return Ok(value.into());
        }
        match missing_ok {
            Some(Value::Bool(true)) => Ok(Value::Null),
            _ => Err(Error::new("42704", format!("unrecognized configuration parameter \"{name}\""))),
        }
    }

    /// Sets a variable; it stays for the session, as everything does that a transaction sets.
    fn set_setting(&self, name: &str, value: Option<&str>) -> Result<Value, Error> {
        let told = self.variables.borrow_mut().set(&mut self.session.borrow_mut(), name, value).map_err(of_engine)?;
        self.told.borrow_mut().extend(told);
        Ok(self.variables.borrow().value(&self.session.borrow(), name).into())
    }
}

impl Environment for Catalogs<'_> {
    fn relation(&self, schema: &str, name: &str) -> Option<Arc<Relation>> {
        let key = (schema.to_owned(), name.to_owned());
        if let Some(relation) = self.relations.borrow().get(&key) {
            return Some(relation.clone());
        }
        let shape = shape::find(schema, name)?;
        let rows = if schema == "pg_catalog" { self.of_postgres(shape) } else { self.of_standard(shape) };
        let relation = Arc::new(shape.filled(rows));
        self.relations.borrow_mut().insert(key, relation.clone());
        Some(relation)
    }

    fn function(&self, name: &str) -> Option<Signature> {
        functions::signature(name)
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        self.answered(name, arguments)
    }

    fn check(&self) -> Result<(), Error> {
        self.session.borrow().canceller().check().map_err(of_engine)
    }
}

fn of_engine(error: SqlError) -> Error {
    Error { code: error.sqlstate, message: error.message, hint: error.hint }
}

fn into_engine(error: Error) -> SqlError {
    let made = SqlError::new(error.code, error.message);
    match error.hint {
        Some(hint) => made.with_hint(hint),
        None => made,
    }
}
