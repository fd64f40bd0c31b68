//! Which type a parameter has, by what stands beside it.

use super::{checked_number, number, visit};
use crate::parse::arrow_type;
use crate::rename::{idents, reference};
use crate::statement::{Statement, StatementKind, Update};
use arrow::datatypes::{DataType, IntervalUnit};
use eddyline_catalog::{Catalog, ColumnSource, Object, Reference, SearchPath, Table};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LimitClause, Query,
    SelectItem, SetExpr, TableFactor, Value, VisitorMut,
};
use std::ops::ControlFlow;

/// What is known so far.
pub(super) struct Inference<'a> {
    catalog: &'a Catalog,
    path: &'a SearchPath,
    /// Columns of the tables that the statement names: table, alias, column, type.
    columns: Vec<(String, String, DataType)>,
    /// By number.
    pub(super) types: Vec<Option<DataType>>,
}

impl<'a> Inference<'a> {
    pub(super) fn new(catalog: &'a Catalog, path: &'a SearchPath, count: usize) -> Self {
        Self { catalog, path, columns: Vec::new(), types: vec![None; count] }
    }

    /// Learns what there is to learn of a statement.
    pub(super) fn look_at(&mut self, statement: &mut Statement) {
        let written = match &statement.kind {
            StatementKind::Insert(insert) => {
                let called = insert.update.as_ref().map_or(insert.table.object.as_str(), Update::called);
                Some((&insert.table, called.to_owned()))
            }
            StatementKind::Update(update) => Some((&update.table, update.called().to_owned())),
            StatementKind::Delete(delete) => Some((&delete.table, delete.called().to_owned())),
            _ => None,
        };
        if let Some((table, called)) = written {
            self.add(table, &called);
        }
        let _: ControlFlow<()> = visit(statement, &mut Tables(self));
        match &mut statement.kind {
            StatementKind::Insert(insert) => {
                let types = self.written_types(&insert.table, &insert.columns);
                self.rows(insert.query.body.as_ref(), &types);
                insert.update.iter().for_each(|update| self.assigned(update));
            }
            StatementKind::Update(update) => self.assigned(update),
            _ => {}
        }
        let _: ControlFlow<()> = visit(statement, &mut Uses(self));
    }

    /// Values have the types of their columns.
    fn assigned(&mut self, update: &Update) {
        for (column, value) in update.values() {
            let data_type = self.column(&[Ident::new(column)]);
            self.learn(value, data_type);
        }
    }

