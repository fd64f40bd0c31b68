//! Window table functions in FROM: one form for all spellings.

use super::script::position;
use crate::SqlError;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Spanned,
    TableAlias, TableFactor,
};

/// Window functions and the names of their arguments, in order.
const WINDOWS: [(&str, &[&str]); 4] = [
    ("TUMBLE", &["DATA", "TIMECOL", "SIZE", "OFFSET"]),
    ("HOP", &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"]),
    ("CUMULATE", &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"]),
    ("SESSION", &["DATA", "TIMECOL", "GAP"]),
];

/// Brings a table function into the form that the front page of the parser shows.
///
/// # Errors
/// Functions in FROM that are no windows; arguments that the window does not have.
pub(super) fn normalise(factor: &mut TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } if gives_lists(name).is_some() => {
            *factor = unnest(name, &args.args, alias.take(), *with_ordinality)?;
            Ok(())
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } if gives_lists(name).is_some() => {
            *factor = unnest(name, args, alias.take(), *with_ordinality)?;
            Ok(())
        }
        TableFactor::Function { name, args, alias, .. } if name.to_string().eq_ignore_ascii_case("TABLE") => {
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr @ Expr::Function(_)))] = args.as_slice() else {
                return Err(unknown(name));
            };
            *factor = TableFactor::TableFunction { expr: expr.clone(), alias: alias.take() };
            normalise(factor)
        }
        TableFactor::TableFunction { expr: Expr::Function(function), alias }
            if gives_lists(&function.name).is_some() =>
        {
            let FunctionArguments::List(list) = &function.args else { return Err(unknown(&function.name)) };
            *factor = unnest(&function.name, &list.args, alias.take(), false)?;
            Ok(())
        }
        // The binder knows it: `STATE('job', 'operator')`.
        TableFactor::Table { name, args: Some(_), .. } if name.to_string().eq_ignore_ascii_case("STATE") => Ok(()),
        TableFactor::Table { name, args: Some(args), alias, .. } => {
            let list = FunctionArgumentList { duplicate_treatment: None, args: args.args.clone(), clauses: vec![] };
            let function = window(name, &FunctionArguments::List(list))?;
            *factor = TableFactor::TableFunction { expr: Expr::Function(function), alias: alias.take() };
            Ok(())
        }
        TableFactor::TableFunction { expr: Expr::Function(function), .. } => {
            *function = window(&function.name, &function.args)?;
            Ok(())
        }
        TableFactor::TableFunction { expr, .. } => {
            let error = SqlError::new(SqlError::UNSUPPORTED, format!("TABLE({expr}) is not supported"))
                .with_hint("TABLE( ) holds a window: TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))");
            Err(located(error, expr.span()))
        }
        TableFactor::Function { name, .. } => Err(unknown(name)),
        TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
            Err(SqlError::new(SqlError::UNSUPPORTED, "PIVOT and UNPIVOT are not supported")
                .with_hint("write one aggregate with FILTER (WHERE …) per column"))
        }
        _ => Ok(()),
    }
}

/// Functions in FROM that unnest lists, with the function that makes the list; UNNEST itself has lists for arguments.
const LISTS: [(&str, Option<&str>); 13] = [
    ("UNNEST", None),
    ("GENERATE_SERIES", Some("generate_series")),
    ("JSONB_ARRAY_ELEMENTS", Some("jsonb_elements_array")),
    ("JSON_ARRAY_ELEMENTS", Some("jsonb_elements_array")),
    ("JSONB_ARRAY_ELEMENTS_TEXT", Some("jsonb_elements_text_array")),
    ("JSON_ARRAY_ELEMENTS_TEXT", Some("jsonb_elements_text_array")),
    ("JSONB_EACH", Some("jsonb_each_map")),
    ("JSON_EACH", Some("jsonb_each_map")),
    ("JSONB_EACH_TEXT", Some("jsonb_each_text_map")),
    ("JSON_EACH_TEXT", Some("jsonb_each_text_map")),
    ("JSONB_OBJECT_KEYS", Some("jsonb_keys_array")),
    ("REGEXP_SPLIT_TO_TABLE", Some("regexp_split_to_array")),
    ("STRING_TO_TABLE", Some("string_to_array")),
];

/// What a function in FROM unnests: a list that another function makes, or (`None` inside) its arguments; `None`: it is another function.
pub(crate) fn gives_lists(name: &ObjectName) -> Option<Option<&'static str>> {
    let name = name.to_string();
    LISTS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, list)| *list)
}

