//! What sqlparser must know about our SQL: which characters make names, and expressions of its own.

use super::script::is_word;
use super::{json, literals, types};
use eddyline_catalog::Dialect as Family;
use sqlparser::ast::{
    Array, BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, TrimWhereField, UnaryOperator, Value,
};
use sqlparser::dialect::{Dialect, GenericDialect, PostgreSqlDialect, Precedence};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};
use std::cell::Cell;

/// Expressions that the parser may begin per token, with all its going back.
const WORK_PER_TOKEN: usize = 100;

/// Flink's spelling of SQL, and of Postgres' what does not mean something else there.
///
/// sqlparser tries several readings of a text, each with several of what is inside, so a malformed text can cost
/// time exponential in its nesting. The dialect counts the expressions that were begun and gives up.
#[derive(Debug, Default)]
pub(super) struct SqlDialect {
    /// Whose meaning names and types without digits have.
    pub(super) family: Family,
    work: Cell<usize>,
}

impl SqlDialect {
    pub(super) fn new(family: Family) -> Self {
        Self { family, work: Cell::default() }
    }

    /// Allows the work that so many tokens are worth.
    pub(super) fn begin(&self, tokens: usize) {
        self.work.set(1000 + tokens.saturating_mul(WORK_PER_TOKEN));
    }
}

impl Dialect for SqlDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    /// As in the standard; for Flink, a comment ends at the first `*/`.
    fn supports_nested_comments(&self) -> bool {
        self.family == Family::Postgres
    }

    fn supports_empty_projections(&self) -> bool {
        self.family == Family::Postgres
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        true
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if parser.peek_token_ref().token == Token::DoubleColon {
            return Some(double_colon(parser, left, self.family));
        }
        if self.family == Family::Postgres
            && let Some(found) = postgres_infix(parser, left, precedence)
        {
            return Some(found);
        }
        infix(parser, left, precedence)
    }

    /// Operators that other dialects have elsewhere bind in Postgres' as all of its own do. `x NOT NULL` is none: in `DEFAULT 'x' NOT NULL`
    /// the expression ends before it.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let word = |at: usize, word: &str| is_word(&parser.peek_nth_token_ref(at).token, word);
        if word(0, "NOT") && word(1, "NULL") {
            return Some(Ok(self.prec_unknown()));
        }
        let is_other = self.family == Family::Postgres
            && (postgres_operator(parser).is_some() || binds_as_others(&parser.peek_token_ref().token));
        is_other.then(|| Ok(self.prec_value(Precedence::PgOther)))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match self.family {
            Family::Postgres => PostgreSqlDialect {}.prec_value(precedence),
            Family::Flink => GenericDialect {}.prec_value(precedence),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let Some(left) = self.work.get().checked_sub(1) else { return Some(Err(ParserError::RecursionLimitExceeded)) };
        self.work.set(left);
        if let Token::EscapedStringLiteral(text) = &parser.peek_token_ref().token {
            let text = literals::string(text.clone());
            parser.advance_token();
            return Some(Ok(text));
        }
        if self.family == Family::Postgres
            && let Some(found) = postgres_prefix(parser, self.prec_value(Precedence::PgOther))
        {
            return Some(found);
        }
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        let next = &parser.peek_nth_token_ref(1).token;
        let name = word.value.to_ascii_uppercase();
        match (name.as_str(), next) {
            ("TABLE", Token::Word(_)) => Some(table_argument(parser)),
            ("CAST" | "TRY_CAST", Token::LParen) => Some(cast(parser, name == "TRY_CAST", self.family)),
            ("MAP", Token::LBracket) => Some(map(parser)),
            // The parser would go down here without counting.
            ("INTERVAL", next) if super::script::is_word(next, "INTERVAL") => {
                Some(parser.expected("a string after INTERVAL", parser.peek_nth_token(1)))
            }
            ("JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS", Token::LParen) => {
                let word = word.clone();
                Some(literals::json(parser, &word, self.family))
            }
            ("TRIM", Token::LParen) => trim(parser),
            ("JSON_OBJECT", Token::LParen) => Some(json::object(parser)),
            ("JSON_ARRAY", Token::LParen) => Some(json::array(parser)),
            _ => None,
        }
    }
}

