//! Maps.

use super::array::{comparable, range};
use super::array_order::element_type;
use super::call::{Call, Definition, Kind, Page, Returns, Signed};
use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::{Result, exec_datafusion_err, exec_err, plan_err};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "map_from_arrays",
        aliases: &[],
        args: &[&[Kind::Any, Kind::Any]],
        variadic: false,
        returns: Returns::From(from_arrays_type),
        body: from_arrays,
        page: Page {
            signature: "MAP_FROM_ARRAYS(keys ARRAY<K>, values ARRAY<V>)",
            result: "MAP<K, V>",
            text: "A map of keys and their values; of equal keys the last counts. Both arrays are of one length, and no key is NULL. NULL if an argument is NULL.",
            example: ("MAP_FROM_ARRAYS(ARRAY['a', 'b'], ARRAY[1, 2])", "{a: 1, b: 2}"),
        },
    },
    Definition {
        name: "map_union",
        aliases: &[],
        args: &[&[Kind::Same]],
        variadic: true,
        returns: Returns::From(|signed| match &signed.types[0] {
            map @ DataType::Map(..) => Ok(map.clone()),
            other => plan_err!("MAP_UNION takes MAPs, not {other}"),
        }),
        body: union,
        page: Page {
            signature: "MAP_UNION(map MAP<K, V>, …)",
            result: "MAP<K, V>",
            text: "The entries of all maps; of equal keys the last counts. NULL if any of the maps is NULL.",
            example: ("MAP_UNION(MAP['a', 1], MAP['a', 2, 'b', 3])", "{a: 2, b: 3}"),
        },
    },
];

/// The type of `MAP_FROM_ARRAYS`.
fn from_arrays_type(signed: &Signed<'_>) -> Result<DataType> {
    let (Some(key), Some(value)) = (element_type(signed, 0), element_type(signed, 1)) else {
        return plan_err!("MAP_FROM_ARRAYS takes two ARRAYs, not {} and {}", signed.types[0], signed.types[1]);
    };
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    Ok(DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false))
}

/// Maps of keys and values.
fn from_arrays(call: &Call) -> Result<ArrayRef> {
    let (keys, values) = (super::array::lists(call, 0)?, super::array::lists(call, 1)?);
    let mut maker = Maker::new(call.rows);
    let rows = comparable(&[keys.values()])?;
    for row in 0..call.rows {
        let (Some(k), Some(v)) = (range(&keys, row), range(&values, row)) else {
            maker.end(false)?;
            continue;
        };
        if k.len() != v.len() {
            return exec_err!("MAP_FROM_ARRAYS: {} keys and {} values", k.len(), v.len());
        }
        for (key, value) in k.zip(v) {
            if keys.values().is_null(key) {
                return exec_err!("MAP_FROM_ARRAYS: a key is NULL");
            }
            maker.entry(rows[0].row(key).data(), key, value);
        }
        maker.end(true)?;
    }
    maker.finish(call, keys.values(), values.values())
}

fn union(call: &Call) -> Result<ArrayRef> {
    let columns = (0..call.len()).map(|at| call.column(at)).collect::<Result<Vec<_>>>()?;
    let maps: Vec<&MapArray> = columns
        .iter()
        .map(|c| c.as_map_opt().ok_or_else(|| exec_datafusion_err!("MAP_UNION takes MAPs")))
        .collect::<Result<_>>()?;
    let keys = concat(&maps.iter().map(|m| m.keys().as_ref()).collect::<Vec<_>>())?;
    let values = concat(&maps.iter().map(|m| m.values().as_ref()).collect::<Vec<_>>())?;
    let rows = comparable(&[&keys])?;
    let mut maker = Maker::new(call.rows);
    for row in 0..call.rows {
        let valid = maps.iter().all(|m| m.is_valid(row));
        let mut base = 0;
        for map in &maps {
            if valid {
                let offsets = map.value_offsets();
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    maker.entry(rows[0].row(base + at).data(), base + at, base + at);
                }
            }
            base += map.keys().len();
        }
        maker.end(valid)?;
    }
    maker.finish(call, &keys, &values)
}

/// Maps made of entries; a key that is there already gets the new value.
struct Maker {
    places: Vec<(u32, u32)>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
    known: HashMap<Vec<u8>, usize>,
}

impl Maker {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { places: vec![], offsets, valid: Vec::with_capacity(rows), known: HashMap::new() }
    }

    fn entry(&mut self, key: &[u8], key_at: usize, value_at: usize) {
        match self.known.get(key) {
            Some(entry) => self.places[*entry].1 = value_at as u32,
            None => {
                self.known.insert(key.to_vec(), self.places.len());
                self.places.push((key_at as u32, value_at as u32));
            }
        }
    }

    fn end(&mut self, valid: bool) -> Result<()> {
        let end = i32::try_from(self.places.len()).map_err(|_| exec_datafusion_err!("maps of too many entries"))?;
        self.offsets.push(end);
        self.valid.push(valid);
        self.known.clear();
        Ok(())
    }

    fn finish(self, call: &Call, keys: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef> {
        let DataType::Map(entries, sorted) = &call.return_type else {
            return exec_err!("{} makes MAPs, not {}", call.sql_name(), call.return_type);
        };
        let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a MAP without entries") };
        let (key_places, value_places): (Vec<u32>, Vec<u32>) = self.places.into_iter().unzip();
        let keys = take(keys, &UInt32Array::from(key_places), None)?;
        let values = take(values, &UInt32Array::from(value_places), None)?;
        let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let nulls = NullBuffer::from(self.valid);
        Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, Some(nulls), *sorted)?))
    }
}