/// `UNNEST(list, …)`, `GENERATE_SERIES(from, to)` as UNNEST of the series.
fn unnest(
    name: &ObjectName,
    arguments: &[FunctionArg],
    alias: Option<TableAlias>,
    with_ordinality: bool,
) -> Result<TableFactor, SqlError> {
    let list = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Ok(e.clone()),
        _ => Err(located(SqlError::new(SqlError::INVALID, format!("{name}({argument})")), name.span())
            .with_hint("write the lists, separated by commas")),
    };
    let mut array_exprs = arguments.iter().map(list).collect::<Result<Vec<_>, _>>()?;
    if array_exprs.is_empty() {
        let error = SqlError::new(SqlError::INVALID, format!("{name} has no arguments"));
        return Err(located(error, name.span()));
    }
    if let Some(Some(list)) = gives_lists(name) {
        let args = arguments.to_vec();
        array_exprs = vec![Expr::Function(called(Ident::with_span(name.span(), list), args))];
    }
    Ok(TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_offset_alias: None, with_ordinality })
}

fn unknown(name: &ObjectName) -> SqlError {
    let error = SqlError::new(SqlError::UNSUPPORTED, format!("table function {name} is not supported"))
        .with_hint("functions in FROM are UNNEST, GENERATE_SERIES, STATE and the windows TUMBLE, HOP and SESSION");
    located(error, name.span())
}

fn window(name: &ObjectName, arguments: &FunctionArguments) -> Result<Function, SqlError> {
    let upper = name.to_string().to_uppercase();
    let Some((window, parameters)) = WINDOWS.iter().find(|(w, _)| *w == upper) else { return Err(unknown(name)) };
    let FunctionArguments::List(list) = arguments else { return Err(unknown(name)) };
    let span = name.span();
    let args = positional(window, parameters, &list.args).map_err(|e| located(e, span))?;
    Ok(called(Ident::with_span(span, *window), args))
}

/// The arguments in the order of `parameters`; those at the end may be missing.
fn positional(window: &str, parameters: &[&str], given: &[FunctionArg]) -> Result<Vec<FunctionArg>, SqlError> {
    let hint = || format!("the arguments of {window} are {}", parameters.join(", "));
    let wrong = |what: String| SqlError::new(SqlError::INVALID, what).with_hint(hint());
    let mut slots: Vec<Option<Expr>> = vec![None; parameters.len()];
    for (at, argument) in given.iter().enumerate() {
        let (slot, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) if at < parameters.len() => (at, e),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) => {
                return Err(wrong(format!("{window} has {} arguments, here are {}", parameters.len(), given.len())));
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), .. } => {
                let slot = parameters.iter().position(|p| p.eq_ignore_ascii_case(&name.value));
                (slot.ok_or_else(|| wrong(format!("{window} has no argument {}", name.value)))?, e)
            }
            other => return Err(wrong(format!("{other} is no argument of {window}"))),
        };
        if slots[slot].replace(value.clone()).is_some() {
            return Err(wrong(format!("{window}: argument {} is there twice", parameters[slot])));
        }
    }
    let filled = slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let required = parameters.len() - usize::from(parameters.contains(&"OFFSET"));
    if let Some(missing) = slots.iter().take(filled.max(required)).position(Option::is_none) {
        return Err(wrong(format!("{window}: argument {} is missing", parameters[missing])));
    }
    let marks = [Some("__table"), Some("descriptor")].into_iter().chain(std::iter::repeat(None));
    let marked = slots.into_iter().flatten().zip(marks).map(|(e, mark)| marked(descriptor(e), mark));
    Ok(marked.map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect())
}

/// A name by itself as what it stands for: `TUMBLE(t, ts, …)` is `TUMBLE(TABLE t, DESCRIPTOR(ts), …)`.
fn marked(expr: Expr, mark: Option<&str>) -> Expr {
    match (expr, mark) {
        (name @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)), Some(mark)) => {
            let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(name.clone()))];
            Expr::Function(called(Ident::with_span(name.span(), mark), args))
        }
        (other, _) => other,
    }
}

fn called(name: Ident, args: Vec<FunctionArg>) -> Function {
    Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    }
}

/// `DESCRIPTOR(ts)` in small letters.
fn descriptor(expr: Expr) -> Expr {
    match expr {
        Expr::Function(mut f) if f.name.to_string().eq_ignore_ascii_case("descriptor") => {
            f.name = ObjectName::from(vec![Ident::with_span(f.name.span(), "descriptor")]);
            Expr::Function(f)
        }
        other => other,
    }
}

/// With the place of a span, where it has one.
pub(super) fn located(error: SqlError, span: sqlparser::tokenizer::Span) -> SqlError {
    match position(span.start) {
        Some(position) => error.at(position),
        None => error,
    }
}
