//! What becomes of the state of a job whose query has changed.
//!
//! Operators find their state by what they keep ([`eddyline_plan::state_origins`]), not by their ids: a place is the same where the same rows
//! are kept by the same keys, whatever else the query computes of them. So what was kept stays valid, and:
//!
//! - **kept**: place, columns and types are the same.
//! - **migrated**: rows that are kept as they are, of which columns have wider types now; an aggregate of groups or windows whose keys or arguments
//!   have wider types, or that computes other aggregates. Those that follow from
//!   what was kept (COUNT(*) from the number of rows, COUNT and AVG from SUM) are exact. Others count from here on, which is only possible
//!   where nothing is taken back, and is told as a loss.
//! - **rebuilt**: it begins empty, and knows the rows from here on. So does everything that reads from it.
//! - **new**: it begins empty, and reads its tables from their beginning: nothing is lost.
//! - **dropped**: the query has no operator that could keep it.
//!
//! An operator that begins empty behind one that does not would be told to take back rows that it never had. That is
//! refused, whatever is allowed.

use crate::alter_columns::{Computed, migration, rows_migration, widened};
use eddyline_checkpoint::{ColumnFact, Manifest, OperatorFact, StateFact};
use eddyline_operators::MigrationSpec;
use eddyline_plan::{AggregatePhase, ChangeMode, Dataflow, NodeId, OperatorSpec, StateOrigin, Words, state_origins};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How the name of a sink's operator begins.
const SINK: &str = "Sink ";

/// What becomes of one operator's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Kept,
    /// It goes on in another form.
    Migrated,
    /// There was none, and nothing is missing.
    New,
    /// It begins empty.
    Rebuilt,
    /// Nobody has it any more.
    Dropped,
}

/// What becomes of one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorChange {
    /// The operator, as EXPLAIN shows it.
    pub operator: String,
    /// What becomes of its state.
    pub verdict: Verdict,
    /// Why, or what that means; empty for what goes on as it is.
    pub why: String,
    /// State is lost, or is not that of all input.
    pub loses: bool,
}

/// What becomes of a job's state.
#[derive(Debug, Clone, Default)]
pub struct Alteration {
    /// By operator: first those of the query, then those that it has no more.
    pub changes: Vec<OperatorChange>,
    /// Why it cannot be, whatever is allowed.
    pub impossible: Option<String>,
    /// Where the state of each old operator goes. That of others is dropped.
    pub(crate) moves: BTreeMap<u64, Move>,
}

/// Where an operator's state goes.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) to: u64,
    pub(crate) migration: Option<Box<MigrationSpec>>,
}

impl Alteration {
    /// Is state lost?
    pub fn loses(&self) -> bool {
        self.changes.iter().any(|c| c.loses)
    }

    /// Is everything as it was?
    pub fn is_nothing(&self) -> bool {
        self.impossible.is_none() && self.changes.iter().all(|c| c.verdict == Verdict::Kept)
    }

    /// Does all state go on as it was? (Sinks keep none: they may have other names.)
    pub fn keeps_all_state(&self) -> bool {
        let goes_on = |c: &OperatorChange| c.verdict == Verdict::Kept || c.operator.starts_with(SINK);
        self.impossible.is_none() && self.changes.iter().all(goes_on)
    }

    /// Can the state be taken as it is, file by file?
    pub(crate) fn is_in_place(&self, manifest: &Manifest) -> bool {
        let stays = |o: &OperatorFact| self.moves.get(&o.id).is_some_and(|m| m.to == o.id && m.migration.is_none());
        manifest.operators.iter().filter(|o| o.state.is_some()).all(stays)
    }

    /// What is lost, for an error.
    pub(crate) fn losses(&self) -> Vec<String> {
        self.changes.iter().filter(|c| c.loses).map(ToString::to_string).collect()
    }
}

impl fmt::Display for OperatorChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict, self.operator)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Kept => "kept",
            Verdict::Migrated => "migrated",
            Verdict::New => "new",
            Verdict::Rebuilt => "rebuilt",
            Verdict::Dropped => "dropped",
        })
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let lost = if change.loses { " (state is lost)" } else { "" };
            writeln!(f, "{change}{lost}")?;
        }
        match &self.impossible {
            Some(why) => writeln!(f, "cannot be: {why}"),
            None => Ok(()),
        }
    }
}

/// An operator of the new plan that keeps something.
struct New {
    origin: StateOrigin,
    fact: StateFact,
    /// Number of its old operator.
    old: Option<usize>,
}

