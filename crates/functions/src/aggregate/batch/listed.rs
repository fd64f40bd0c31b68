//! STRING_AGG, COLLECT and ANY_VALUE for DataFusion: all values are kept until the end. ORDER BY is DataFusion's affair: it
//! hands the values over in order, but states of several partitions are merged as they come: random queries ask for
//! ARRAY_AGG instead.

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The type of COLLECT over `arg`: how often each value is there.
fn counts_type(arg: &DataType) -> DataType {
    let pair = vec![Field::new("key", arg.clone(), false), Field::new("value", DataType::Int32, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Listed {
    name: &'static str,
    signature: Signature,
}

impl Listed {
    /// `string_agg`, `collect` or `any_value`.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Listed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name.to_uppercase();
        let texts =
            |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
        match (self.name, args) {
            ("string_agg", [value, separator]) if texts(value) && texts(separator) => {
                Ok(vec![DataType::Utf8, DataType::Utf8])
            }
            ("string_agg", [other, _]) => plan_err!("{name} is defined on STRING, not on {other}: cast it to STRING"),
            ("string_agg", _) => plan_err!("{name} takes a value and a separator"),
            (_, [DataType::Null]) => plan_err!("{name} of nothing but NULL has no type: cast it"),
            (_, [arg]) => Ok(vec![arg.clone()]),
            _ => plan_err!("{name} takes one argument, not {}", args.len()),
        }
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(match self.name {
            "string_agg" => DataType::Utf8,
            "collect" => counts_type(&args[0]),
            _ => args[0].clone(),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(ListedAccumulator {
            name: self.name,
            result: args.return_type().clone(),
            arg: args.expr_fields[0].data_type().clone(),
            values: Vec::new(),
            separator: String::new(),
            distinct: args.is_distinct,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let values = Field::new_list_field(args.input_fields[0].data_type().clone(), true);
        Ok(vec![
            Arc::new(Field::new_list(format!("{}[values]", args.name), values, false)),
            Arc::new(Field::new(format!("{}[separator]", args.name), DataType::Utf8, false)),
        ])
    }
}

#[derive(Debug)]
struct ListedAccumulator {
    name: &'static str,
    arg: DataType,
    result: DataType,
    values: Vec<ScalarValue>,
    separator: String,
    distinct: bool,
}

impl ListedAccumulator {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = ScalarValue::try_from_array(values, row)?;
            if !self.distinct || !self.values.contains(&value) {
                self.values.push(value);
            }
        }
        Ok(())
    }

    fn counts(&self) -> Result<ScalarValue> {
        let mut pairs: Vec<(ScalarValue, i32)> = Vec::new();
        for value in &self.values {
            match pairs.iter_mut().find(|(v, _)| v == value) {
                Some((_, count)) => *count += 1,
                None => pairs.push((value.clone(), 1)),
            }
        }
        pairs.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let DataType::Map(entries, sorted) = &self.result else {
            return Err(exec_datafusion_err!("COLLECT gives a MAP"));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(exec_datafusion_err!("COLLECT gives a MAP"));
        };
        let values = ScalarValue::iter_to_array(pairs.iter().map(|(v, _)| v.clone()))?;
        let counts: ArrayRef = Arc::new(pairs.iter().map(|(_, n)| Some(*n)).collect::<arrow::array::Int32Array>());
        let pairs = arrow::array::StructArray::try_new(fields.clone(), vec![values, counts], None)?;
        let offsets = OffsetBuffer::from_lengths([pairs.len()]);
        let map = arrow::array::MapArray::try_new(entries.clone(), offsets, pairs, None, *sorted)?;
        ScalarValue::try_from_array(&map, 0)
    }
}

impl Accumulator for ListedAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.name == "string_agg" && !values[1].is_empty() && values[1].is_valid(0) {
            self.separator = values[1].as_string::<i32>().value(0).to_owned();
        }
        self.add(&values[0])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return ScalarValue::try_from(&self.result);
        }
        match self.name {
            "string_agg" => {
                let texts: Vec<&str> = self.values.iter().filter_map(|v| v.try_as_str().flatten()).collect();
                Ok(ScalarValue::Utf8(Some(texts.join(&self.separator))))
            }
            "collect" => self.counts(),
            _ => {
                let least = self.values.iter().min_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
                least.cloned().map_or_else(|| ScalarValue::try_from(&self.result), Ok)
            }
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + ScalarValue::size_of_vec(&self.values)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = ScalarValue::new_list_nullable(&self.values, &self.arg);
        Ok(vec![ScalarValue::List(list), ScalarValue::from(self.separator.as_str())])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let separators = states[1].as_string::<i32>();
        let lists: &ListArray = states[0].as_list::<i32>();
        for (list, separator) in lists.iter().zip(separators) {
            if let Some(separator) = separator.filter(|s| !s.is_empty()) {
                self.separator = separator.to_owned();
            }
            if let Some(list) = list {
                self.add(&list)?;
            }
        }
        Ok(())
    }
}
