//! EXPLAIN: how a statement would run, and what it would keep.

use crate::beginning::Beginning;
use crate::changes::check_assigned;
use crate::job;
use crate::joined::{rows_of_delete, rows_of_update};
use crate::listing::Listing;
use crate::scan::ScanPlan;
use crate::session::{result_output, written_table};
use crate::sinks::ExplainedSink;
use crate::{ScriptError, Session};
use eddyline_catalog::Name;
use eddyline_planner::statement::{ExplainStage, Statement, StatementKind};
use eddyline_planner::{JobOutput, PlannedJob, SqlError};

impl Session {
    /// What EXPLAIN shows of a statement.
    ///
    /// # Errors
    /// What cannot be planned, or is no query; a table that cannot be opened.
    pub fn explain(&self, stage: ExplainStage, statement: &Statement) -> Result<Listing, SqlError> {
        let planned = self.explained(statement)?;
        let mut text = planned.explain(stage);
        let into = match &statement.kind {
            StatementKind::CreateSink { into, .. } => into.as_ref(),
            _ => None,
        };
        let writes =
            !matches!(statement.kind, StatementKind::Select(_) | StatementKind::Update(_) | StatementKind::Delete(_))
                && !self.is_change_of_kept(statement);
        if let (ExplainStage::Dataflow, Some(table)) = (stage, into) {
            text = format!("{text}\nDELIVERY: {table} exactly-once: it changes with what the sink reads");
        } else if stage == ExplainStage::Dataflow && writes {
            for line in self.explained_delivery(statement, &planned)? {
                text = format!("{text}\n{line}");
            }
        } else if stage == ExplainStage::Dataflow {
            if let Some(in_order) = self.explained_in_order(statement)? {
                return Ok(Listing::lines("plan", &in_order));
            }
            for line in self.indexes_read(&planned.dataflow)? {
                text = format!("{text}\n{line}");
            }
        }
        Ok(Listing::lines("plan", &text))
    }

    /// What EXPLAIN shows of a SELECT that reads rows in the order that it asks for, so that they are not sorted, and no job keeps the first ones.
    fn explained_in_order(&self, statement: &Statement) -> Result<Option<String>, SqlError> {
        let StatementKind::Select(query) = &statement.kind else { return Ok(None) };
        if query.order_by.is_none() {
            return Ok(None);
        }
        let select = self.planned_select_with(query, true).map_err(ScriptError::into_error)?;
        let Some(plan) = ScanPlan::of(&select.planned.job, &self.settings)? else { return Ok(None) };
        let Some(source) = plan.source() else { return Ok(None) };
        let line = self.read_through(source, &plan.sort())?.filter(|line| line.contains(", in the order"));
        Ok(line.map(|line| format!("{}\n{line}", select.planned.job.explain(ExplainStage::Dataflow))))
    }

    /// What EXPLAIN STATE shows of a statement.
    ///
    /// # Errors
    /// As [`explain`](Self::explain); a table that cannot be opened.
    pub fn explain_state(&self, statement: &Statement) -> Result<Listing, SqlError> {
        let planned = self.explained(statement)?;
        let kept = job::kept_state(self.engine.registry(), &self.settings, &planned.dataflow)?;
        Ok(Listing::lines("state", &kept.to_string()))
    }

    fn explained(&self, statement: &Statement) -> Result<PlannedJob, SqlError> {
        if let Some(ExplainedSink { sink, own, outputs }) = self.of_sink(statement)? {
            return own.plan_sink(&sink, outputs);
        }
        match self.explained_change(statement)? {
            Some(planned) => Ok(planned),
            None => self.plan(self.explained_outputs(statement)?),
        }
    }

    fn is_change_of_kept(&self, statement: &Statement) -> bool {
        matches!(&statement.kind, StatementKind::Insert(insert) if self.keeps(&insert.table))
    }

    /// How the rows are computed that an INSERT, UPDATE or DELETE of a table here changes; `None`: the statement is another.
    fn explained_change(&self, statement: &Statement) -> Result<Option<PlannedJob>, SqlError> {
        let number = self.engine.next_channel();
        let planned = match &statement.kind {
            StatementKind::Insert(insert) if self.keeps(&insert.table) => {
                let table = self.changed(&insert.table, insert.position)?;
                self.conflict_order(insert, table)?;
                let insert = insert.with_defaults(table)?;
                self.planned_rows(&insert.query, table.clone(), insert.columns, insert.position, number)?
            }
            StatementKind::Update(update) => {
                let table = self.changed(&update.table, update.position)?;
                check_assigned(table, update)?;
                let update = update.with_defaults(table)?;
                let of_rows = rows_of_update(table, &update);
                self.planned_rows(&update.query(table)?, of_rows, Vec::new(), update.position, number)?
            }
            StatementKind::Delete(delete) => {
                let table = self.changed(&delete.table, delete.position)?;
                let of_rows = rows_of_delete(table, delete);
                self.planned_rows(&delete.query(table)?, of_rows, Vec::new(), delete.position, number)?
            }
            _ => return Ok(None),
        };
        Ok(Some(planned.job))
    }

    pub(crate) fn explained_outputs(&self, statement: &Statement) -> Result<Vec<JobOutput>, SqlError> {
        Ok(match &statement.kind {
            StatementKind::Select(query) => vec![result_output(query, 0)],
            StatementKind::Insert(insert) => vec![self.insert_output(insert)?],
            StatementKind::StatementSet(inserts) => {
                inserts.iter().map(|i| self.insert_output(i)).collect::<Result<_, _>>()?
            }
            _ => {
                return Err(SqlError::new(SqlError::UNSUPPORTED, "EXPLAIN shows how a query runs; this is none")
                    .with_hint(
                        "EXPLAIN a SELECT, INSERT, UPDATE, DELETE, CREATE MATERIALIZED VIEW, CREATE SINK or a statement set",
                    ));
            }
        })
    }

    /// What EXPLAIN ALTER shows of a statement: what would become of the state of its job, or of the savepoint `from`.
    ///
    /// # Errors
    /// As [`explain`](Self::explain); what is kept cannot be read.
    pub(crate) fn explain_alter(&self, from: Option<&str>, statement: &Statement) -> Result<Listing, ScriptError> {
        let outputs = self.explained_outputs(statement)?;
        let tables: Vec<&Name> = outputs.iter().filter_map(written_table).collect();
        let beginning = Beginning::imagined(&self.engine, &self.settings, &tables, from)?;
        self.alteration(outputs, &beginning)
    }
}
