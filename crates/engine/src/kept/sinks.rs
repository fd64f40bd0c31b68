//! Sinks into tables that the engine keeps: views whose answer is kept in another table.
//!
//! A statement that reaches a sink puts one record into the log of all that it has changed, in the table of the statement and in those that
//! sinks write. So after a crash a table has all that its sinks have written of what they read then, and nothing more: a sink begins
//! again from what it reads, and its first answer is in the table already.

use super::{ChangeBatch, Durable, InLog, Name, SinkNews, SqlError, State, Unsettled, changes_record};
use eddyline_changes::ChangeError;

impl State {
    /// Writes the first answer of a sink.
    pub(super) fn fill(
        &mut self,
        name: &Name,
        table: &Name,
        changes: &[ChangeBatch],
        durable: Option<&Durable>,
    ) -> Result<Unsettled, SqlError> {
        durable.map_or(Ok(()), Durable::check)?;
        let net = self.net_into(table, changes)?;
        // Nothing is changed yet where that is too much to be stored.
        changes_record(0, &net)?;
        self.apply(table, std::slice::from_ref(&net))?;
        let mut written = vec![(table.clone(), net)];
        written.append(&mut self.bring_up_to_date());
        let news = SinkNews { name: name.clone(), failed: None };
        self.store(Vec::new(), written, vec![news], durable)
    }

    /// Writes what has changed in the answer of a sink into its table, and adds what changes there by it.
    pub(super) fn write_into(
        &mut self,
        table: &Name,
        changes: &[ChangeBatch],
        written: &mut Vec<(Name, ChangeBatch)>,
    ) -> Result<(), SqlError> {
        let net = self.net_into(table, changes)?;
        if !net.is_empty() {
            self.apply(table, std::slice::from_ref(&net))?;
            written.push((table.clone(), net));
        }
        Ok(())
    }

    /// What changes in a table by changes in the answer of a sink.
    fn net_into(&self, table: &Name, changes: &[ChangeBatch]) -> Result<ChangeBatch, SqlError> {
        let contents = self.table(table)?;
        let fault = |e: ChangeError| SqlError::new(SqlError::INTERNAL, format!("rows of a sink: {e}"));
        let Some(first) = changes.first() else { return Ok(ChangeBatch::empty(contents.schema().clone())) };
        let all = ChangeBatch::concat(&first.schema(), changes).and_then(|all| all.consolidate()).map_err(fault)?;
        let rows = contents.own(all.rows())?;
        let net = contents.written(&all.with_rows(rows).map_err(fault)?)?;
        contents.check_unique(&net)?;
        Ok(net)
    }

    /// Puts one record into the log of all that a statement has changed: what it wrote itself, what sinks have written by it, and which sinks
    /// are filled now, or have failed. So the rows of all tables are of one moment after a crash.
    pub(super) fn store(
        &mut self,
        mut records: Vec<(Name, Vec<u8>)>,
        written: Vec<(Name, ChangeBatch)>,
        mut news: Vec<SinkNews>,
        durable: Option<&Durable>,
    ) -> Result<Unsettled, SqlError> {
        news.append(&mut self.failed_sinks);
        let Some(durable) = durable else {
            self.followers.end_epoch(0);
            return Ok(Unsettled(0));
        };
        for (table, changes) in written {
            let contents = self.table(&table)?;
            if contents.log().is_some() {
                let record = changes_record(contents.id(), &changes)?;
                records.push((table, record));
            }
        }
        let (tables, records): (Vec<Name>, Vec<Vec<u8>>) = records.into_iter().unzip();
        let last = durable.enqueue_together(records, news)?;
        for table in &tables {
            if let Some(contents) = self.contents.get_mut(table) {
                contents.set_log(InLog { is_filling: false, last });
            }
        }
        self.last_record = self.last_record.max(last);
        self.followers.end_epoch(last);
        Ok(Unsettled(last))
    }
}
