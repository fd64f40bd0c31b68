//! Columns of state, as a manifest names them; and how those of an operator become those of another.

use arrow::datatypes::DataType;
use eddyline_checkpoint::{CallFact, ColumnFact, ListFact, RowsFact, StateFact};
use eddyline_operators::{AccumulatorSource, AggregateMigrationSpec, MigrationSpec, RowsMigrationSpec};
use eddyline_plan::{AggregateCall, KeptColumn, OrderColumn, RowsForm, RowsOrigin, StateOrigin, ValueList, ValueOrder};

/// What an operator keeps, for a manifest.
pub(crate) fn fact(origin: &StateOrigin) -> StateFact {
    let columns = |columns: &[KeptColumn]| columns.iter().map(column).collect();
    StateFact {
        place: origin.place.clone(),
        keys: columns(&origin.keys),
        kept: columns(&origin.kept),
        form: origin.form.clone(),
        rows: origin.rows.iter().map(rows_fact).collect(),
    }
}

fn rows_fact(rows: &RowsOrigin) -> RowsFact {
    let timed;
    let (form, by, order) = match &rows.form {
        RowsForm::Side { keys, append_only, .. } => {
            (if *append_only { APPENDED_SIDE } else { SIDE }, keys.clone(), Vec::new())
        }
        RowsForm::Partitions { partition, order } => {
            let order = order.iter().map(|o| (o.column, o.descending, o.nulls_first)).collect();
            (PARTITIONS, partition.clone(), order)
        }
        RowsForm::Last { key } => (LAST, key.clone(), Vec::new()),
        RowsForm::List { key } => (LIST, key.clone(), Vec::new()),
        RowsForm::Copies { .. } => (COPIES, Vec::new(), Vec::new()),
        RowsForm::Timed { columns, by } => {
            timed = by.map_or_else(|| TIMED.to_owned(), |by| format!("{TIMED_BY}{by}"));
            (timed.as_str(), columns.clone(), Vec::new())
        }
        RowsForm::Slices { are_windows } => (if *are_windows { WINDOWS } else { SLICES }, Vec::new(), Vec::new()),
    };
    let columns = (rows.columns.start, rows.columns.end);
    RowsFact { part: rows.part.to_owned(), columns, form: form.to_owned(), by, order }
}

/// How rows of a manifest are stored; `None` where it is not known, or names columns that are not there.
pub(crate) fn rows_form(fact: &RowsFact) -> Option<RowsForm> {
    let width = fact.columns.1.checked_sub(fact.columns.0)?;
    if fact.by.iter().chain(fact.order.iter().map(|(column, ..)| column)).any(|column| *column >= width) {
        return None;
    }
    let by = fact.by.clone();
    let side = usize::from(fact.part == "right");
    Some(match fact.form.as_str() {
        SIDE => RowsForm::Side { side, keys: by, append_only: false },
        APPENDED_SIDE => RowsForm::Side { side, keys: by, append_only: true },
        PARTITIONS => {
            let order = fact.order.iter().map(|(column, descending, nulls_first)| OrderColumn {
                column: *column,
                descending: *descending,
                nulls_first: *nulls_first,
            });
            RowsForm::Partitions { partition: by, order: order.collect() }
        }
        LAST => RowsForm::Last { key: by },
        LIST => RowsForm::List { key: by },
        COPIES => RowsForm::Copies { side },
        TIMED => RowsForm::Timed { columns: by, by: None },
        WINDOWS => RowsForm::Slices { are_windows: true },
        SLICES => RowsForm::Slices { are_windows: false },
        timed => {
            let dealt = timed.strip_prefix(TIMED_BY)?.parse().ok()?;
            RowsForm::Timed { columns: by, by: Some(dealt) }
        }
    })
}

