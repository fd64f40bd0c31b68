//! Expressions: their types, and casts where types differ.

use super::{Binder, Typed, folded, is_function_alone};
use crate::plan::{Comparison, Expr, Matching, Operation};
use crate::{Error, Type, Value, cast};
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, Expr as Tree, Ident, Subscript, TrimWhereField, UnaryOperator,
    Value as Literal,
};

impl Binder<'_> {
    pub(super) fn expr(&mut self, tree: &Tree) -> Result<Typed, Error> {
        let of_bool = |expr| Ok(Typed { expr, of: Type::Bool });
        match tree {
            Tree::Identifier(name) => self.column(None, name),
            Tree::CompoundIdentifier(parts) => self.compound(parts),
            Tree::Value(value) => self.literal(&value.value),
            Tree::TypedString(typed) => {
                let of = Type::of_sql(&typed.data_type).ok_or_else(|| no_type(&typed.data_type))?;
                let text = self.literal(&typed.value.value)?;
                Ok(Typed { expr: self.coerced(text, &of)?, of })
            }
            Tree::Nested(inner) | Tree::Collate { expr: inner, .. } => self.expr(inner),
            Tree::BinaryOp { left, op, right } => self.binary(left, op, right),
            Tree::UnaryOp { op, expr } => self.unary(*op, expr),
            Tree::Cast { expr, data_type, .. } => {
                let of = Type::of_sql(data_type).ok_or_else(|| no_type(data_type))?;
                let bound = self.expr(expr)?;
                Ok(Typed { expr: self.coerced(bound, &of)?, of })
            }
            Tree::IsNull(inner) => of_bool(Expr::IsNull(Box::new(self.expr(inner)?.expr))),
            Tree::IsNotNull(inner) => of_bool(not(Expr::IsNull(Box::new(self.expr(inner)?.expr)))),
            Tree::IsTrue(inner) => of_bool(Expr::Is(Box::new(self.condition(inner)?), true)),
            Tree::IsNotTrue(inner) => of_bool(not(Expr::Is(Box::new(self.condition(inner)?), true))),
            Tree::IsFalse(inner) => of_bool(Expr::Is(Box::new(self.condition(inner)?), false)),
            Tree::IsNotFalse(inner) => of_bool(not(Expr::Is(Box::new(self.condition(inner)?), false))),
            Tree::IsUnknown(inner) => of_bool(Expr::IsNull(Box::new(self.condition(inner)?))),
            Tree::IsNotUnknown(inner) => of_bool(not(Expr::IsNull(Box::new(self.condition(inner)?)))),
            Tree::IsDistinctFrom(a, b) => of_bool(not(self.same(a, b)?)),
            Tree::IsNotDistinctFrom(a, b) => of_bool(self.same(a, b)?),
            Tree::InList { expr, list, negated } => {
                let found = self.in_list(expr, list)?;
                of_bool(negate(found, *negated))
            }
            Tree::InSubquery { expr, subquery, negated } => {
                let left = self.expr(expr)?;
                let (query, columns) = self.subquery(subquery)?;
                let (left, query) = self.with_first(left, query, &columns)?;
                of_bool(negate(Expr::InQuery(Box::new(left), Box::new(query)), *negated))
            }
            Tree::Between { expr, negated, low, high } => {
                let low = self.binary(expr, &BinaryOperator::GtEq, low)?;
                let high = self.binary(expr, &BinaryOperator::LtEq, high)?;
                of_bool(negate(Expr::And(Box::new(low.expr), Box::new(high.expr)), *negated))
            }
            Tree::Like { negated, expr, pattern, escape_char, .. }
            | Tree::ILike { negated, expr, pattern, escape_char, .. } => {
                let escape = match escape_char.as_ref().and_then(|c| text_of(&c.value)) {
                    Some(escape) => escape.chars().next(),
                    None => Some('\\'),
                };
                let any_case = matches!(tree, Tree::ILike { .. });
                let found = self.matched(Matching { like: true, escape, any_case }, expr, pattern)?;
                of_bool(negate(found, *negated))
            }
            Tree::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, false),
            Tree::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true),
            Tree::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Tree::Exists { subquery, negated } => {
                let (query, _) = self.subquery(subquery)?;
                of_bool(negate(Expr::Exists(Box::new(query)), *negated))
            }
            Tree::Subquery(query) => {
                let (query, columns) = self.subquery(query)?;
                let of = one_column(&columns)?;
                Ok(Typed { expr: Expr::Scalar(Box::new(query)), of })
            }
            Tree::Array(array) => self.array(&array.elem),
            Tree::Tuple(parts) => self.row(parts),
            Tree::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Tree::Function(call) => self.function_call(call),
            Tree::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.expr(expr)?];
                arguments.push(match substring_from {
                    Some(from) => self.expr(from)?,
                    None => number(1),
                });
                if let Some(length) = substring_for {
                    arguments.push(self.expr(length)?);
                }
                self.call("substring", arguments)
            }
            Tree::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let mut arguments = vec![self.expr(expr)?];
                let what = trim_what.as_deref().or(trim_characters.as_ref().and_then(|all| all.first()));
                if let Some(what) = what {
                    arguments.push(self.expr(what)?);
                }
                self.call(name, arguments)
            }
            Tree::Position { expr, r#in } => {
                let arguments = vec![self.expr(r#in)?, self.expr(expr)?];
                self.call("strpos", arguments)
            }
            other => Err(Error::unsupported(format_args!("\"{other}\""))),
        }
    }

    /// A column of this query or of one around it.
    fn column(&mut self, table: Option<(Option<&str>, &str)>, written: &Ident) -> Result<Typed, Error> {
        let name = folded(written);
        for (up, scope) in self.scopes.iter().rev().enumerate() {
            let found = match table {
                None => scope.column(&name)?,
                Some((schema, table)) => scope.table(schema, table).and_then(|table| {
                    let at = table.columns.iter().position(|(own, _)| *own == name)?;
                    Some((table.begin + at, table.columns[at].1.clone()))
                }),
            };
            if let Some((at, of)) = found {
                self.reached = self.reached.min(self.scopes.len() - 1 - up);
                return Ok(Typed { expr: Expr::Column { up, at }, of });
            }
        }
        if table.is_none() && is_function_alone(written) {
            return self.call(&name, Vec::new());
        }
        let whole = table.map_or_else(|| name.clone(), |(_, table)| format!("{table}.{name}"));
        Err(Error::new("42703", format!("column \"{whole}\" does not exist")))
    }

    fn compound(&mut self, parts: &[Ident]) -> Result<Typed, Error> {
        match parts {
            [name] => self.column(None, name),
            [table, name] => self.column(Some((None, &folded(table))), name),
            [.., schema, table, name] => self.column(Some((Some(&folded(schema)), &folded(table))), name),
            [] => Err(Error::unsupported("no name")),
        }
    }

    fn literal(&mut self, literal: &Literal) -> Result<Typed, Error> {
        let typed = |value: Value, of| Ok(Typed { expr: Expr::Constant(value), of });
        match literal {
            Literal::Null => typed(Value::Null, Type::Unknown),
            Literal::Boolean(value) => typed(Value::Bool(*value), Type::Bool),
            Literal::Number(text, _) => match text.parse::<i64>() {
                Ok(number) if i32::try_from(number).is_ok() => typed(Value::Int(number), Type::Int4),
                Ok(number) => typed(Value::Int(number), Type::Int8),
                Err(_) => {
                    let number = text.parse().map_err(|_| Error::new("42601", format!("{text} is no number")))?;
                    typed(Value::Float(number), Type::Float8)
                }
            },
            Literal::Placeholder(name) => self.parameter(name),
            other => match text_of(other) {
                Some(text) => typed(Value::text(text), Type::Unknown),
                None => Err(Error::unsupported(format_args!("the literal {other}"))),
            },
        }
    }

    fn parameter(&mut self, name: &str) -> Result<Typed, Error> {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let at = number.filter(|n| (1..=65_535).contains(n)).map(|n| n - 1);
        let at = at.ok_or_else(|| Error::new("42P02", format!("there is no parameter {name}")))?;
        if self.parameters.len() <= at {
            self.parameters.resize(at + 1, Type::Unknown);
        }
        Ok(Typed { expr: Expr::Parameter(at), of: self.parameters[at].clone() })
    }

    /// The expression as one of a type. A literal or parameter without a type is read as one.
    pub(super) fn coerced(&mut self, bound: Typed, to: &Type) -> Result<Expr, Error> {
        if bound.of == *to || *to == Type::Unknown {
            return Ok(bound.expr);
        }
        match (&bound.of, bound.expr) {
            (Type::Unknown, Expr::Constant(value)) => {
                Ok(Expr::Constant(cast(&value, &Type::Text, to, self.environment)?))
            }
            (Type::Unknown, Expr::Parameter(at)) => {
                // The first who asks decides.
                match &self.parameters[at] {
                    Type::Unknown => self.parameters[at] = to.clone(),
                    own if own == to => {}
                    own => {
                        return Ok(Expr::Cast { of: Box::new(Expr::Parameter(at)), from: own.clone(), to: to.clone() });
                    }
                }
                Ok(Expr::Parameter(at))
            }
            (_, expr) => Ok(Expr::Cast { of: Box::new(expr), from: bound.of.clone(), to: to.clone() }),
        }
    }

    /// The type of all of them; a text where none has one.
    pub(super) fn common_type<'t>(&self, types: impl IntoIterator<Item = &'t Type>) -> Result<Type, Error> {
        let mut common = Type::Unknown;
        for of in types {
            common = common.common(of).ok_or_else(|| {
                Error::new("42804", format!("types {} and {} cannot be matched", common.name(), of.name()))
            })?;
        }
        Ok(if common == Type::Unknown { Type::Text } else { common })
    }

    pub(super) fn brought_together(&mut self, bound: Vec<Typed>) -> Result<(Vec<Expr>, Type), Error> {
        let of = self.common_type(bound.iter().map(|bound| &bound.of))?;
        let exprs = bound.into_iter().map(|bound| self.coerced(bound, &of)).collect::<Result<_, _>>()?;
        Ok((exprs, of))
    }

    fn pair(&mut self, a: Typed, b: Typed) -> Result<(Box<Expr>, Box<Expr>, Type), Error> {
        let of = a.of.common(&b.of);
        let of = of.ok_or_else(|| {
            Error::new("42883", format!("operator does not exist: {} and {}", a.of.name(), b.of.name()))
                .with_hint("add a cast")
        })?;
        let of = if of == Type::Unknown { Type::Text } else { of };
        Ok((Box::new(self.coerced(a, &of)?), Box::new(self.coerced(b, &of)?), of))
    }

    pub(super) fn compared(&mut self, of: Comparison, a: Typed, b: Typed) -> Result<Expr, Error> {
        if let (Type::Record(x), Type::Record(y)) = (&a.of, &b.of) {
            return match x.len() == y.len() {
                true => Ok(Expr::Compare(of, Box::new(a.expr), Box::new(b.expr))),
                false => Err(Error::new("42601", "unequal number of entries in row expressions")),
            };
        }
        let (a, b, _) = self.pair(a, b)?;
        Ok(Expr::Compare(of, a, b))
    }

    fn same(&mut self, a: &Tree, b: &Tree) -> Result<Expr, Error> {
        let (a, b) = (self.expr(a)?, self.expr(b)?);
        let (a, b, _) = self.pair(a, b)?;
        Ok(Expr::Same(a, b))
    }

    fn unary(&mut self, op: UnaryOperator, tree: &Tree) -> Result<Typed, Error> {
        match op {
            UnaryOperator::Not => Ok(Typed { expr: not(self.condition(tree)?), of: Type::Bool }),
            UnaryOperator::Minus => {
                let bound = self.expr(tree)?;
                Ok(Typed { expr: Expr::Negative(Box::new(bound.expr)), of: bound.of })
            }
            UnaryOperator::Plus => self.expr(tree),
            other => Err(Error::unsupported(format_args!("operator {other}"))),
        }
    }

    fn binary(&mut self, left: &Tree, op: &BinaryOperator, right: &Tree) -> Result<Typed, Error> {
        let of_bool = |expr| Ok(Typed { expr, of: Type::Bool });
        // `OPERATOR(pg_catalog.~)` is the operator.
        if let BinaryOperator::PGCustomBinaryOperator(parts) = op {
            let sign = parts.last().map(String::as_str).unwrap_or_default();
            let plain = operator(sign).ok_or_else(|| Error::unsupported(format_args!("operator {sign}")))?;
            return self.binary(left, &plain, right);
        }
        match op {
            BinaryOperator::And => {
                of_bool(Expr::And(Box::new(self.condition(left)?), Box::new(self.condition(right)?)))
            }
            BinaryOperator::Or => of_bool(Expr::Or(Box::new(self.condition(left)?), Box::new(self.condition(right)?))),
            BinaryOperator::PGRegexMatch => of_bool(self.matched(REGEX, left, right)?),
            BinaryOperator::PGRegexNotMatch => of_bool(not(self.matched(REGEX, left, right)?)),
            BinaryOperator::PGRegexIMatch => of_bool(self.matched(REGEX_ANY_CASE, left, right)?),
            BinaryOperator::PGRegexNotIMatch => of_bool(not(self.matched(REGEX_ANY_CASE, left, right)?)),
            BinaryOperator::PGLikeMatch => of_bool(self.matched(LIKE, left, right)?),
            BinaryOperator::PGNotLikeMatch => of_bool(not(self.matched(LIKE, left, right)?)),
            BinaryOperator::PGILikeMatch => of_bool(self.matched(LIKE_ANY_CASE, left, right)?),
            BinaryOperator::PGNotILikeMatch => of_bool(not(self.matched(LIKE_ANY_CASE, left, right)?)),
            BinaryOperator::StringConcat => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                self.concat(a, b)
            }
            other => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                if let Some(of) = comparison(other) {
                    return of_bool(self.compared(of, a, b)?);
                }
                let of = operation(other).ok_or_else(|| Error::unsupported(format_args!("operator {other}")))?;
                self.computed(of, a, b)
            }
        }
    }

    fn computed(&mut self, of: Operation, a: Typed, b: Typed) -> Result<Typed, Error> {
        let number = |typed: &Typed| typed.of.is_number() || typed.of == Type::Oid || typed.of == Type::Unknown;
        if !number(&a) || !number(&b) {
            let message = format!("operator does not exist: {} and {}", a.of.name(), b.of.name());
            return Err(Error::new("42883", message));
        }
        let (a, b) = match (&a.of, &b.of) {
            (Type::Unknown, Type::Unknown) => (Typed { expr: self.coerced(a, &Type::Int4)?, of: Type::Int4 }, b),
            _ => (a, b),
        };
        let (a, b, of_both) = self.pair(a, b)?;
        Ok(Typed { expr: Expr::Compute(of, a, b), of: of_both })
    }

    fn concat(&mut self, a: Typed, b: Typed) -> Result<Typed, Error> {
        let list = [&a.of, &b.of].into_iter().find(|of| of.item().is_some()).cloned();
        if let Some(of) = list {
            let item = of.item().unwrap_or(Type::Text);
            let mut side = |typed: Typed| {
                let to = if typed.of.item().is_some() || typed.of == Type::Unknown { &of } else { &item };
                self.coerced(typed, to).map(Box::new)
            };
            return Ok(Typed { expr: Expr::Append(side(a)?, side(b)?), of: of.clone() });
        }
        let (a, b) = (self.coerced(a, &Type::Text)?, self.coerced(b, &Type::Text)?);
        Ok(Typed { expr: Expr::Concat(Box::new(a), Box::new(b)), of: Type::Text })
    }

    fn matched(&mut self, matching: Matching, left: &Tree, right: &Tree) -> Result<Expr, Error> {
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let (a, b) = (self.coerced(a, &Type::Text)?, self.coerced(b, &Type::Text)?);
        Ok(Expr::Match(matching, Box::new(a), Box::new(b)))
    }

    fn in_list(&mut self, tree: &Tree, list: &[Tree]) -> Result<Expr, Error> {
        let mut bound = vec![self.expr(tree)?];
        for item in list {
            bound.push(self.expr(item)?);
        }
        if bound.iter().all(|typed| matches!(typed.of, Type::Record(_))) {
            let mut exprs = bound.into_iter().map(|typed| typed.expr);
            let of = exprs.next().unwrap_or(Expr::Constant(Value::Null));
            return Ok(Expr::In(Box::new(of), exprs.collect()));
        }
        let (exprs, _) = self.brought_together(bound)?;
        let mut exprs = exprs.into_iter();
        let of = exprs.next().unwrap_or(Expr::Constant(Value::Null));
        Ok(Expr::In(Box::new(of), exprs.collect()))
    }

    /// A value and the rows with which it is compared, brought to one type.
    fn with_first(
        &mut self,
        left: Typed,
        mut query: crate::plan::Query,
        columns: &super::Columns,
    ) -> Result<(Expr, crate::plan::Query), Error> {
        if matches!(left.of, Type::Record(_)) {
            return Ok((left.expr, query));
        }
        let right = one_column(columns)?;
        let of = self.common_type([&left.of, &right])?;
        query.casts = vec![(right, of.clone())];
        Ok((self.coerced(left, &of)?, query))
    }

    fn quantified(&mut self, left: &Tree, op: &BinaryOperator, right: &Tree, all: bool) -> Result<Typed, Error> {
        let of = comparison(op).ok_or_else(|| Error::unsupported(format_args!("{op} of an array")))?;
        let left = self.expr(left)?;
        let inner = match right {
            Tree::Nested(inner) => inner.as_ref(),
            other => other,
        };
        if let Tree::Subquery(query) = inner {
            let (query, columns) = self.subquery(query)?;
            let (left, query) = self.with_first(left, query, &columns)?;
            let expr = Expr::QuantifiedQuery { of, left: Box::new(left), query: Box::new(query), all };
            return Ok(Typed { expr, of: Type::Bool });
        }
        let right = self.expr(right)?;
        let item = match (&left.of, right.of.item()) {
            (own, Some(item)) => self.common_type([own, &item])?,
            (Type::Unknown, None) => Type::Text,
            (own, None) => own.clone(),
        };
        let right = Box::new(self.coerced(right, &item.clone().list())?);
        let left = Box::new(self.coerced(left, &item)?);
        Ok(Typed { expr: Expr::Quantified { of, left, right, all }, of: Type::Bool })
    }

    fn case(
        &mut self,
        operand: Option<&Tree>,
        conditions: &[CaseWhen],
        otherwise: Option<&Tree>,
    ) -> Result<Typed, Error> {
        let mut whens = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            whens.push(match operand {
                None => self.condition(&when.condition)?,
                Some(operand) => {
                    let (a, b) = (self.expr(operand)?, self.expr(&when.condition)?);
                    self.compared(Comparison::Equal, a, b)?
                }
            });
            results.push(self.expr(&when.result)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.expr(otherwise)?);
        }
        let (mut results, of) = self.brought_together(results)?;
        let otherwise = otherwise.and_then(|_| results.pop()).map(Box::new);
        let whens = whens.into_iter().zip(results).collect();
        Ok(Typed { expr: Expr::Case { whens, otherwise }, of })
    }

    fn array(&mut self, items: &[Tree]) -> Result<Typed, Error> {
        let bound = items.iter().map(|item| self.expr(item)).collect::<Result<Vec<_>, _>>()?;
        let (items, of) = self.brought_together(bound)?;
        Ok(Typed { expr: Expr::List(items), of: of.list() })
    }

    pub(super) fn row(&mut self, parts: &[Tree]) -> Result<Typed, Error> {
        let bound = parts.iter().map(|part| self.expr(part)).collect::<Result<Vec<_>, _>>()?;
        let of = bound.iter().enumerate().map(|(at, part)| (format!("f{}", at + 1), part.of.clone())).collect();
        Ok(Typed { expr: Expr::Row(bound.into_iter().map(|part| part.expr).collect()), of: Type::Record(of) })
    }

    /// `a[1]`, `(f(x)).n`.
    fn access(&mut self, root: &Tree, chain: &[AccessExpr]) -> Result<Typed, Error> {
        // `t.a[1]`: names come first.
        let mut names = match root {
            Tree::Identifier(name) => vec![name.clone()],
            _ => Vec::new(),
        };
        let mut rest = chain;
        while let ([_, ..], [AccessExpr::Dot(Tree::Identifier(name)), after @ ..]) = (names.as_slice(), rest) {
            names.push(name.clone());
            rest = after;
        }
        let mut bound = if names.is_empty() { self.expr(root)? } else { self.compound(&names)? };
        for access in rest {
            bound = match access {
                AccessExpr::Dot(Tree::Identifier(name)) => field(bound, &folded(name))?,
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let item = bound
                        .of
                        .item()
                        .ok_or_else(|| Error::new("42804", format!("cannot subscript type {}", bound.of.name())))?;
                    let first = bound.of.first();
                    let at = self.expr(index)?;
                    let at = Box::new(self.coerced(at, &Type::Int8)?);
                    Typed { expr: Expr::Item { of: Box::new(bound.expr), at, first }, of: item }
                }
                _ => return Err(Error::unsupported("this part of a value")),
            };
        }
        Ok(bound)
    }
}

