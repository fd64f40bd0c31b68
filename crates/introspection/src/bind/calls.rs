//! Calls: of functions, aggregates, windows and sets.

use super::expr::one_column;
use super::names::Allows;
use super::{Binder, Columns, Typed, ordered};
use crate::functions::{self, Function, Returns, Takes};
use crate::plan::{Expr, Order, SetCall, SetFunction, Window, WindowKind};
use crate::read::parts;
use crate::{Error, Type};
use sqlparser::ast::{
    Expr as Tree, Function as Call, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    OrderByExpr, WindowType,
};

impl Binder<'_> {
    pub(super) fn function_call(&mut self, call: &Call) -> Result<Typed, Error> {
        let (_, name) = parts(&call.name);
        if let FunctionArguments::Subquery(query) = &call.args {
            if name != "array" {
                return Err(Error::unsupported(format_args!("{name}(SELECT …)")));
            }
            let (query, columns) = self.subquery(query)?;
            let of = one_column(&columns)?.list();
            return Ok(Typed { expr: Expr::ListOf(Box::new(query)), of });
        }
        if let Some(over) = &call.over {
            return self.window(&name, over);
        }
        if let Some(of) = super::aggregates::kind(&name, call) {
            return self.aggregate(&name, of, call);
        }
        if call.filter.is_some() || !order_within(call).is_empty() {
            return Err(Error::new("42809", format!("{name} is not an aggregate function")));
        }
        let trees = arguments(call)?;
        if name == "row" {
            let parts: Vec<Tree> = trees.into_iter().cloned().collect();
            return self.row(&parts);
        }
        let bound = trees.into_iter().map(|tree| self.expr(tree)).collect::<Result<Vec<_>, _>>()?;
        if functions::set(&name) {
            return self.set(&name, bound);
        }
        self.call(&name, bound)
    }

    /// A function of this crate or of the database.
    pub(super) fn call(&mut self, name: &str, mut arguments: Vec<Typed>) -> Result<Typed, Error> {
        match name {
            "coalesce" | "ifnull" => {
                let (exprs, of) = self.brought_together(arguments)?;
                return Ok(Typed { expr: Expr::Coalesce(exprs), of });
            }
            "nullif" if arguments.len() == 2 => {
                let of = match &arguments[0].of {
                    Type::Unknown => Type::Text,
                    own => own.clone(),
                };
                let (exprs, _) = self.brought_together(arguments)?;
                let function = functions::find("nullif").ok_or_else(|| unknown(name))?;
                return Ok(Typed { expr: Expr::Call(function, exprs), of });
            }
            "pg_typeof" if arguments.len() == 1 => {
                let oid = arguments[0].of.oid();
                return Ok(Typed { expr: Expr::Constant(oid.into()), of: Type::Regtype });
            }
            _ => {}
        }
        if let Some(signature) = self.environment.function(name) {
            let mut exprs = Vec::with_capacity(arguments.len());
            for (at, argument) in arguments.into_iter().enumerate() {
                let of = signature.takes.get(at).cloned().unwrap_or(Type::Text);
                exprs.push(self.coerced(argument, &of)?);
            }
            return Ok(Typed { expr: Expr::Ask(name.to_owned(), exprs), of: signature.returns });
        }
        let function = functions::find(name).ok_or_else(|| unknown(name))?;
        if !(function.least..=function.most).contains(&arguments.len()) {
            let message = format!("function {name} does not take {} arguments", arguments.len());
            return Err(Error::new("42883", message));
        }
        self.settle(function, &mut arguments)?;
        let of = match function.returns {
            Returns::Text => Type::Text,
            Returns::Int4 => Type::Int4,
            Returns::Int8 => Type::Int8,
            Returns::Bool => Type::Bool,
            Returns::Json => Type::Json,
            Returns::Texts => Type::Text.list(),
            Returns::First => arguments.first().map_or(Type::Text, |argument| argument.of.clone()),
        };
        let exprs = arguments.into_iter().map(|argument| argument.expr).collect();
        Ok(Typed { expr: Expr::Call(function, exprs), of })
    }

    /// Gives arguments the types that a function takes.
    fn settle(&mut self, function: &Function, arguments: &mut [Typed]) -> Result<(), Error> {
        let first = arguments.first().and_then(|argument| argument.of.item());
        for (at, argument) in arguments.iter_mut().enumerate() {
            let wanted = function.takes.get(at).or(function.takes.last()).copied().unwrap_or(Takes::Text);
            let of = match wanted {
                Takes::Text => Type::Text,
                Takes::Int => Type::Int8,
                Takes::List if argument.of.item().is_some() => continue,
                Takes::List => Type::Text.list(),
                Takes::Item => first.clone().unwrap_or(Type::Text),
                Takes::Any if argument.of != Type::Unknown => continue,
                Takes::Any => Type::Text,
            };
            let bound = std::mem::replace(argument, Typed { expr: Expr::Row(Vec::new()), of: of.clone() });
            *argument = Typed { expr: self.coerced(bound, &of)?, of };
        }
        Ok(())
    }

    fn set(&mut self, name: &str, arguments: Vec<Typed>) -> Result<Typed, Error> {
        let at = self.scopes.len().checked_sub(1);
        if !at.is_some_and(|at| self.scopes[at].allows.sets) {
            return Err(Error::new("0A000", format!("set-returning function {name} is not allowed here")));
        }
        let (call, columns) = self.set_call(name, arguments)?;
        let of = match <[_; 1]>::try_from(columns) {
            Ok([(_, of)]) => of,
            Err(columns) => Type::Record(columns.into()),
        };
        let sets = &mut self.scope_mut().sets;
        sets.push(call);
        Ok(Typed { expr: Expr::Set(sets.len() - 1), of })
    }

    /// A function that returns rows, and their columns.
    pub(super) fn set_call(&mut self, name: &str, mut arguments: Vec<Typed>) -> Result<(SetCall, Columns), Error> {
        let (of, columns) = match name {
            "unnest" => {
                let mut columns = Vec::new();
                for argument in &mut arguments {
                    if argument.of == Type::Unknown {
                        let of = Type::Text.list();
                        let bound = std::mem::replace(argument, Typed { expr: Expr::Row(Vec::new()), of: of.clone() });
                        *argument = Typed { expr: self.coerced(bound, &of)?, of };
                    }
                    let item = argument.of.item();
                    let item = item.ok_or_else(|| Error::new("42883", "unnest takes arrays"))?;
                    columns.push(("unnest".to_owned(), item));
                }
                (SetFunction::Unnest, columns)
            }
            "generate_series" => {
                let of = self.common_type(arguments.iter().map(|argument| &argument.of))?;
                let of = if of.is_number() { of } else { Type::Int4 };
                for argument in &mut arguments {
                    let bound = std::mem::replace(argument, Typed { expr: Expr::Row(Vec::new()), of: of.clone() });
                    *argument = Typed { expr: self.coerced(bound, &Type::Int8)?, of: Type::Int8 };
                }
                (SetFunction::Series, vec![(name.to_owned(), of)])
            }
            "generate_subscripts" => {
                let first = arguments.first().map_or(1, |argument| argument.of.first());
                (SetFunction::Subscripts(first), vec![(name.to_owned(), Type::Int4)])
            }
            "_pg_expandarray" => {
                let item = arguments.first().and_then(|argument| argument.of.item()).unwrap_or(Type::Text);
                (SetFunction::Expanded, vec![("x".to_owned(), item), ("n".to_owned(), Type::Int4)])
            }
            _ => {
                let columns = [("word", Type::Text), ("catcode", Type::Char), ("catdesc", Type::Text)];
                (SetFunction::Keywords, columns.map(|(name, of)| (name.to_owned(), of)).to_vec())
            }
        };
        let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
        Ok((SetCall { of, arguments }, columns))
    }

    fn window(&mut self, name: &str, over: &WindowType) -> Result<Typed, Error> {
        let of = match name {
            "row_number" => WindowKind::Number,
            "rank" => WindowKind::Rank,
            "dense_rank" => WindowKind::DenseRank,
            _ => return Err(Error::unsupported(format_args!("{name} OVER"))),
        };
        let WindowType::WindowSpec(spec) = over else { return Err(Error::unsupported("a named window")) };
        let allows = std::mem::replace(&mut self.scope_mut().allows, Allows { aggregates: true, ..Allows::default() });
        if !allows.windows {
            return Err(Error::new("42P20", "window functions are not allowed here"));
        }
        let partition = spec.partition_by.iter().map(|tree| Ok(self.expr(tree)?.expr)).collect::<Result<_, Error>>()?;
        let order = self.orders(&spec.order_by)?;
        self.scope_mut().allows = allows;
        let windows = &mut self.scope_mut().windows;
        windows.push(Window { of, partition, order });
        Ok(Typed { expr: Expr::Window(windows.len() - 1), of: Type::Int8 })
    }

    pub(super) fn orders(&mut self, trees: &[OrderByExpr]) -> Result<Vec<Order>, Error> {
        trees.iter().map(|tree| Ok(ordered(self.expr(&tree.expr)?.expr, tree))).collect()
    }
}

/// The expressions between the brackets.
pub(super) fn arguments(call: &Call) -> Result<Vec<&Tree>, Error> {
    let FunctionArguments::List(list) = &call.args else { return Ok(Vec::new()) };
    let argument = |argument: &'_ FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) => Ok(()),
        other => Err(Error::unsupported(format_args!("the argument {other}"))),
    };
    list.args.iter().try_for_each(argument)?;
    Ok(list
        .args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => Some(tree),
            _ => None,
        })
        .collect())
}

/// `f(x ORDER BY y)`.
pub(super) fn order_within(call: &Call) -> &[OrderByExpr] {
    let FunctionArguments::List(list) = &call.args else { return &[] };
    let order = list.clauses.iter().find_map(|clause| match clause {
        FunctionArgumentClause::OrderBy(order) => Some(order.as_slice()),
        _ => None,
    });
    order.unwrap_or_default()
}

fn unknown(name: &str) -> Error {
    Error::new("42883", format!("function {name} does not exist in queries over the catalogs"))
}
