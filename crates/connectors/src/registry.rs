use crate::blackhole::BlackholeConnector;
use crate::datagen::DatagenConnector;
use crate::filesystem::FilesystemConnector;
use crate::nexmark::NexmarkConnector;
use crate::print::PrintConnector;
use crate::socket::SocketConnector;
use crate::{ConnectorError, Options, Reach, Sink, SinkRequest, Source, SourceChanges, SourceRequest};
use arrow::datatypes::DataType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A kind of place outside, by the name in `'connector' = '…'`.
pub trait Connector: Send + Sync {
    /// The name.
    fn name(&self) -> &'static str;

    /// METADATA columns that it can give its rows: key and type.
    fn metadata(&self) -> Vec<(&'static str, DataType)> {
        Vec::new()
    }

    /// What changes a table with these options hands out: the planner must know. Sources that only ever add rows
    /// keep the default.
    fn changes(&self, options: &BTreeMap<String, String>) -> SourceChanges {
        let _ = options;
        SourceChanges::Inserts
    }

    /// A source with these options. Reads every option it knows and calls [`Options::finish`]; does no I/O, so that
    /// it also serves to check a table's definition.
    ///
    /// # Errors
    /// Options that do not fit, columns that the format cannot decode, or a connector that cannot be read.
    fn source(&self, options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let _ = request;
        Err(ConnectorError::Unsupported {
            message: format!("table {}: connector '{}' cannot be read", options.table(), self.name()),
            hint: "read from another table; this connector is a sink".into(),
        })
    }

    /// A sink with these options; as [`source`](Self::source).
    ///
    /// # Errors
    /// As [`source`](Self::source).
    fn sink(&self, options: Options, request: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        let _ = request;
        Err(ConnectorError::Unsupported {
            message: format!("table {}: connector '{}' cannot be written", options.table(), self.name()),
            hint: "write to another table; this connector is a source".into(),
        })
    }
}

/// The connectors that a session knows.
#[derive(Clone)]
pub struct Registry {
    connectors: BTreeMap<&'static str, Arc<dyn Connector>>,
}

impl Registry {
    /// No connectors.
    pub fn empty() -> Self {
        Self { connectors: BTreeMap::new() }
    }

    /// All connectors of this crate, which reach everything.
    pub fn builtin() -> Self {
        Self::within(&Reach::free())
    }

    /// All connectors of this crate, as far as they reach.
    pub fn within(reach: &Reach) -> Self {
        Self::empty()
            .with(Arc::new(BlackholeConnector))
            .with(Arc::new(DatagenConnector))
            .with(Arc::new(FilesystemConnector { reach: reach.clone() }))
            .with(Arc::new(NexmarkConnector))
            .with(Arc::new(PrintConnector))
            .with(Arc::new(SocketConnector { reach: reach.clone() }))
    }

    /// One more connector, in the place of one of the same name.
    pub fn with(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connectors.insert(connector.name(), connector);
        self
    }

    /// The names of all connectors.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.connectors.keys().copied()
    }

    /// The connector that `options` name.
    ///
    /// # Errors
    /// No option `connector`, or an unknown one: lists the known ones.
    pub fn connector(
        &self,
        table: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<&Arc<dyn Connector>, ConnectorError> {
        // Names that begin with $ are the engine's own.
        let public = || self.names().filter(|n| !n.starts_with('$')).collect::<Vec<_>>().join(", ");
        let known = || format!("connectors are: {}", public());
        let name = options.get("connector").ok_or_else(|| ConnectorError::Option {
            message: format!("table {table}: option 'connector' is missing"),
            hint: known(),
        })?;
        self.connectors.get(name.as_str()).ok_or_else(|| ConnectorError::Option {
            message: format!("table {table}: unknown connector '{name}'"),
            hint: known(),
        })
    }

    /// A source for a table with `options`.
    ///
    /// # Errors
    /// As [`Connector::source`].
    pub fn source(
        &self,
        options: &BTreeMap<String, String>,
        request: SourceRequest,
    ) -> Result<Arc<dyn Source>, ConnectorError> {
        let connector = self.connector(&request.table, options)?;
        connector.source(Options::new(&request.table, options), request)
    }

    /// A sink for a table with `options`.
    ///
    /// # Errors
    /// As [`Connector::sink`].
    pub fn sink(
        &self,
        options: &BTreeMap<String, String>,
        request: SinkRequest,
    ) -> Result<Arc<dyn Sink>, ConnectorError> {
        let connector = self.connector(&request.table, options)?;
        connector.sink(Options::new(&request.table, options), request)
    }
}