const REGEX: Matching = Matching { like: false, escape: None, any_case: false };
const REGEX_ANY_CASE: Matching = Matching { any_case: true, ..REGEX };
const LIKE: Matching = Matching { like: true, escape: Some('\\'), any_case: false };
const LIKE_ANY_CASE: Matching = Matching { any_case: true, ..LIKE };

fn field(bound: Typed, name: &str) -> Result<Typed, Error> {
    let missing = || Error::new("42703", format!("column \"{name}\" not found in a row"));
    let Type::Record(fields) = &bound.of else { return Err(missing()) };
    let at = fields.iter().position(|(own, _)| own == name).ok_or_else(missing)?;
    Ok(Typed { of: fields[at].1.clone(), expr: Expr::Field(Box::new(bound.expr), at) })
}

pub(super) fn one_column(columns: &super::Columns) -> Result<Type, Error> {
    match columns.as_slice() {
        [(_, of)] => Ok(of.clone()),
        _ => Err(Error::new("42601", "subquery must return only one column")),
    }
}

fn number(number: i64) -> Typed {
    Typed { expr: Expr::Constant(Value::Int(number)), of: Type::Int4 }
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { not(expr) } else { expr }
}

fn text_of(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::SingleQuotedString(text)
        | Literal::EscapedStringLiteral(text)
        | Literal::UnicodeStringLiteral(text)
        | Literal::NationalStringLiteral(text) => Some(text),
        Literal::DollarQuotedString(text) => Some(&text.value),
        _ => None,
    }
}

