//! Columns of texts to columns of JSONB.

use crate::Json;
use arrow::array::{Array, GenericStringArray, LargeStringArray, LargeStringBuilder, OffsetSizeTrait};

/// The row of a column whose text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJson(pub usize);

/// Texts as JSON in its one form.
///
/// # Errors
/// The first row that is no JSON.
pub fn jsonb_column<O: OffsetSizeTrait>(texts: &GenericStringArray<O>) -> Result<LargeStringArray, NotJson> {
    let mut out = LargeStringBuilder::with_capacity(texts.len(), texts.values().len());
    for (row, text) in texts.iter().enumerate() {
        match text {
            Some(text) => {
                let written = Json::read(text).ok_or(NotJson(row))?.write(&mut out);
                debug_assert!(written.is_ok(), "writing into memory cannot fail");
                out.append_value("");
            }
            None => out.append_null(),
        }
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;

    #[test]
    fn texts_are_brought_to_one_form_or_told_by_their_row() {
        let texts = StringArray::from(vec![Some("{\"b\":1e2, \"a\":[ ] , \"b\":2}"), None, Some("null")]);
        let wanted = LargeStringArray::from(vec![Some("{\"a\": [], \"b\": 2}"), None, Some("null")]);
        assert_eq!(jsonb_column(&texts), Ok(wanted));
        assert_eq!(jsonb_column(&StringArray::from(vec!["1", "{", "x"])), Err(NotJson(1)));
    }
}