const SIDE: &str = "side";
const APPENDED_SIDE: &str = "appended side";
const PARTITIONS: &str = "partitions";
const LAST: &str = "last";
const LIST: &str = "list";
const COPIES: &str = "copies";
const TIMED: &str = "timed";
const TIMED_BY: &str = "timed by ";
const WINDOWS: &str = "windows";
const SLICES: &str = "slices";

fn column(kept: &KeptColumn) -> ColumnFact {
    let call = kept.call.as_ref().map(|call| CallFact {
        function: call.function.clone(),
        arg_types: call.arg_types.iter().map(ToString::to_string).collect(),
        distinct: call.distinct.then(|| call.args.clone()),
        list: (call.list != ValueList::default()).then(|| ListFact {
            order: call.list.order.iter().map(|o| (o.data_type.to_string(), o.descending, o.nulls_first)).collect(),
            once: call.list.once,
            separator: call.list.separator.clone(),
            fraction: call.list.fraction_bits,
        }),
    });
    ColumnFact { text: kept.text.clone(), data_type: kept.data_type.to_string(), call }
}

/// The aggregate of a manifest; its columns are not known, but for which DISTINCT ones are over the same.
pub(crate) fn call(column: &ColumnFact) -> Option<AggregateCall> {
    let fact = column.call.as_ref()?;
    let list = fact.list.as_ref().map(|list| {
        let order = list.order.iter().map(|(data_type, descending, nulls_first)| {
            let data_type: DataType = data_type.parse().ok()?;
            Some(ValueOrder { column: 0, data_type, descending: *descending, nulls_first: *nulls_first })
        });
        Some(ValueList {
            order: order.collect::<Option<_>>()?,
            once: list.once,
            separator: list.separator.clone(),
            fraction_bits: list.fraction,
        })
    });
    Some(AggregateCall {
        function: fact.function.clone(),
        args: fact.distinct.clone().unwrap_or_else(|| vec![0; fact.arg_types.len()]),
        arg_types: fact.arg_types.iter().map(|t| t.parse().ok()).collect::<Option<_>>()?,
        distinct: fact.distinct.is_some(),
        filter: None,
        return_type: column.data_type.parse().ok()?,
        name: column.text.clone(),
        list: list.map_or(Some(ValueList::default()), |list| list)?,
    })
}

/// How an operator goes on.
pub(crate) struct Migration {
    pub(crate) spec: MigrationSpec,
    /// What becomes of which column.
    pub(crate) told: Vec<String>,
    /// Something is lost, or counts from here on.
    pub(crate) loses: bool,
}

/// What a grouped or windowed aggregate computes now.
pub(crate) struct Computed<'a> {
    pub(crate) calls: &'a [AggregateCall],
    pub(crate) append_only: bool,
    pub(crate) has_slices: bool,
}

/// How kept rows go on with wider columns. `Err`: why they cannot.
pub(crate) fn rows_migration(old: &StateFact, new: &StateFact, origin: &StateOrigin) -> Result<Migration, String> {
    let unreadable = || "the types of what was kept cannot be read".to_owned();
    let was: Vec<DataType> =
        old.kept.iter().map(|k| k.data_type.parse().ok()).collect::<Option<_>>().ok_or_else(unreadable)?;
    let is: Vec<DataType> = origin.kept.iter().map(|k| k.data_type.clone()).collect();
    let mut told = Vec::new();
    for (column, (from, to)) in new.kept.iter().zip(was.iter().zip(&is)).filter(|(_, (from, to))| from != to) {
        if !is_wider(from, to) {
            return Err(format!("{} was {from} and is {to}", column.text));
        }
        told.push(format!("{} from {from} to {to}", column.text));
    }
    let rows = |rows: &RowsOrigin| {
        let types = [&was, &is].map(|types| types[rows.columns.clone()].to_vec());
        RowsMigrationSpec { form: rows.form.clone(), types }
    };
    told.dedup();
    Ok(Migration { spec: MigrationSpec::Rows(origin.rows.iter().map(rows).collect()), told, loses: false })
}