/// Compares the state of `manifest` with what the operators of `dataflow` keep.
pub(crate) fn alteration(manifest: &Manifest, dataflow: &Dataflow) -> Alteration {
    of_operators(&manifest.operators, Words::of(manifest.words), dataflow)
}

/// Compares what the operators of two plans keep: what would become of the state of a job that runs by the first, if it went on by the second.
pub fn alteration_of_plan(before: &Dataflow, after: &Dataflow) -> Alteration {
    of_operators(&crate::recovery::operator_facts(before), Some(Words::NOW), after)
}

fn of_operators(operators: &[OperatorFact], words_of_state: Option<Words>, dataflow: &Dataflow) -> Alteration {
    if operators.iter().all(|o| o.state.is_none()) {
        return by_ids(operators, dataflow);
    }
    let old: Vec<(&OperatorFact, &StateFact)> = operators.iter().filter_map(|o| Some((o, o.state.as_ref()?))).collect();
    let Some(stored) = words_of_state else { return by_ids(operators, dataflow) };
    let mut new: Vec<New> = state_origins(dataflow, stored)
        .into_iter()
        .map(|origin| New { fact: crate::alter_columns::fact(&origin), origin, old: None })
        .collect();
    match_up(&old, &mut new, dataflow);
    let mut judging = Judging { dataflow, old: &old, result: Alteration::default(), empty: BTreeMap::new() };
    let mut at_node: BTreeMap<NodeId, &New> = new.iter().map(|n| (n.origin.node, n)).collect();
    for node in dataflow.nodes() {
        match at_node.remove(&node.id) {
            Some(new) => judging.operator(new),
            None => judging.stateless(node.id),
        }
    }
    let taken: BTreeSet<usize> = new.iter().filter_map(|n| n.old).collect();
    let mut result = judging.result;
    for (at, (operator, state)) in old.iter().enumerate() {
        if !taken.contains(&at) {
            let loses = !state.place.starts_with("Source: ");
            let why = words(state);
            let (operator, verdict) = (operator.name.clone(), Verdict::Dropped);
            result.changes.push(OperatorChange { operator, verdict, why, loses });
        }
    }
    sinks(operators, dataflow, &mut result);
    result
}

/// Of state of which it is not known what operators keep in it: all must be there.
fn by_ids(operators: &[OperatorFact], dataflow: &Dataflow) -> Alteration {
    let was: BTreeSet<u64> = operators.iter().map(|o| o.id).collect();
    let is: BTreeSet<u64> = dataflow.nodes().iter().map(|n| n.operator.0).collect();
    let moves = was.iter().map(|id| (*id, Move { to: *id, migration: None })).collect();
    let why = || "it does not say what its operators keep, and they are not the same ones".to_owned();
    Alteration { changes: Vec::new(), impossible: (was != is).then(why), moves }
}

/// Finds the old operator of each new one: of the same place, and where there are several, by its id, then by what it keeps.
fn match_up(old: &[(&OperatorFact, &StateFact)], new: &mut [New], dataflow: &Dataflow) {
    let mut free: BTreeSet<usize> = (0..old.len()).collect();
    type Fits = fn(&(&OperatorFact, &StateFact), u64, &StateFact) -> bool;
    let rounds: [Fits; 3] =
        [|(o, _), id, _| o.id == id, |(_, state), _, fact| texts(&state.kept).eq(texts(&fact.kept)), |_, _, _| true];
    for fits in rounds {
        for new in new.iter_mut().filter(|n| n.old.is_none()) {
            let id = dataflow.nodes()[new.origin.node].operator.0;
            let is_it = |at: &&usize| old[**at].1.place == new.fact.place && fits(&old[**at], id, &new.fact);
            new.old = free.iter().find(is_it).copied();
            if let Some(at) = new.old {
                free.remove(&at);
            }
        }
    }
}

fn texts(columns: &[ColumnFact]) -> impl Iterator<Item = &str> {
    columns.iter().map(|c| c.text.as_str())
}

/// What an operator keeps, in a line.
fn words(state: &StateFact) -> String {
    texts(&state.kept).collect::<Vec<_>>().join(", ")
}

struct Judging<'a> {
    dataflow: &'a Dataflow,
    old: &'a [(&'a OperatorFact, &'a StateFact)],
    result: Alteration,
    /// The nodes whose rows are not those of all input, or would not be the same as before: what begins empty above them, if anything
    /// does, and whether it has missed anything.
    empty: BTreeMap<NodeId, Empty>,
}

