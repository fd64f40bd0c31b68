//! UNNEST: a row for every element of an array or a map.

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

/// Every row of the input once for every element of its lists. Linear: weights pass through.
///
/// Several lists are gone through side by side; the shorter ones are NULL at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnnestSpec {
    /// ARRAY and MAP columns of the input.
    pub lists: Vec<usize>,
    /// Rows without any element are put out once, with NULLs.
    pub outer: bool,
    /// Is the number of the element, from 1, put out?
    pub ordinality: bool,
    /// The columns put out: those of the input, then those of the elements of every list, then the number.
    pub output: Vec<usize>,
}

impl UnnestSpec {
    /// The columns of the elements of a list: the fields of a ROW, key and value of a MAP, else one column. `None` for
    /// what is no list. `padded` says that elements may be missing.
    pub fn element_fields(list: &DataType, padded: bool) -> Option<Vec<FieldRef>> {
        let spread = |item: &FieldRef| match item.data_type() {
            DataType::Struct(fields) => {
                let nullable = padded || item.is_nullable();
                let field = |f: &FieldRef| Arc::new(f.as_ref().clone().with_nullable(nullable || f.is_nullable()));
                fields.iter().map(field).collect()
            }
            data_type => vec![Arc::new(Field::new("EXPR$0", data_type.clone(), padded || item.is_nullable()))],
        };
        match list {
            DataType::List(item) => Some(spread(item)),
            DataType::Map(entries, _) => {
                let names = ["KEY", "VALUE"].into_iter();
                Some(
                    spread(entries).iter().zip(names).map(|(f, n)| Arc::new(f.as_ref().clone().with_name(n))).collect(),
                )
            }
            _ => None,
        }
    }

    /// What is put out of lists of these types beside the columns of the input; `None` if one of them is no list.
    pub fn added_fields(lists: &[DataType], outer: bool, ordinality: bool) -> Option<Vec<FieldRef>> {
        let padded = outer || lists.len() > 1;
        let all = lists.iter().map(|t| Self::element_fields(t, padded)).collect::<Option<Vec<_>>>()?;
        let number = ordinality.then(|| Arc::new(Field::new("ORDINALITY", DataType::Int32, outer)));
        let named = all.concat().into_iter().enumerate().map(|(at, f)| match f.name().as_str() {
            "EXPR$0" => Arc::new(f.as_ref().clone().with_name(format!("EXPR${at}"))),
            _ => f,
        });
        Some(named.chain(number).collect())
    }

    /// All columns that [`output`](Self::output) may name.
    pub fn all_columns(&self, input: &Schema) -> Vec<FieldRef> {
        let lists: Vec<DataType> = self.lists.iter().map(|c| input.field(*c).data_type().clone()).collect();
        let added = Self::added_fields(&lists, self.outer, self.ordinality).unwrap_or_default();
        input.fields().iter().cloned().chain(added).collect()
    }

    /// The output schema.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        let all = self.all_columns(input);
        Arc::new(Schema::new(self.output.iter().map(|c| all[*c].clone()).collect::<Vec<_>>()))
    }
}
