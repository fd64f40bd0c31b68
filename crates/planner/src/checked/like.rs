//! LIKE with a pattern that is known and has a `%` or `_` inside: taken apart once. Arrow's kernel would compile a regular
//! expression for every batch, which costs more than a small batch.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{LikeExpr, Literal};
use memchr::memmem::Finder;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// `value [NOT] LIKE 'pattern'`.
#[derive(Debug, Clone)]
pub(super) struct Like {
    /// As it was, for names and comparisons.
    original: Arc<dyn PhysicalExpr>,
    value: Arc<dyn PhysicalExpr>,
    negated: bool,
    pattern: Arc<Pattern>,
}

/// The expression with its pattern taken apart; `None` where it is no such LIKE, or one for which Arrow's kernel has
/// nothing to compile.
pub(super) fn prepared(expr: &Arc<dyn PhysicalExpr>, input: &Schema) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(like) = expr.downcast_ref::<LikeExpr>() else { return Ok(None) };
    let Some(ScalarValue::Utf8(Some(text))) = like.pattern().downcast_ref::<Literal>().map(Literal::value) else {
        return Ok(None);
    };
    if like.case_insensitive() || like.expr().data_type(input)? != DataType::Utf8 {
        return Ok(None);
    }
    let inner = text.strip_prefix('%').unwrap_or(text);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    if !inner.contains(['%', '_', '\\']) {
        return Ok(None);
    }
    let (original, value, negated) = (expr.clone(), like.expr().clone(), like.negated());
    Ok(Some(Arc::new(Like { original, value, negated, pattern: Arc::new(Pattern::new(text)) })))
}

/// What stands between the `%` of a pattern: the first part at the beginning of the text, the last at its end, the others
/// in their order between them.
#[derive(Debug)]
struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Box<Finder<'static>>),
    /// Texts with one character of any kind between each and the next.
    WithGaps(Vec<String>),
}

impl Pattern {
    fn new(pattern: &str) -> Self {
        let mut parts = vec![vec![String::new()]];
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            let texts = parts.last_mut().expect("begins with a part");
            match c {
                '%' => parts.push(vec![String::new()]),
                '_' => texts.push(String::new()),
                // At the end the backslash stands for itself.
                '\\' => texts.last_mut().expect("begins with a text").push(characters.next().unwrap_or('\\')),
                other => texts.last_mut().expect("begins with a text").push(other),
            }
        }
        let part = |mut texts: Vec<String>| match texts.len() {
            1 => Part::Text(Box::new(Finder::new(&texts.remove(0)).into_owned())),
            _ => Part::WithGaps(texts),
        };
        Self { parts: parts.into_iter().map(part).collect() }
    }

    /// The leftmost places of the middle parts leave the most room for those behind.
    fn matches(&self, text: &str) -> bool {
        let (first, rest) = self.parts.split_first().expect("a pattern has a part");
        let Some(mut left) = first.after(text) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            match part.after_found(left) {
                Some(after) => left = after,
                None => return false,
            }
        }
        last.ends(left)
    }
}

impl Part {
    /// What follows the part at the beginning of `text`.
    fn after<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Part::Text(finder) => {
                let needle = finder.needle();
                text.as_bytes().starts_with(needle).then(|| &text[needle.len()..])
            }
            Part::WithGaps(texts) => {
                let (first, rest) = texts.split_first()?;
                rest.iter().try_fold(text.strip_prefix(first.as_str())?, |left, text| {
                    let mut characters = left.chars();
                    characters.next()?;
                    characters.as_str().strip_prefix(text.as_str())
                })
            }
        }
    }

    /// What follows the part where it first stands in `text`.
    fn after_found<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Part::Text(finder) => finder.find(text.as_bytes()).map(|at| &text[at + finder.needle().len()..]),
            Part::WithGaps(_) => text.char_indices().find_map(|(at, _)| self.after(&text[at..])),
        }
    }

    /// Does `text` end with the part?
    fn ends(&self, text: &str) -> bool {
        match self {
            Part::Text(finder) => text.as_bytes().ends_with(finder.needle()),
            Part::WithGaps(_) => text.char_indices().any(|(at, _)| self.after(&text[at..]) == Some("")),
        }
    }
}

impl PartialEq for Like {
    fn eq(&self, other: &Self) -> bool {
        self.original.eq(&other.original)
    }
}

impl Eq for Like {}

impl Hash for Like {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.original.hash(state);
    }
}

impl fmt::Display for Like {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.original.fmt(f)
    }
}

impl PhysicalExpr for Like {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.value.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let value = self.value.evaluate(batch)?;
        let is_scalar = matches!(value, ColumnarValue::Scalar(_));
        let texts = value.into_array(if is_scalar { 1 } else { batch.num_rows() })?;
        let found =
            BooleanArray::from_unary(texts.as_string::<i32>(), |text| self.pattern.matches(text) != self.negated);
        match is_scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(found.is_valid(0).then(|| found.value(0))))),
            false => Ok(ColumnarValue::Array(Arc::new(found))),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.value]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let value = children.swap_remove(0);
        let pattern = self.original.children()[1].clone();
        let original = self.original.clone().with_new_children(vec![value.clone(), pattern])?;
        Ok(Arc::new(Self { original, value, negated: self.negated, pattern: self.pattern.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.original.fmt_sql(f)
    }
}
