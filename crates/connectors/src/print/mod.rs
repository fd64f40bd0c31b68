//! `'connector' = 'print'`: a line per change on standard output, as Flink prints it: `+I[1, a]`, `-U[…]`, `+U[…]`,
//! `-D[…]`, behind `<print-identifier>> ` if there is one.
//!
//! Lines appear when their epoch is complete, never half of one. Which shard wrote a line is not printed.

mod line;
#[cfg(test)]
mod tests;

use crate::changelog::row_kinds;
use crate::{Commit, Committer, Connector, ConnectorError, Options, Rim, Sink, SinkChanges, SinkRequest, SinkWriter};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use line::Line;
use std::io::Write;
use std::sync::Arc;

/// Makes printing sinks.
pub(crate) struct PrintConnector;

impl Connector for PrintConnector {
    fn name(&self) -> &'static str {
        "print"
    }

    fn sink(&self, mut options: Options, request: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        let prefix = options.text("print-identifier").map(|id| format!("{id}> ")).unwrap_or_default();
        let standard_error = options.flag("standard-error", false)?;
        options.finish()?;
        Ok(Arc::new(PrintSink { prefix, standard_error, key: request.key }))
    }
}

struct PrintSink {
    prefix: String,
    standard_error: bool,
    key: Option<Vec<usize>>,
}

impl Sink for PrintSink {
    fn changes(&self) -> SinkChanges {
        SinkChanges::Full
    }

    fn writer(&self, _: usize, _: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(PrintWriter { prefix: self.prefix.clone(), key: self.key.clone(), text: Vec::new() }))
    }

    fn committer(&self, _: &Rim) -> Result<Option<Box<dyn Committer>>, ConnectorError> {
        let (place, out): (_, Box<dyn Write + Send>) = match self.standard_error {
            true => ("standard error", Box::new(std::io::stderr())),
            false => ("standard output", Box::new(std::io::stdout())),
        };
        Ok(Some(Box::new(PrintCommitter { place, out, last: Epoch(0) })))
    }
}

/// Gathers the lines of an epoch.
struct PrintWriter {
    prefix: String,
    key: Option<Vec<usize>>,
    text: Vec<u8>,
}

impl SinkWriter for PrintWriter {
    fn write(&mut self, changes: &ChangeBatch) -> Result<(), ConnectorError> {
        let line = Line::new(changes.rows())?;
        for (row, kind) in row_kinds(changes, self.key.as_deref())? {
            self.text.extend_from_slice(self.prefix.as_bytes());
            self.text.extend_from_slice(kind.short().as_bytes());
            line.append(row as usize, &mut self.text);
            self.text.push(b'\n');
        }
        Ok(())
    }

    fn prepare(&mut self, _: Epoch, _: BarrierKind) -> Result<Vec<Commit>, ConnectorError> {
        let text = std::mem::take(&mut self.text);
        Ok(if text.is_empty() { vec![] } else { vec![Commit(text)] })
    }
}

struct PrintCommitter {
    place: &'static str,
    out: Box<dyn Write + Send>,
    last: Epoch,
}

impl Committer for PrintCommitter {
    fn commit(&mut self, epoch: Epoch, commits: &[Commit]) -> Result<(), ConnectorError> {
        if epoch <= self.last {
            return Ok(());
        }
        let mut write = || commits.iter().try_for_each(|c| self.out.write_all(&c.0)).and_then(|()| self.out.flush());
        write().map_err(|source| ConnectorError::Io { place: self.place.into(), source })?;
        self.last = epoch;
        Ok(())
    }
}
