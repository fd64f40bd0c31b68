//! A query of a client over the catalogs: its parameters and its answer.

use super::{Catalogs, Told, functions, into_engine, shape};
use crate::values::{self, fields};
use crate::variables::Variables;
use crate::wire::Format;
use crate::wire::backend::Field;
use eddyline_engine::{Listing, Session, SqlError};
use eddyline_introspection::{Concern, Environment, Error, Plan, Query, Relation, Signature, Type, Value};
use std::sync::Arc;

/// A query, the types of its parameters, and their values.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    query: Query,
    types: Vec<Type>,
    values: Vec<Value>,
}

/// A text as a query over the catalogs alone; `None`: it is something else.
pub(crate) fn read(text: &str) -> Option<Asked> {
    let query = Query::read(text)?;
    (query.concern(&Names) == Concern::Catalogs).then_some(Asked { query, types: Vec::new(), values: Vec::new() })
}

impl Asked {
    /// Finds the types of its parameters; 0 leaves one open.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(crate) fn prepare(
        &mut self,
        session: &mut Session,
        variables: &mut Variables,
        oids: &[u32],
    ) -> Result<Vec<u32>, SqlError> {
        let given: Vec<Type> = oids.iter().map(|oid| Type::of_oid(*oid).unwrap_or(Type::Unknown)).collect();
        let plan = self.plan(&Catalogs::new(session, variables), &given)?;
        self.types = plan.parameters().to_vec();
        let own = self.types.iter().enumerate();
        Ok(own.map(|(at, of)| oids.get(at).copied().filter(|oid| *oid != 0).unwrap_or_else(|| of.oid())).collect())
    }

    fn plan(&self, catalogs: &Catalogs<'_>, types: &[Type]) -> Result<Plan, SqlError> {
        self.query.plan(catalogs, types).map_err(into_engine)
    }

    /// Gives its parameters values.
    ///
    /// # Errors
    /// Bytes that are no value.
    pub(crate) fn with_values(&self, values: &[Option<bytes::Bytes>], formats: &[Format]) -> Result<Self, SqlError> {
        let value = |(at, (of, value)): (usize, (&Type, &Option<bytes::Bytes>))| {
            values::catalog::value(at + 1, of, Format::of(formats, at), value.as_deref())
        };
        let values = self.types.iter().zip(values).enumerate().map(value).collect::<Result<_, _>>()?;
        Ok(Self { values, ..self.clone() })
    }

    pub(crate) fn parameters(&self) -> usize {
        self.types.len()
    }

    /// The columns of its answer.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(crate) fn fields(&self, session: &mut Session, variables: &mut Variables) -> Result<Vec<Field>, SqlError> {
        let plan = self.plan(&Catalogs::new(session, variables), &self.types)?;
        Ok(fields(&values::catalog::schema(plan.columns())))
    }

    /// Its answer, and what the client is to be told of variables.
    ///
    /// # Errors
    /// What is wrong with the query, or its values.
    pub(crate) fn answer(&self, session: &mut Session, variables: &mut Variables) -> Result<(Listing, Told), SqlError> {
        let catalogs = Catalogs::new(session, variables);
        let plan = self.plan(&catalogs, &self.types)?;
        let rows = plan.rows(&catalogs, &self.values).map_err(into_engine)?;
        let rows = values::catalog::batch(plan.columns(), &rows, &catalogs).map_err(into_engine)?;
        Ok((Listing { rows, plain: false }, catalogs.into_told()))
    }
}

/// Names of relations and functions alone, to see what a query concerns.
struct Names;

impl Environment for Names {
    fn relation(&self, schema: &str, name: &str) -> Option<Arc<Relation>> {
        shape::empty(schema, name)
    }

    fn function(&self, name: &str) -> Option<Signature> {
        functions::signature(name)
    }

    fn call(&self, name: &str, _: &[Value]) -> Result<Value, Error> {
        Err(Error::new("XX000", format!("{name} is called without a database")))
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}