/// What begins empty.
#[derive(Debug, Clone, Default)]
struct Empty {
    /// Operators that begin empty though there was input before.
    missing: Option<String>,
    /// Something goes on from before.
    goes_on: bool,
    /// All sources are read from their beginning.
    is_new: bool,
}

impl Judging<'_> {
    fn name(&self, node: NodeId) -> String {
        crate::recovery::operator_name(&self.dataflow.nodes()[node])
    }

    /// What is known of all inputs of a node together.
    fn below(&self, node: NodeId) -> Empty {
        let inputs = &self.dataflow.nodes()[node].inputs;
        let below = inputs.iter().filter_map(|i| self.empty.get(&i.from));
        let mut all = Empty { is_new: true, ..Empty::default() };
        for one in below {
            all.missing = all.missing.or_else(|| one.missing.clone());
            all.goes_on |= one.goes_on;
            all.is_new &= one.is_new;
        }
        all
    }

    fn stateless(&mut self, node: NodeId) {
        let below = self.below(node);
        self.empty.insert(node, below);
    }

    fn operator(&mut self, new: &New) {
        let node = new.origin.node;
        let id = self.dataflow.nodes()[node].operator.0;
        let below = self.below(node);
        let is_source = matches!(self.dataflow.nodes()[node].spec, OperatorSpec::Source(_));
        let old = new.old.map(|at| self.old[at]);
        if is_source {
            let is_new = old.is_none();
            if let Some((operator, _)) = old {
                self.result.moves.insert(operator.id, Move { to: id, migration: None });
            }
            let (verdict, why) = match is_new {
                true => (Verdict::New, "it is read from its beginning"),
                false => (Verdict::Kept, ""),
            };
            self.push(node, verdict, why.into(), false);
            self.empty.insert(node, Empty { is_new, ..Empty::default() });
            return;
        }
        let found = old.map(|(operator, state)| (operator, self.go_on(new, state, &below)));
        match found {
            Some((operator, Ok((migration, why, loses)))) => {
                let verdict = if migration.is_some() { Verdict::Migrated } else { Verdict::Kept };
                self.result.moves.insert(operator.id, Move { to: id, migration });
                self.push(node, verdict, why, loses);
                self.empty.insert(node, Empty { goes_on: true, ..Empty::default() });
            }
            Some((_, Err(why))) => self.begin_empty(node, why, &below),
            None if below.is_new => {
                self.push(node, Verdict::New, "it reads its tables from their beginning".into(), false);
                self.empty.insert(node, Empty { is_new: true, ..Empty::default() });
            }
            None => self.begin_empty(node, "there was nothing like it".into(), &below),
        }
    }

    /// The state of an operator of the same place. `Err`: why it cannot go on.
    fn go_on(
        &self,
        new: &New,
        old: &StateFact,
        below: &Empty,
    ) -> Result<(Option<Box<MigrationSpec>>, String, bool), String> {
        if let Some(missing) = &below.missing {
            return Err(format!("{missing}, from which it reads, begins empty"));
        }
        if old.form != new.fact.form {
            return Err("what it keeps has another form, because other changes come to it".into());
        }
        if old.keys == new.fact.keys && old.kept == new.fact.kept {
            return Ok((None, String::new(), false));
        }
        let node = &self.dataflow.nodes()[new.origin.node];
        let computed = match &node.spec {
            OperatorSpec::GroupAggregate(spec) if spec.phase != AggregatePhase::Distinct => {
                Some(Computed { calls: &spec.calls, append_only: spec.append_only, has_slices: false })
            }
            OperatorSpec::WindowAggregate(spec) => {
                Some(Computed { calls: &spec.calls, append_only: spec.append_only, has_slices: true })
            }
            _ => None,
        };
        let Some(computed) = computed else {
            let are_kept = !new.origin.rows.is_empty() && old.keys == new.fact.keys;
            if !are_kept || !texts(&old.kept).eq(texts(&new.fact.kept)) {
                return Err(difference(old, &new.fact));
            }
            let migration = rows_migration(old, &new.fact, &new.origin)?;
            return Ok((Some(Box::new(migration.spec)), migration.told.join("; "), migration.loses));
        };
        let migration = migration(&computed, old, &new.fact, &new.origin)?;
        let mut parts = widened(old, &new.fact);
        parts.extend(migration.told);
        Ok((Some(Box::new(migration.spec)), parts.join("; "), migration.loses))
    }

    /// It begins empty though there was input before.
    fn begin_empty(&mut self, node: NodeId, why: String, below: &Empty) {
        let name = self.name(node);
        let takes_back = |from: NodeId| self.dataflow.nodes()[from].traits.mode != ChangeMode::AppendOnly;
        let inputs = &self.dataflow.nodes()[node].inputs;
        let is_told_too_much = |from: NodeId| {
            let goes_on = self.empty.get(&from).is_some_and(|e| e.goes_on);
            takes_back(from) && (goes_on || self.old_rows_go(from))
        };
        if inputs.iter().any(|i| is_told_too_much(i.from)) {
            self.result.impossible.get_or_insert_with(|| {
                format!("{name} would begin empty ({why}), and be told to take back rows that it never had")
            });
        }
        self.push(node, Verdict::Rebuilt, format!("{why}: it begins empty, with the rows from here on"), true);
        self.empty.insert(node, Empty { missing: Some(name), goes_on: below.goes_on, is_new: false });
    }

    /// May a table whose rows come to this node take back rows that it gave before?
    fn old_rows_go(&self, node: NodeId) -> bool {
        let node = &self.dataflow.nodes()[node];
        match &node.spec {
            OperatorSpec::Source(_) => {
                node.traits.mode != ChangeMode::AppendOnly && !self.empty.get(&node.id).is_some_and(|e| e.is_new)
            }
            _ => node.inputs.iter().any(|i| self.old_rows_go(i.from)),
        }
    }

    fn push(&mut self, node: NodeId, verdict: Verdict, why: String, loses: bool) {
        let operator = self.name(node);
        self.result.changes.push(OperatorChange { operator, verdict, why, loses });
    }
}