/// `TRIM(BOTH FROM x)`, where nothing says what to trim; other forms are the parser's.
fn trim(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let word = |at: usize, word: &str| is_word(&parser.peek_nth_token_ref(at).token, word);
    let sides =
        [("BOTH", TrimWhereField::Both), ("LEADING", TrimWhereField::Leading), ("TRAILING", TrimWhereField::Trailing)];
    let (_, side) = sides.into_iter().find(|(name, _)| word(2, name) && word(3, "FROM"))?;
    (0..4).for_each(|_| parser.advance_token());
    Some(parser.parse_expr().and_then(|expr| {
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::Trim { expr: Box::new(expr), trim_where: Some(side), trim_what: None, trim_characters: None })
    }))
}

/// What DataFusion has no syntax for, behind an expression.
fn infix(parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
    let word = |at: usize, word: &str| is_word(&parser.peek_nth_token_ref(at).token, word);
    let negated = usize::from(word(0, "NOT"));
    if word(negated, "BETWEEN") && (word(negated + 1, "SYMMETRIC") || word(negated + 1, "ASYMMETRIC")) {
        return Some(between(parser, left, negated == 1, precedence));
    }
    if word(0, "OPERATOR") && parser.peek_nth_token_ref(1).token == Token::LParen {
        return Some(named_operator(parser, left, precedence));
    }
    let negated = usize::from(word(1, "NOT"));
    if word(0, "IS") && word(1 + negated, "JSON") {
        return Some(Ok(json::is_json(parser, left, negated == 1)));
    }
    if word(0, "IS") && word(1 + negated, "DISTINCT") && word(2 + negated, "FROM") {
        (0..3 + negated).for_each(|_| parser.advance_token());
        return Some(distinct_from(parser, left, negated == 1, precedence));
    }
    None
}

/// An operator of Postgres, and of how many tokens it is.
fn postgres_operator(parser: &Parser) -> Option<(BinaryOperator, usize)> {
    let is_question = |token: &Token| matches!(token, Token::Placeholder(text) if text == "?");
    let token = &parser.peek_token_ref().token;
    Some(match token {
        Token::Overlap => (BinaryOperator::PGOverlap, 1),
        Token::CaretAt => (BinaryOperator::PGStartsWith, 1),
        Token::Sharp => (BinaryOperator::PGBitwiseXor, 1),
        Token::ShiftLeft => (BinaryOperator::PGBitwiseShiftLeft, 1),
        Token::ShiftRight => (BinaryOperator::PGBitwiseShiftRight, 1),
        Token::Question => (BinaryOperator::Question, 1),
        Token::QuestionPipe => (BinaryOperator::QuestionPipe, 1),
        Token::QuestionAnd => (BinaryOperator::QuestionAnd, 1),
        token if is_question(token) => match &parser.peek_nth_token_ref(1).token {
            Token::Pipe => (BinaryOperator::QuestionPipe, 2),
            Token::Ampersand => (BinaryOperator::QuestionAnd, 2),
            _ => (BinaryOperator::Question, 1),
        },
        _ => return None,
    })
}

/// Operators that the parser knows in all dialects, and has closer or farther than Postgres has them.
fn binds_as_others(token: &Token) -> bool {
    matches!(
        token,
        Token::StringConcat
            | Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
    )
}

fn postgres_infix(parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
    let (op, tokens) = postgres_operator(parser)?;
    (0..tokens).for_each(|_| parser.advance_token());
    let right = parser.parse_subexpr(precedence);
    Some(right.map(|right| Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right) }))
}

