//! Aggregates.

use super::calls::{arguments, order_within};
use super::{Binder, Typed};
use crate::plan::{Aggregate, AggregateKind, Expr};
use crate::{Error, Type};
use sqlparser::ast::{DuplicateTreatment, Function as Call, FunctionArg, FunctionArgExpr, FunctionArguments};

/// Which aggregate a name is, if it is one.
pub(super) fn kind(name: &str, call: &Call) -> Option<AggregateKind> {
    Some(match name {
        "count" if is_star(call) => AggregateKind::Rows,
        "count" => AggregateKind::Count,
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Average,
        "min" => AggregateKind::Least,
        "max" => AggregateKind::Greatest,
        "array_agg" => AggregateKind::List,
        "string_agg" => AggregateKind::Joined,
        "bool_and" | "every" => AggregateKind::Every,
        "bool_or" => AggregateKind::Any,
        "any_value" => AggregateKind::First,
        "json_agg" | "jsonb_agg" => AggregateKind::Json,
        _ => return None,
    })
}

fn is_star(call: &Call) -> bool {
    let FunctionArguments::List(list) = &call.args else { return false };
    matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
}

impl Binder<'_> {
    pub(super) fn aggregate(&mut self, name: &str, of: AggregateKind, call: &Call) -> Result<Typed, Error> {
        let allowed = self.scopes.last().is_some_and(|scope| scope.allows.aggregates);
        if !allowed {
            return Err(Error::new("42803", format!("aggregate function {name} is not allowed here")));
        }
        // There are no aggregates within aggregates.
        let allows = std::mem::take(&mut self.scope_mut().allows);
        let trees = if of == AggregateKind::Rows { Vec::new() } else { arguments(call)? };
        let mut bound = Vec::with_capacity(trees.len());
        for tree in trees {
            let argument = self.expr(tree)?;
            let texts = of == AggregateKind::Joined || argument.of == Type::Unknown;
            bound.push(if texts {
                Typed { expr: self.coerced(argument, &Type::Text)?, of: Type::Text }
            } else {
                argument
            });
        }
        let order = self.orders(order_within(call))?;
        let filter = call.filter.as_ref().map(|filter| self.condition(filter)).transpose()?;
        self.scope_mut().allows = allows;
        let first = bound.first().map(|argument| argument.of.clone());
        if first.is_none() && of != AggregateKind::Rows {
            return Err(Error::new("42883", format!("{name} takes an argument")));
        }
        let first = first.unwrap_or(Type::Int8);
        let returns = match of {
            AggregateKind::Rows | AggregateKind::Count => Type::Int8,
            AggregateKind::Sum if matches!(first, Type::Float4 | Type::Float8) => first,
            AggregateKind::Sum => Type::Int8,
            AggregateKind::Average => Type::Float8,
            AggregateKind::Least | AggregateKind::Greatest | AggregateKind::First => first,
            AggregateKind::List => first.list(),
            AggregateKind::Joined => Type::Text,
            AggregateKind::Every | AggregateKind::Any => Type::Bool,
            AggregateKind::Json => Type::Json,
        };
        let distinct = match &call.args {
            FunctionArguments::List(list) => list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
            _ => false,
        };
        let arguments = bound.into_iter().map(|argument| argument.expr).collect();
        let aggregates = &mut self.scope_mut().aggregates;
        aggregates.push(Aggregate { of, arguments, distinct, order, filter });
        Ok(Typed { expr: Expr::Aggregate(aggregates.len() - 1), of: returns })
    }
}
