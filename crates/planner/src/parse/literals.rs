//! Expressions with clauses of their own: JSON functions; and literals that the parser makes up.

use super::dialect::{call, ident_of};
use super::types;
use super::windows::located;
use crate::SqlError;
use arrow::datatypes::IntervalUnit;
use eddyline_catalog::Dialect;
use sqlparser::ast::{CastKind, Expr, Value, ValueWithSpan};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Word};

/// A whole number.
pub(super) fn number(value: u64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

/// A literal that is carried out in another form: `1e3` is a DOUBLE, `U&'\\00e4'` a string.
///
/// # Errors
/// A DOUBLE that is too great.
pub(super) fn one_form(literal: &ValueWithSpan) -> Result<Option<Expr>, SqlError> {
    match &literal.value {
        Value::UnicodeStringLiteral(text) => Ok(Some(string(text.clone()))),
        Value::DollarQuotedString(text) => Ok(Some(string(text.value.clone()))),
        Value::Number(text, _) if text.contains(['e', 'E']) => {
            if !text.parse::<f64>().is_ok_and(f64::is_finite) {
                let error = SqlError::new("22003", format!("{text} is out of the range of DOUBLE"));
                return Err(located(error, literal.span));
            }
            Ok(Some(Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(string(text.clone())),
                data_type: types::ast_type(&arrow::datatypes::DataType::Float64),
                array: false,
                format: None,
            }))
        }
        _ => Ok(None),
    }
}

/// `CAST(value AS STRING)`.
pub(super) fn text_of(value: Expr) -> Expr {
    let data_type = types::ast_type(&arrow::datatypes::DataType::Utf8);
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type, array: false, format: None }
}

/// `CAST(value AS INTERVAL)`.
pub(super) fn interval_of(value: Expr) -> Expr {
    let data_type = types::ast_type(&arrow::datatypes::DataType::Interval(IntervalUnit::MonthDayNano));
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type, array: false, format: None }
}

/// A string.
pub(super) fn string(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

/// `JSON_VALUE(json, path …)`, `JSON_QUERY(json, path …)`, `JSON_EXISTS(json, path …)`. What the clauses say goes to
/// the function as letters (`n` NULL, `e` ERROR, `d` DEFAULT, `a` EMPTY ARRAY, `o` EMPTY OBJECT; `w`, `c`, `u` for the
/// wrapper; `t`, `f`, `u`, `e` of JSON_EXISTS), defaults follow.
pub(super) fn json(parser: &mut Parser, word: &Word, family: Dialect) -> Result<Expr, ParserError> {
    let name = parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let mut arguments = vec![parser.parse_expr()?];
    parser.expect_token(&Token::Comma)?;
    arguments.push(parser.parse_expr()?);
    let mut clauses = Clauses::default();
    let function = word.value.to_ascii_uppercase();
    while parser.peek_token_ref().token != Token::RParen {
        if word_is(parser, &["RETURNING"]) {
            clauses.returning = Some(types::read_type(parser, family)?.arrow);
        } else if !clauses.take(parser, &function)? {
            return parser.expected("`)`", parser.peek_token());
        }
    }
    parser.expect_token(&Token::RParen)?;
    if !clauses.are_usual() {
        arguments.extend(clauses.arguments(&function));
    }
    let plain = call(ident_of(word, name.span), arguments);
    Ok(match clauses.returning {
        Some(data_type) if data_type != arrow::datatypes::DataType::Utf8 => Expr::Cast {
            kind: CastKind::TryCast,
            expr: Box::new(plain),
            data_type: types::ast_type(&data_type),
            array: false,
            format: None,
        },
        _ => plain,
    })
}

/// The clauses of a JSON function, as letters.
struct Clauses {
    wrapper: char,
    on_empty: char,
    on_error: char,
    defaults: [Expr; 2],
    returning: Option<arrow::datatypes::DataType>,
}

impl Default for Clauses {
    fn default() -> Self {
        let null = || Expr::Value(Value::Null.into());
        Self { wrapper: 'w', on_empty: 'n', on_error: 'n', defaults: [null(), null()], returning: None }
    }
}

const WRAPPERS: [(&[&str], char); 6] = [
    (&["WITHOUT", "ARRAY", "WRAPPER"], 'w'),
    (&["WITHOUT", "WRAPPER"], 'w'),
    (&["WITH", "CONDITIONAL", "ARRAY", "WRAPPER"], 'c'),
    (&["WITH", "UNCONDITIONAL", "ARRAY", "WRAPPER"], 'u'),
    (&["WITH", "ARRAY", "WRAPPER"], 'u'),
    (&["WITH", "WRAPPER"], 'u'),
];

impl Clauses {
    /// Takes a clause; false if there is none.
    fn take(&mut self, parser: &mut Parser, function: &str) -> Result<bool, ParserError> {
        if function == "JSON_QUERY"
            && let Some((_, letter)) = WRAPPERS.iter().find(|(words, _)| word_is(parser, words))
        {
            self.wrapper = *letter;
            return Ok(true);
        }
        let behaviours: &[(&[&str], char)] = match function {
            "JSON_EXISTS" => &[(&["TRUE"], 't'), (&["FALSE"], 'f'), (&["UNKNOWN"], 'u'), (&["ERROR"], 'e')],
            "JSON_QUERY" => {
                &[(&["NULL"], 'n'), (&["EMPTY", "ARRAY"], 'a'), (&["EMPTY", "OBJECT"], 'o'), (&["ERROR"], 'e')]
            }
            _ => &[(&["NULL"], 'n'), (&["ERROR"], 'e'), (&["DEFAULT"], 'd')],
        };
        let Some((_, letter)) = behaviours.iter().find(|(words, _)| word_is(parser, words)) else { return Ok(false) };
        let default = if *letter == 'd' { Some(parser.parse_expr()?) } else { None };
        let place = match () {
            () if function != "JSON_EXISTS" && word_is(parser, &["ON", "EMPTY"]) => {
                self.on_empty = *letter;
                0
            }
            () if word_is(parser, &["ON", "ERROR"]) => {
                self.on_error = *letter;
                1
            }
            () => return parser.expected("ON EMPTY or ON ERROR", parser.peek_token()),
        };
        if let Some(default) = default {
            self.defaults[place] = default;
        }
        Ok(true)
    }

    /// Do they say what holds without them?
    fn are_usual(&self) -> bool {
        (self.wrapper, self.on_empty) == ('w', 'n') && matches!(self.on_error, 'n' | 'f')
    }

    fn arguments(&self, function: &str) -> Vec<Expr> {
        match function {
            "JSON_EXISTS" => vec![string(self.on_error)],
            "JSON_QUERY" => vec![string(format!("{}{}{}", self.wrapper, self.on_empty, self.on_error))],
            _ => {
                let [on_empty, on_error] = self.defaults.clone();
                vec![string(format!("{}{}", self.on_empty, self.on_error)), on_empty, on_error]
            }
        }
    }
}

/// Takes words if all of them are next.
pub(super) fn word_is(parser: &mut Parser, words: &[&str]) -> bool {
    let found = words.iter().enumerate().all(|(n, w)| super::script::is_word(&parser.peek_nth_token_ref(n).token, w));
    if found {
        words.iter().for_each(|_| parser.advance_token());
    }
    found
}