/// How the state of an aggregate of the same groups becomes that of another. `Err`: why it cannot.
pub(crate) fn migration(
    spec: &Computed<'_>,
    old: &StateFact,
    new: &StateFact,
    origin: &StateOrigin,
) -> Result<Migration, String> {
    let unreadable = || "the types of what was kept cannot be read".to_owned();
    let calls: Vec<AggregateCall> = old.kept.iter().map(call).collect::<Option<_>>().ok_or_else(unreadable)?;
    let old_keys: Vec<DataType> =
        old.keys.iter().map(|k| k.data_type.parse().ok()).collect::<Option<_>>().ok_or_else(unreadable)?;
    let new_keys: Vec<DataType> = origin.keys.iter().map(|k| k.data_type.clone()).collect();
    for (column, (from, to)) in new.keys.iter().zip(old_keys.iter().zip(&new_keys)) {
        if from != to && !is_wider(from, to) {
            return Err(format!("the key {} was {from} and is {to}", column.text));
        }
    }
    same_distinct(old, new)?;
    let (mut sources, mut told, mut loses) = (Vec::new(), Vec::new(), false);
    for (column, call) in new.kept.iter().zip(spec.calls) {
        let source = source_of(column, call, old, &calls, spec.append_only)?;
        match source {
            AccumulatorSource::Nothing if !spec.append_only => {
                let text = &column.text;
                return Err(format!("{text} is new, and cannot count from here on, because its rows are taken back"));
            }
            AccumulatorSource::Nothing => {
                loses = true;
                told.push(format!("{} is new and counts from here on", column.text));
            }
            AccumulatorSource::Rows => told.push(format!("{} is new, from the number of rows", column.text)),
            AccumulatorSource::CountOf(from) => {
                told.push(format!("{} is new, from {}", column.text, old.kept[from].text));
            }
            AccumulatorSource::Same(from) | AccumulatorSource::Narrower(from) if old.kept[from].text != column.text => {
                told.push(format!("{} is new, from {}", column.text, old.kept[from].text));
            }
            AccumulatorSource::Same(_) | AccumulatorSource::Narrower(_) => {}
        }
        sources.push(source);
    }
    for gone in old.kept.iter().filter(|o| !new.kept.iter().any(|n| n.text == o.text)) {
        loses = true;
        told.push(format!("{} is dropped", gone.text));
    }
    let keys = [old_keys, new_keys];
    let (old, new) = (calls, spec.calls.to_vec());
    let Computed { append_only, has_slices, .. } = *spec;
    let spec = AggregateMigrationSpec { keys, old, new, sources, append_only, has_slices };
    Ok(Migration { spec: MigrationSpec::Aggregates(spec), told, loses })
}

/// Values of DISTINCT aggregates are counted beside the groups, by the number of the aggregate: they must be the same ones.
fn same_distinct(old: &StateFact, new: &StateFact) -> Result<(), String> {
    let of = |state: &StateFact| -> Vec<(String, Vec<String>)> {
        let calls =
            state.kept.iter().filter_map(|c| Some((c, c.call.as_ref().filter(|call| call.distinct.is_some())?)));
        calls.map(|(column, call)| (column.text.clone(), call.arg_types.clone())).collect()
    };
    if of(old) == of(new) { Ok(()) } else { Err("it has other DISTINCT aggregates".into()) }
}

