//! Functions that the session answers: `version()`, `current_user`, `current_setting('TimeZone')`.

use super::{value, visit};
use crate::statement::Statement;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Select, SelectItem, Value,
    VisitorMut,
};
use std::ops::ControlFlow;

/// What a function answers, by its name in lower case and its argument; `None`: it is none of the session's.
type Answers<'a> = dyn Fn(&str, Option<&str>) -> Option<String> + 'a;

/// The statement with answers in the place of functions. Columns of results keep the names of the functions.
pub fn with_constants(statement: &Statement, answers: &Answers<'_>) -> Statement {
    let mut statement = statement.clone();
    let _: ControlFlow<()> = visit(&mut statement, &mut Constants(answers));
    statement
}

struct Constants<'a>(&'a Answers<'a>);

impl Constants<'_> {
    /// The name of a function, and its answer.
    fn answer(&self, expr: &Expr) -> Option<(String, Expr)> {
        let (name, argument) = match expr {
            Expr::Function(function) => (name(function)?, argument(function)?),
            Expr::Identifier(name) if name.quote_style.is_none() && !name.value.eq_ignore_ascii_case("user") => {
                let name = name.value.to_ascii_lowercase();
                // As functions without brackets there are these alone.
                ["current_user", "session_user", "current_role", "current_catalog", "current_schema"]
                    .contains(&name.as_str())
                    .then_some((name, None))?
            }
            _ => return None,
        };
        let answer = (self.0)(&name, argument)?;
        Some((name, value(Value::SingleQuotedString(answer))))
    }
}

impl VisitorMut for Constants<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some((name, expr)) = self.answer(expr)
            {
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some((_, answer)) = self.answer(expr) {
            *expr = answer;
        }
        ControlFlow::Continue(())
    }
}

/// The name of a function, with or without `pg_catalog.` before it.
fn name(function: &Function) -> Option<String> {
    let parts: Vec<&Ident> = function.name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
    match parts.as_slice() {
        [name] => Some(name.value.to_ascii_lowercase()),
        [schema, name] if schema.value.eq_ignore_ascii_case("pg_catalog") => Some(name.value.to_ascii_lowercase()),
        _ => None,
    }
}

/// The text that a function is given, if any; `None` where it is given anything else.
fn argument(function: &Function) -> Option<Option<&str>> {
    let list = match &function.args {
        FunctionArguments::None => return Some(None),
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::Subquery(_) => return None,
    };
    match list.as_slice() {
        [] => Some(None),
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => match &value.value {
            Value::SingleQuotedString(text) => Some(Some(text)),
            _ => None,
        },
        _ => None,
    }
}