fn no_type(of: &sqlparser::ast::DataType) -> Error {
    Error::unsupported(format_args!("type {of}"))
}

fn comparison(op: &BinaryOperator) -> Option<Comparison> {
    Some(match op {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn operation(op: &BinaryOperator) -> Option<Operation> {
    Some(match op {
        BinaryOperator::Plus => Operation::Add,
        BinaryOperator::Minus => Operation::Subtract,
        BinaryOperator::Multiply => Operation::Multiply,
        BinaryOperator::Divide => Operation::Divide,
        BinaryOperator::Modulo => Operation::Remainder,
        BinaryOperator::BitwiseAnd => Operation::And,
        BinaryOperator::BitwiseOr => Operation::Or,
        BinaryOperator::PGBitwiseShiftLeft => Operation::ShiftLeft,
        BinaryOperator::PGBitwiseShiftRight => Operation::ShiftRight,
        _ => return None,
    })
}

/// The operator of a sign within `OPERATOR(schema.sign)`.
fn operator(sign: &str) -> Option<BinaryOperator> {
    Some(match sign {
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "~" => BinaryOperator::PGRegexMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "||" => BinaryOperator::StringConcat,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "&" => BinaryOperator::BitwiseAnd,
        "|" => BinaryOperator::BitwiseOr,
        _ => return None,
    })
}
