//! `'connector' = 'blackhole'`: drops what is written to it, retractions too. For measuring.

use crate::{Commit, Connector, ConnectorError, Options, Rim, Sink, SinkChanges, SinkRequest, SinkWriter};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use std::sync::Arc;

/// Makes sinks that drop everything.
pub(crate) struct BlackholeConnector;

impl Connector for BlackholeConnector {
    fn name(&self) -> &'static str {
        "blackhole"
    }

    fn sink(&self, options: Options, _: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        options.finish()?;
        Ok(Arc::new(Blackhole))
    }
}

struct Blackhole;

impl Sink for Blackhole {
    fn changes(&self) -> SinkChanges {
        SinkChanges::Full
    }

    fn writer(&self, _: usize, _: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(Blackhole))
    }
}

impl SinkWriter for Blackhole {
    fn write(&mut self, _: &ChangeBatch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn prepare(&mut self, _: Epoch, _: BarrierKind) -> Result<Vec<Commit>, ConnectorError> {
        Ok(vec![])
    }
}