    fn object(&self, table: &Reference) -> Option<&'a Object> {
        let name = self.catalog.resolve(table, self.path).ok()?;
        self.catalog.object(&name).ok()
    }

    fn add(&mut self, table: &Reference, name: &str) {
        let columns: Vec<(String, DataType)> = match self.object(table) {
            Some(Object::Table(table)) => columns(table),
            Some(Object::MaterializedView(view)) => columns(&view.table),
            _ => Vec::new(),
        };
        self.columns.extend(columns.into_iter().map(|(column, of)| (name.to_owned(), column, of)));
    }

    /// The types of the columns that INSERT writes.
    fn written_types(&self, table: &Reference, names: &[String]) -> Vec<Option<DataType>> {
        let Some(Object::Table(table)) = self.object(table) else { return Vec::new() };
        let all = table.columns.iter().filter(|c| c.source == ColumnSource::Physical);
        if names.is_empty() {
            return all.map(|c| Some(c.data_type.clone())).collect();
        }
        let of = |name: &String| all.clone().find(|c| c.name == *name).map(|c| c.data_type.clone());
        names.iter().map(of).collect()
    }

    /// Rows that are written to columns of these types.
    fn rows(&mut self, body: &SetExpr, types: &[Option<DataType>]) {
        match body {
            SetExpr::Values(values) => {
                for row in &values.rows {
                    row.iter().zip(types).for_each(|(expr, of)| self.learn(expr, of.clone()));
                }
            }
            SetExpr::Select(select) => {
                for (item, of) in select.projection.iter().zip(types) {
                    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                        self.learn(expr, of.clone());
                    }
                }
            }
            SetExpr::Query(query) => self.rows(&query.body, types),
            _ => {}
        }
    }

    /// The parameter that this is has this type, unless it is known to have another.
    fn learn(&mut self, expr: &Expr, data_type: Option<DataType>) {
        let number = match expr {
            Expr::Nested(inner) => return self.learn(inner, data_type),
            expr => number(expr).and_then(|text| checked_number(text).ok()),
        };
        if let (Some(slot), Some(data_type)) = (number.and_then(|n| self.types.get_mut(n - 1)), data_type) {
            slot.get_or_insert(data_type);
        }
    }

    fn alike(&mut self, one: &Expr, other: &Expr) {
        let (of_one, of_other) = (self.type_of(one), self.type_of(other));
        self.learn(one, of_other);
        self.learn(other, of_one);
    }

    /// A value that is compared with the items of a list.
    fn listed(&mut self, item: &Expr, list: &Expr) {
        let of_list = self.type_of(item).map(|of| DataType::new_list(of, true));
        let of_item = match self.type_of(list) {
            Some(DataType::List(item)) => Some(item.data_type().clone()),
            _ => None,
        };
        self.learn(list, of_list);
        self.learn(item, of_item);
    }

    /// What an operator of JSON has behind it, where that is no JSON.
    fn behind(&self, left: &Expr, op: &BinaryOperator) -> Option<DataType> {
        use BinaryOperator::{HashArrow, HashLongArrow, HashMinus, Minus, Question, QuestionAnd, QuestionPipe};
        match op {
            HashArrow | HashLongArrow | HashMinus | QuestionAnd | QuestionPipe => {
                Some(DataType::new_list(DataType::Utf8, true))
            }
            Question => Some(DataType::Utf8),
            Minus if self.type_of(left) == Some(DataType::LargeUtf8) => Some(DataType::Utf8),
            _ => None,
        }
    }

    /// The bounds of a series are of one type, and its step too, or an interval.
    fn series(&mut self, function: &Function) {
        if !function.name.to_string().eq_ignore_ascii_case("generate_series") {
            return;
        }
        let FunctionArguments::List(list) = &function.args else { return };
        let given = list.args.iter().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
            _ => None,
        });
        let given: Vec<&Expr> = given.collect();
        let is_text = |t: &DataType| *t == DataType::Utf8;
        let of = |inference: &Self, at: &[&Expr]| at.iter().find_map(|e| inference.type_of(e).filter(|t| !is_text(t)));
        let bounds = of(self, given.get(..2).unwrap_or_default());
        let whole = bounds.clone().filter(DataType::is_numeric).or_else(|| of(self, &given));
        for (at, value) in given.iter().enumerate() {
            let data_type = match &bounds {
                Some(bound) if at < 2 || bound.is_numeric() => Some(bound.clone()),
                Some(_) => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
                None => whole.clone().filter(DataType::is_numeric),
            };
            self.learn(value, data_type);
        }
    }

    fn column(&self, parts: &[Ident]) -> Option<DataType> {
        let (column, table) = (parts.last()?, parts.iter().rev().nth(1));
        let fits = |(of, name, _): &&(String, String, DataType)| {
            *name == column.value && table.is_none_or(|table| table.value == *of)
        };
        self.columns.iter().find(fits).map(|(.., data_type)| data_type.clone())
    }

    fn type_of(&self, expr: &Expr) -> Option<DataType> {
        match expr {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.column(parts),
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => self.type_of(inner),
            Expr::Cast { data_type, .. } => arrow_type(data_type).ok(),
            Expr::BinaryOp { left, op, right } if is_arithmetic(op) => {
                self.type_of(left).or_else(|| self.type_of(right))
            }
            Expr::Function(function) => {
                let name = function.name.to_string().to_ascii_uppercase();
                ["COUNT", "ROW_NUMBER", "RANK"].contains(&name.as_str()).then_some(DataType::Int64)
            }
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) if text.contains('.') => Some(DataType::Decimal128(38, 10)),
                Value::Number(text, _) if text.parse::<i32>().is_ok() => Some(DataType::Int32),
                Value::Number(..) => Some(DataType::Int64),
                Value::SingleQuotedString(_) => Some(DataType::Utf8),
                Value::Boolean(_) => Some(DataType::Boolean),
                _ => None,
            },
            _ => None,
        }
    }
}

fn columns(table: &Table) -> Vec<(String, DataType)> {
    table.columns.iter().map(|c| (c.name.clone(), c.data_type.clone())).collect()
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

/// Finds the tables.
struct Tables<'i, 'a>(&'i mut Inference<'a>);

impl VisitorMut for Tables<'_, '_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor {
            let table = reference(&idents(name));
            let alias = alias.as_ref().map_or_else(|| table.object.clone(), |alias| alias.name.value.clone());
            self.0.add(&table, &alias);
        }
        ControlFlow::Continue(())
    }
}

/// Finds what parameters are compared and computed with.
struct Uses<'i, 'a>(&'i mut Inference<'a>);

impl VisitorMut for Uses<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let both = limit.iter().chain(offset.iter().map(|o| &o.value));
            both.for_each(|expr| self.0.learn(expr, Some(DataType::Int64)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { expr, data_type, .. } => self.0.learn(expr, arrow_type(data_type).ok()),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                self.0.learn(left, Some(DataType::Boolean));
                self.0.learn(right, Some(DataType::Boolean));
            }
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
                self.0.learn(left, Some(DataType::Utf8));
                self.0.learn(right, Some(DataType::Utf8));
            }
            Expr::BinaryOp { left, op, right } => match self.0.behind(left, op) {
                Some(of) => self.0.learn(right, Some(of)),
                None => self.0.alike(left, right),
            },
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => self.0.alike(left, right),
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => self.0.listed(left, right),
            Expr::Between { expr, low, high, .. } => {
                self.0.alike(expr, low);
                self.0.alike(expr, high);
            }
            Expr::Function(function) => self.0.series(function),
            Expr::InList { expr, list, .. } => list.iter().for_each(|item| self.0.alike(expr, item)),
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
                self.0.learn(expr, Some(DataType::Utf8));
                self.0.learn(pattern, Some(DataType::Utf8));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