/// `@ x`, `|/ x`, `||/ x`.
fn postgres_prefix(parser: &mut Parser, precedence: u8) -> Option<Result<Expr, ParserError>> {
    let op = match &parser.peek_token_ref().token {
        Token::AtSign => UnaryOperator::PGAbs,
        Token::PGSquareRoot => UnaryOperator::PGSquareRoot,
        Token::PGCubeRoot => UnaryOperator::PGCubeRoot,
        _ => return None,
    };
    parser.advance_token();
    let value = parser.parse_subexpr(precedence);
    Some(value.map(|value| Expr::UnaryOp { op, expr: Box::new(value) }))
}

/// `x OPERATOR(pg_catalog.~) y`.
fn named_operator(parser: &mut Parser, left: &Expr, precedence: u8) -> Result<Expr, ParserError> {
    (0..2).for_each(|_| parser.advance_token());
    if is_word(&parser.peek_token_ref().token, "pg_catalog") {
        parser.advance_token();
        parser.expect_token(&Token::Period)?;
    }
    let token = parser.next_token();
    let op = match token.token {
        Token::Tilde => BinaryOperator::PGRegexMatch,
        Token::TildeAsterisk => BinaryOperator::PGRegexIMatch,
        Token::ExclamationMarkTilde => BinaryOperator::PGRegexNotMatch,
        Token::ExclamationMarkTildeAsterisk => BinaryOperator::PGRegexNotIMatch,
        Token::Eq => BinaryOperator::Eq,
        _ => return parser.expected("one of the operators ~, ~*, !~, !~*, =", token),
    };
    parser.expect_token(&Token::RParen)?;
    let (left, right) = (Box::new(left.clone()), Box::new(parser.parse_subexpr(precedence)?));
    Ok(Expr::BinaryOp { left, op, right })
}

/// `x IS [NOT] DISTINCT FROM y` behind FROM. The parser's own would take `y AND z` for the right side.
fn distinct_from(parser: &mut Parser, left: &Expr, negated: bool, precedence: u8) -> Result<Expr, ParserError> {
    let (left, right) = (Box::new(left.clone()), Box::new(parser.parse_subexpr(precedence)?));
    Ok(if negated { Expr::IsNotDistinctFrom(left, right) } else { Expr::IsDistinctFrom(left, right) })
}

/// `x [NOT] BETWEEN SYMMETRIC a AND b`: the bounds in either order.
fn between(parser: &mut Parser, left: &Expr, negated: bool, precedence: u8) -> Result<Expr, ParserError> {
    (0..1 + usize::from(negated)).for_each(|_| parser.advance_token());
    let symmetric = is_word(&parser.next_token().token, "SYMMETRIC");
    let low = parser.parse_subexpr(precedence)?;
    parser.expect_keyword(sqlparser::keywords::Keyword::AND)?;
    let high = parser.parse_subexpr(precedence)?;
    let within = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(left.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let mut found = within(&low, &high);
    if symmetric {
        let (left, right) = (Box::new(found), Box::new(within(&high, &low)));
        found = Expr::BinaryOp { left, op: BinaryOperator::Or, right };
    }
    let found = Expr::Nested(Box::new(found));
    Ok(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(found) } } else { found })
}

/// `TABLE t [PARTITION BY a, b | PARTITION BY (a, b)]`.
fn table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    let name = parser.parse_object_name(false)?;
    let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
    let mut table =
        super::normalise::qualified(&parts).map_err(|e| super::syntax_error::pack(e, name_start(&parts)))?;
    let table = match table.len() {
        1 => Expr::Identifier(table.remove(0)),
        _ => Expr::CompoundIdentifier(table),
    };
    let mut arguments = vec![table];
    if parser.parse_keywords(&[sqlparser::keywords::Keyword::PARTITION, sqlparser::keywords::Keyword::BY]) {
        if parser.consume_token(&Token::LParen) {
            arguments.extend(parser.parse_comma_separated(Parser::parse_expr)?);
            parser.expect_token(&Token::RParen)?;
        } else {
            arguments.push(parser.parse_expr()?);
            // `PARTITION BY a, b, DESCRIPTOR(ts)`: what follows a comma is a key as long as no bracket follows it.
            while parser.peek_token_ref().token == Token::Comma
                && matches!(parser.peek_nth_token_ref(1).token, Token::Word(_))
                && matches!(parser.peek_nth_token_ref(2).token, Token::Comma)
            {
                parser.advance_token();
                arguments.push(parser.parse_expr()?);
            }
        }
    }
    Ok(call(Ident::with_span(span, "__table"), arguments))
}

