//! From text to the parser's tree, and whether it is about the catalogs at all.

use crate::bind;
use crate::functions;
use crate::{Environment, Error, Plan, Type};
use regex::Regex;
use sqlparser::ast::{
    Expr, Function, ObjectName, ObjectNamePart, Query as Tree, Statement, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};
use std::ops::ControlFlow;
use std::sync::OnceLock;

/// Longer texts are not about catalogs.
const BYTES_MAX: usize = 128 << 10;
/// Operators and brackets of a text: each may make the tree a level deeper.
const OPERATORS_MAX: usize = 1000;
/// The parser's own limit.
const DEPTH_MAX: usize = 60;
/// What is in every query that concerns the catalogs; others need not be parsed for it.
const SIGNS: &str = r"(?i)pg_|information_schema|\breg(class|type|proc|namespace|role)\b|\bcurrent_(schema|setting|database|catalog|user|role)|\bsession_user\b|\bversion\s*\(|\bset_config\b|_description\s*\(|_privilege\s*\(|\bformat_type\b|\bto_reg|\binet_";
/// Trees are gone through by recursion.
const ENOUGH_BYTES: usize = 32 << 20;
const STACK_BYTES: usize = 64 << 20;

/// A query that can be bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Query(Box<Tree>);

/// What a query concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The catalogs, or the database as such, alone.
    Catalogs,
    /// The catalogs and tables of the user.
    Both,
    /// Something else.
    Else,
}

impl Query {
    /// Parses a text; `None`: it is no query, or cannot be parsed, or is longer than queries over catalogs are.
    pub fn read(text: &str) -> Option<Query> {
        let dialect = PostgreSqlDialect {};
        if text.len() > BYTES_MAX || !begins_a_query(text) || !has_a_sign(text) {
            return None;
        }
        let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().ok()?;
        let operators = tokens.iter().filter(|t| is_operator(&t.token)).count();
        if operators > OPERATORS_MAX {
            return None;
        }
        let parser = || {
            let parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX);
            parser.with_tokens_with_locations(tokens).parse_statements().ok()
        };
        let mut statements = with_room(parser)?;
        match (statements.pop(), statements.pop()) {
            (Some(Statement::Query(tree)), None) => Some(Query(tree)),
            _ => None,
        }
    }

    /// What it concerns, in this environment.
    pub fn concern(&self, environment: &dyn Environment) -> Concern {
        let mut found =
            Found { environment, named: Vec::new(), relations: false, functions: false, others: false, foreign: false };
        let _ = with_room(|| self.0.visit(&mut found));
        match (found.relations, found.others) {
            (true, true) => Concern::Both,
            // With relations of the catalogs, an unknown function is an error of this query.
            (true, false) => Concern::Catalogs,
            (false, false) if found.functions && !found.foreign => Concern::Catalogs,
            _ => Concern::Else,
        }
    }

    /// Binds its names. `types` are those that the client gives to parameters.
    ///
    /// # Errors
    /// Unknown names, types that do not fit, what is not supported.
    pub fn plan(&self, environment: &dyn Environment, types: &[Type]) -> Result<Plan, Error> {
        with_room(|| bind::plan(&self.0, environment, types))
    }
}

/// Runs `work` with enough stack, on the same thread.
pub(crate) fn with_room<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ENOUGH_BYTES, STACK_BYTES, work)
}

/// Looks at the first word alone: most statements are none of these.
fn begins_a_query(text: &str) -> bool {
    let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    let word = begin.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["select", "with", "values", "table"].iter().any(|first| word.eq_ignore_ascii_case(first))
        || begin.starts_with("--")
        || begin.starts_with("/*")
}

/// May a text be about the catalogs? Most are not, and need not be looked at closely.
pub fn has_a_sign(text: &str) -> bool {
    static SIGN: OnceLock<Option<Regex>> = OnceLock::new();
    SIGN.get_or_init(|| Regex::new(SIGNS).ok()).as_ref().is_some_and(|signs| signs.is_match(text))
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && [
                    "AND",
                    "OR",
                    "NOT",
                    "IS",
                    "LIKE",
                    "IN",
                    "CASE",
                    "UNION",
                    "EXCEPT",
                    "INTERSECT",
                    "COLLATE",
                    "BETWEEN",
                ]
                .contains(&word.value.to_ascii_uppercase().as_str())
        }
        Token::Whitespace(_) | Token::Comma | Token::Period | Token::RParen | Token::Number(..) => false,
        Token::SingleQuotedString(_) | Token::Placeholder(_) | Token::EscapedStringLiteral(_) => false,
        _ => true,
    }
}

/// The schema, if one is given, and the name, as Postgres folds them.
pub(crate) fn parts(name: &ObjectName) -> (Option<String>, String) {
    let mut parts = name.0.iter().rev().filter_map(ObjectNamePart::as_ident).map(bind::folded);
    let last = parts.next().unwrap_or_default();
    (parts.next(), last)
}

/// The schema of a relation that stands without one.
pub(crate) const CATALOG: &str = "pg_catalog";

struct Found<'a> {
    environment: &'a dyn Environment,
    /// Names of WITH.
    named: Vec<String>,
    /// A relation of the catalogs.
    relations: bool,
    /// A function or type that only a database's catalogs have.
    functions: bool,
    /// A relation that is not of the catalogs.
    others: bool,
    /// A function or type that is not known here.
    foreign: bool,
}

impl Found<'_> {
    fn call(&mut self, name: &ObjectName) {
        let (schema, name) = parts(name);
        let is_ours = self.environment.function(&name).is_some();
        self.functions |= is_ours || functions::is_of_catalogs(&name) || schema.as_deref() == Some(CATALOG);
        self.foreign |= !is_ours && !functions::is_known(&name);
    }

    fn relation(&mut self, name: &ObjectName) {
        let (schema, name) = parts(name);
        if schema.is_none() && self.named.contains(&name) {
            return;
        }
        match self.environment.relation(schema.as_deref().unwrap_or(CATALOG), &name) {
            Some(_) => self.relations = true,
            // What is missing in schemas of the catalogs is told here.
            None if matches!(schema.as_deref(), Some("pg_catalog" | "information_schema")) => self.relations = true,
            None => self.others = true,
        }
    }
}

impl Visitor for Found<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Tree) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.named.extend(named.map(|cte| bind::folded(&cte.alias.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.relation(name),
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => self.call(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(Function { name, .. }) => self.call(name),
            Expr::Identifier(name) if bind::is_function_alone(name) => self.functions = true,
            Expr::Cast { data_type, .. } => {
                let of = Type::of_sql(data_type);
                let object = of.as_ref().is_some_and(|of| of.is_object() || of.item().is_some_and(|of| of.is_object()));
                self.functions |= object;
                self.foreign |= of.is_none();
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
