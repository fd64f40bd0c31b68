//! Records of another format whose last column is the mark: it becomes a weight.

use super::super::column::{Column, NULL_REFUSED, Values};
use super::super::rows::{Fault, Records, Step};
use super::{Layout, Mark};
use crate::SourceRequest;

/// Reads what `R` reads, and a mark.
pub(super) struct Marked<R> {
    base: R,
    mark: Mark,
    /// The name of the field of the mark, for errors.
    name: String,
    /// The columns that make the key, and those of all that must not be NULL.
    key: Vec<usize>,
    not_null: Vec<usize>,
    weights: Vec<i64>,
}

impl<R> Marked<R> {
    pub(super) fn new(base: R, layout: &Layout, request: &SourceRequest) -> Self {
        let column = |physical: &usize| request.projection.iter().position(|p| p == physical);
        let fields = request.physical.fields();
        let not_null = request.projection.iter().enumerate().filter(|(_, p)| !fields[**p].is_nullable());
        Self {
            base,
            mark: layout.variant.mark,
            name: layout.name.clone(),
            key: request.key.iter().filter_map(column).collect(),
            not_null: not_null.map(|(at, _)| at).collect(),
            weights: Vec::new(),
        }
    }

    /// The weight of the row that was read last.
    #[inline]
    fn weight(&self, columns: &[Column]) -> Result<i64, Fault> {
        let Some((mark, columns)) = columns.split_last() else { return Ok(1) };
        let Values::Text(text) = &mark.values else { return Ok(1) };
        let text = if mark.is_last_null() { None } else { Some(text.last()) };
        match self.mark {
            Mark::Kind => match text {
                Some(b"+I" | b"+U") => Ok(1),
                Some(b"-U" | b"-D") => Ok(-1),
                _ => Err(self.bad_mark(text, "is none of +I, -U, +U and -D")),
            },
            Mark::Deleted => {
                let weight = match text {
                    None | Some(b"false" | b"") => 1,
                    Some(b"true") => -1,
                    _ => return Err(self.bad_mark(text, "is neither true nor false")),
                };
                let wanted = if weight > 0 { &self.not_null } else { &self.key };
                not_null(wanted, columns)?;
                Ok(weight)
            }
        }
    }

    #[cold]
    fn bad_mark(&self, text: Option<&[u8]>, why: &str) -> Fault {
        let (value, message) = match text {
            Some(text) => (text.to_vec(), why.to_owned()),
            None => (Vec::new(), format!("{why}: it is missing")),
        };
        Fault { column: Some(self.name.clone()), value, message }
    }
}

/// Refuses a last row that is NULL in one of `wanted`.
#[inline]
pub(in crate::format) fn not_null(wanted: &[usize], columns: &[Column]) -> Result<(), Fault> {
    match wanted.iter().find(|c| columns[**c].is_last_null()) {
        None => Ok(()),
        Some(column) => Err(Fault::value(&columns[*column], b"", NULL_REFUSED.into())),
    }
}

impl<R: Records> Records for Marked<R> {
    const IS_TEXT: bool = R::IS_TEXT;

    fn read(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<Step, Fault> {
        let step = self.base.read(bytes, at, columns)?;
        if let Step::Row(_) = step {
            self.weights.push(self.weight(columns)?);
        }
        Ok(step)
    }

    fn skip(&self, bytes: &[u8], at: usize) -> usize {
        self.base.skip(bytes, at)
    }

    fn take_weights(&mut self) -> Option<Vec<i64>> {
        Some(std::mem::take(&mut self.weights))
    }

    fn start(&mut self, bytes: &[u8]) -> Result<usize, String> {
        self.base.start(bytes)
    }
}