fn name_start(parts: &[Ident]) -> sqlparser::tokenizer::Location {
    parts.first().map_or(sqlparser::tokenizer::Location::empty(), |p| p.span.start)
}

/// `CAST(x AS type)`.
fn cast(parser: &mut Parser, tries: bool, family: Family) -> Result<Expr, ParserError> {
    let kind = if tries { CastKind::TryCast } else { CastKind::Cast };
    let word = parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let value = parser.parse_expr()?;
    parser.expect_keyword(sqlparser::keywords::Keyword::AS)?;
    if let Some(function) = json_type(parser, family) {
        parser.expect_token(&Token::RParen)?;
        return Ok(call(Ident::with_span(word.span, function), vec![value]));
    }
    let target = types::read_type(parser, family)?;
    parser.expect_token(&Token::RParen)?;
    Ok(cast_to(kind, value, &target, word.span))
}

/// `x::type`.
fn double_colon(parser: &mut Parser, value: &Expr, family: Family) -> Result<Expr, ParserError> {
    let sign = parser.next_token();
    if let Some(function) = json_type(parser, family) {
        return Ok(call(Ident::with_span(sign.span, function), vec![value.clone()]));
    }
    let target = types::read_type(parser, family)?;
    Ok(cast_to(CastKind::Cast, value.clone(), &target, sign.span))
}

/// The function that a cast to JSON stands for in Postgres: it is a text here, and not every text is JSON.
fn json_type(parser: &mut Parser, family: Family) -> Option<&'static str> {
    let is_json = is_word(&parser.peek_token_ref().token, "JSON");
    if family != Family::Postgres || !is_json || parser.peek_nth_token_ref(1).token == Token::LBracket {
        return None;
    }
    parser.advance_token();
    Some("json_in")
}

fn cast_to(kind: CastKind, value: Expr, target: &types::ReadType, span: Span) -> Expr {
    let data_type = types::ast_type(&target.arrow);
    let cast = Expr::Cast { kind, expr: Box::new(value), data_type, array: false, format: None };
    let fit = |function: &str, length: u64| {
        call(Ident::with_span(span, function), vec![cast.clone(), literals::number(length)])
    };
    match target.length {
        None => cast,
        Some(types::Length::AtMost(n)) => fit("left", n),
        Some(types::Length::Exactly(n)) => fit("rpad", n),
    }
}

/// `MAP[k, v, k, v]`.
fn map(parser: &mut Parser) -> Result<Expr, ParserError> {
    let word = parser.next_token();
    parser.expect_token(&Token::LBracket)?;
    let items = parser.parse_comma_separated(Parser::parse_expr)?;
    if !items.len().is_multiple_of(2) {
        return parser.expected("`,` and a value for the last key", parser.peek_token());
    }
    parser.expect_token(&Token::RBracket)?;
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (at, item) in items.into_iter().enumerate() {
        if at.is_multiple_of(2) { keys.push(item) } else { values.push(item) }
    }
    let array = |elem| Expr::Array(Array { elem, named: true });
    Ok(call(Ident::with_span(word.span, "map"), vec![array(keys), array(values)]))
}

/// `name(arguments)`.
pub(super) fn call(name: Ident, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// The name of a function as written.
pub(super) fn ident_of(word: &Word, span: Span) -> Ident {
    word.to_ident(span)
}

/// The text of a string literal.
pub(super) fn string_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