/// Where the accumulator of an aggregate comes from.
fn source_of(
    column: &ColumnFact,
    call: &AggregateCall,
    old: &StateFact,
    calls: &[AggregateCall],
    append_only: bool,
) -> Result<AccumulatorSource, String> {
    if let Some(from) = old.kept.iter().position(|o| o.text == column.text) {
        let was = &calls[from];
        if was.arg_types == call.arg_types && was.return_type == call.return_type {
            return Ok(AccumulatorSource::Same(from));
        }
        let travels = match call.function.as_str() {
            // How many there are does not depend on what they are.
            "count" => true,
            "sum" | "avg" => fits(was, call),
            // Where values can be taken back, all of them are kept.
            "min" | "max" => append_only && fits(was, call),
            _ => false,
        };
        return match travels {
            true => Ok(AccumulatorSource::Narrower(from)),
            false => Err(format!("{} was over other types ({})", column.text, old.kept[from].data_type)),
        };
    }
    if call.distinct {
        return Err(format!("{} is new, and DISTINCT", column.text));
    }
    if call.function == "count" && call.args.is_empty() && call.filter.is_none() {
        return Ok(AccumulatorSource::Rows);
    }
    // `avg(x)`: the same values as those of `sum(x)`.
    let (function, values) = column.text.split_once('(').unwrap_or((&column.text, ""));
    let sibling = |names: &[&str]| {
        old.kept.iter().enumerate().position(|(at, o)| {
            let same = o.text.split_once('(').is_some_and(|(f, v)| names.contains(&f) && v == values);
            same && !calls[at].distinct && (function == "count" || fits(&calls[at], call))
        })
    };
    let added_up = |from: usize| match calls[from].arg_types == call.arg_types {
        true => AccumulatorSource::Same(from),
        false => AccumulatorSource::Narrower(from),
    };
    let source = match function {
        "sum" => sibling(&["avg"]).map(added_up),
        "avg" => sibling(&["sum"]).map(added_up),
        "count" => sibling(&["sum", "avg"]).map(AccumulatorSource::CountOf),
        _ => None,
    };
    Ok(source.unwrap_or(AccumulatorSource::Nothing))
}

/// Are the values of one aggregate those of another, or narrower ones that add up and compare alike?
fn fits(was: &AggregateCall, is: &AggregateCall) -> bool {
    let pairs = || was.arg_types.iter().zip(&is.arg_types);
    was.arg_types.len() == is.arg_types.len()
        && pairs().all(|(from, to)| from == to || (is_wider(from, to) && column_is_exact(was, is)))
}

/// Is the sum, or the least and greatest value, of narrower values exactly that of wider ones?
fn column_is_exact(was: &AggregateCall, is: &AggregateCall) -> bool {
    match (was.arg_types.first(), is.arg_types.first()) {
        // The sum of floating point numbers is kept exactly, but in a type of its own.
        (Some(from), Some(to)) => {
            from.is_floating() == to.is_floating() || matches!(is.function.as_str(), "min" | "max")
        }
        _ => false,
    }
}

/// Is every value of one type one of the other, equal in the same cases?
pub(crate) fn is_wider(from: &DataType, to: &DataType) -> bool {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    let digits = |t: &DataType| match t {
        Int8 => Some((3, 0)),
        Int16 => Some((5, 0)),
        Int32 => Some((10, 0)),
        Int64 => Some((19, 0)),
        Decimal128(precision, scale) => Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale))),
        _ => None,
    };
    match (from, to) {
        (Float32, Float64) => true,
        (Decimal128(..), to) if to.is_integer() => false,
        _ => match (digits(from), digits(to)) {
            (Some((whole, scale)), Some((to_whole, to_scale))) => from != to && whole <= to_whole && scale <= to_scale,
            _ => false,
        },
    }
}

/// What has a wider type than before.
pub(crate) fn widened(old: &StateFact, new: &StateFact) -> Vec<String> {
    let mut told = Vec::new();
    for key in &new.keys {
        let was = old.keys.iter().find(|o| o.text == key.text).filter(|o| o.data_type != key.data_type);
        told.extend(was.map(|was| format!("{} from {} to {}", key.text, was.data_type, key.data_type)));
    }
    for column in &new.kept {
        let Some(was) = old.kept.iter().find(|o| o.text == column.text) else { continue };
        let args = |c: &ColumnFact| c.call.as_ref().map(|call| call.arg_types.join(", ")).unwrap_or_default();
        if args(was) != args(column) {
            told.push(format!("{} over {}, before over {}", column.text, args(column), args(was)));
        }
    }
    told
}
