//! Suites of sqllogictest files over the wire of Postgres, as a driver sends and reads them.
//!
//! What a value looks like in a suite does not depend on how it came: [`shown`] brings what the protocol has, as text or binary, into
//! the form that an embedded session gives. So a file says its results once.

mod shown;

use crate::feed::Changes;
use crate::suite::Failed;
use eddyline_connectors::Registry;
use eddyline_engine::{Dialect, Engine, EngineConfig, SqlError, TextPosition, parse_in, split};
use eddyline_server::{ServerConfig, bind};
use shown::{Raw, of_binary, of_text};
use sqllogictest::{DB, DBOutput, DefaultColumnType};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, Statement};

/// How statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Simple queries: values come as texts.
    Simple,
    /// Prepared statements: values come in the binary format.
    Extended,
}

/// A server of its own, and a client of it in the dialect of Flink, as sqllogictest sees it.
pub struct Wire {
    tokio: Handle,
    protocol: Protocol,
    client: Client,
    /// Of what comes next.
    dialect: Dialect,
    server: JoinHandle<()>,
}

impl Wire {
    /// A server of nothing yet, whose jobs have one shard; knows the connector `changes`.
    ///
    /// # Panics
    /// There is no port, or nobody answers.
    pub fn new(tokio: Handle, protocol: Protocol) -> Self {
        let registry = Registry::builtin().with(Arc::new(Changes::default()));
        let engine = Engine::new(EngineConfig { registry, shards: 1, ..EngineConfig::new(tokio.clone()) });
        let (server, client) = tokio.block_on(async {
            let bound = bind(engine.instance(), &ServerConfig::new(([127, 0, 0, 1], 0).into())).await.expect("a port");
            let port = bound.address().expect("an address").port();
            let server = tokio::spawn(bound.serve());
            let at = format!("host=127.0.0.1 port={port} user=root dbname=dev");
            let (client, connection) = tokio_postgres::connect(&at, NoTls).await.expect("a connection");
            tokio::spawn(connection);
            client.batch_execute("SET sql.dialect = 'flink'").await.expect("a dialect");
            (server, client)
        });
        Self { tokio, protocol, client, dialect: Dialect::Flink, server }
    }

    async fn statement(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, tokio_postgres::Error> {
        let prepared = self.client.prepare(sql).await?;
        if prepared.columns().is_empty() {
            match self.protocol {
                Protocol::Simple => self.client.batch_execute(sql).await?,
                Protocol::Extended => drop(self.client.execute(&prepared, &[]).await?),
            }
            return Ok(DBOutput::StatementComplete(0));
        }
        let types: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
        let rows = match self.protocol {
            Protocol::Simple => self.rows_as_text(sql, &types).await?,
            Protocol::Extended => self.rows_as_binary(&prepared, &types).await?,
        };
        Ok(DBOutput::Rows { types: types.iter().map(letter).collect(), rows })
    }

    async fn rows_as_text(&self, sql: &str, types: &[Type]) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some(types.iter().enumerate().map(|(at, of)| cell(row.get(at).map(|text| of_text(of, text)))).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    async fn rows_as_binary(
        &self,
        prepared: &Statement,
        types: &[Type],
    ) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let rows = self.client.query(prepared, &[]).await?;
        let row = |row: &tokio_postgres::Row| -> Result<Vec<String>, tokio_postgres::Error> {
            let each = types.iter().enumerate();
            each.map(|(at, of)| Ok(cell(row.try_get::<_, Option<Raw>>(at)?.map(|raw| of_binary(of, &raw.0))))).collect()
        };
        rows.iter().map(row).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl DB for Wire {
    type Error = Failed;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failed> {
        let pieces = split(sql, self.dialect);
        let begun = pieces.begun.map(|begin| begin..sql.len());
        let mut output = DBOutput::StatementComplete(0);
        for range in pieces.statements.into_iter().chain(begun) {
            let text = &sql[range];
            output = self.tokio.block_on(self.statement(text)).map_err(|error| failed(&error, text))?;
            if text.to_ascii_lowercase().contains("dialect") {
                let said = parse_in(text, self.dialect).ok().and_then(|mut all| all.pop());
                self.dialect = said.map_or(self.dialect, |said| said.kind.dialect_behind(self.dialect));
            }
        }
        Ok(output)
    }

    fn engine_name(&self) -> &str {
        "eddyline"
    }
}

/// An error as a terminal of the engine shows it.
fn failed(error: &tokio_postgres::Error, sql: &str) -> Failed {
    let Some(told) = error.as_db_error() else { return Failed::new(format!("the connection: {error:?}")) };
    // SQLSTATEs are constants of the engine; there are as many of these as statements of a suite that fail.
    let error = SqlError {
        sqlstate: told.code().code().to_owned().leak(),
        message: told.message().to_owned(),
        detail: told.detail().map(str::to_owned),
        hint: told.hint().map(str::to_owned),
        position: position(told, sql),
        constraint: None,
    };
    Failed::new(error.render(sql))
}

/// Line and column of what the protocol counts in characters.
fn position(error: &DbError, sql: &str) -> Option<TextPosition> {
    let Some(ErrorPosition::Original(at)) = error.position() else { return None };
    let before: String = sql.chars().take(*at as usize - 1).collect();
    let line = before.matches('\n').count() + 1;
    Some(TextPosition { line, column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1 })
}

fn letter(of: &Type) -> DefaultColumnType {
    match *of {
        Type::INT2 | Type::INT4 | Type::INT8 => DefaultColumnType::Integer,
        Type::FLOAT4 | Type::FLOAT8 => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn cell(value: Option<String>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text,
    }
}