/// What differs in what is kept.
fn difference(old: &StateFact, new: &StateFact) -> String {
    let (was, is): (Vec<&str>, Vec<&str>) = (texts(&old.kept).collect(), texts(&new.kept).collect());
    let list = |what: &str, of: &[&str], not_of: &[&str]| {
        let rest: Vec<&str> = of.iter().copied().filter(|t| !not_of.contains(t)).collect();
        (!rest.is_empty()).then(|| format!("{what} {}", rest.join(", ")))
    };
    let parts: Vec<String> =
        [list("it keeps also", &is, &was), list("and no more", &was, &is)].into_iter().flatten().collect();
    if parts.is_empty() { "it keeps columns of other types, or in another order".into() } else { parts.join(" ") }
}

/// Tables that are written now and were not, or no more. A table that is new is told of what changes from here on.
fn sinks(operators: &[OperatorFact], dataflow: &Dataflow, result: &mut Alteration) {
    let is_sink = |o: &&OperatorFact| o.state.is_none() && o.name.starts_with(SINK);
    let was: BTreeSet<&str> = operators.iter().filter(is_sink).map(|o| o.name.as_str()).collect();
    let sinks = dataflow.nodes().iter().filter(|n| matches!(n.spec, OperatorSpec::Sink(_)));
    let is: BTreeMap<String, NodeId> = sinks.map(|n| (crate::recovery::operator_name(n), n.id)).collect();
    for (name, node) in &is {
        if was.contains(name.as_str()) {
            continue;
        }
        let is_complete = result.sources_are_new(dataflow, *node);
        let (verdict, why) = match is_complete {
            true => (Verdict::New, ""),
            false => (Verdict::New, "it is told of what changes from here on, and not of what is there"),
        };
        let (operator, why) = (name.clone(), why.to_owned());
        result.changes.push(OperatorChange { operator, verdict, why, loses: !is_complete });
    }
    for name in was.into_iter().filter(|name| !is.contains_key(*name)) {
        let (operator, verdict, why) = (name.to_owned(), Verdict::Dropped, "it is not written any more".to_owned());
        result.changes.push(OperatorChange { operator, verdict, why, loses: false });
    }
}

impl Alteration {
    /// Are all sources of a node read from their beginning?
    fn sources_are_new(&self, dataflow: &Dataflow, node: NodeId) -> bool {
        let node = &dataflow.nodes()[node];
        match &node.spec {
            OperatorSpec::Source(_) => {
                let name = crate::recovery::operator_name(node);
                self.changes.iter().any(|c| c.operator == name && c.verdict == Verdict::New)
            }
            _ => node.inputs.iter().all(|i| self.sources_are_new(dataflow, i.from)),
        }
    }
}
