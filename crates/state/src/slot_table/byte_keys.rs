//! Strings and byte strings as keys: 16 bytes a slot, and what is longer than 15 bytes in an arena beside.

use super::key_column::{Created, KeyColumn};
use crate::{Arena, BySlot, Leaving, StateError};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use std::sync::Arc;

/// Longest value that is kept within its view.
const INLINE_MAX: usize = 15;
/// The last byte of a view: the length of an inline value, or one of these.
const LONG: u8 = 0xff;
const NULL: u8 = 0xfe;

/// A value in 16 bytes. Inline: its bytes, then zeros, then its length in the last byte. Long: position in the arena
/// (8 bytes), length (4), the first 3 bytes, [`LONG`].
type View = u128;

fn kind(view: View) -> u8 {
    (view >> 120) as u8
}

fn long(at: u64, value: &[u8]) -> View {
    let mut view = [0u8; 16];
    view[..8].copy_from_slice(&at.to_le_bytes());
    view[8..12].copy_from_slice(&(value.len() as u32).to_le_bytes());
    view[12..15].copy_from_slice(&value[..3]);
    view[15] = LONG;
    View::from_le_bytes(view)
}

/// Position and length of a long value.
fn place(view: View) -> (u64, usize) {
    (view as u64, (view >> 64) as u32 as usize)
}

/// The view of a value that is at most [`INLINE_MAX`] long; `buffer[start..]` begins with it.
#[inline(always)]
fn inline(buffer: &[u8], start: usize, length: usize) -> View {
    let bytes = match buffer.get(start..start + 16) {
        // Read 16 bytes at once, cut the surplus off.
        Some(bytes) => View::from_le_bytes(bytes.try_into().expect("16 bytes")) & ((1 << (8 * length)) - 1),
        None => {
            let mut bytes = [0u8; 16];
            bytes[..length].copy_from_slice(&buffer[start..start + length]);
            View::from_le_bytes(bytes)
        }
    };
    bytes | (length as View) << 120
}

/// The values of a batch's column.
struct Values<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
    column: &'a dyn Array,
}

impl<'a> Values<'a> {
    fn of(column: &'a ArrayRef) -> Self {
        let (offsets, bytes) = match column.data_type() {
            DataType::Utf8 => {
                let strings = column.as_string::<i32>();
                (strings.value_offsets(), strings.value_data())
            }
            _ => {
                let strings = column.as_binary::<i32>();
                (strings.value_offsets(), strings.value_data())
            }
        };
        Self { offsets, bytes, column: column.as_ref() }
    }

    #[inline(always)]
    fn place(&self, row: usize) -> (usize, usize) {
        let start = self.offsets[row] as usize;
        (start, self.offsets[row + 1] as usize - start)
    }
}

/// Keys of type STRING or BYTES.
pub(super) struct ByteKeys {
    is_text: bool,
    views: BySlot<View>,
    arena: Arena,
}

impl ByteKeys {
    pub(super) fn new(data_type: &DataType) -> Self {
        Self { is_text: *data_type == DataType::Utf8, views: BySlot::new(), arena: Arena::default() }
    }

    #[inline(always)]
    fn same(&self, values: &Values<'_>, nulls: bool, row: usize, slot: u32) -> bool {
        let view = self.views[slot as usize];
        if nulls && values.column.is_null(row) {
            return kind(view) == NULL;
        }
        let (start, length) = values.place(row);
        if length <= INLINE_MAX {
            return inline(values.bytes, start, length) == view;
        }
        kind(view) == LONG && {
            let (at, stored) = place(view);
            stored == length && *self.arena.value(at, length) == values.bytes[start..start + length]
        }
    }

    fn sweep(&mut self) {
        let Self { views, arena, .. } = self;
        let leaving = |arena: &Arena| {
            let long = views.iter().enumerate().filter(|(_, view)| kind(**view) == LONG);
            let places =
                long.map(|(slot, view)| (place(*view), slot as u32)).filter(|((at, _), _)| arena.is_leaving(*at));
            places.map(|((at, length), slot)| (at, length as u32, slot)).collect::<Vec<Leaving>>()
        };
        let mut moves = Vec::new();
        arena.sweep(leaving, |slot, at| moves.push((slot, at)));
        for (slot, at) in moves {
            let view = &mut views[slot as usize];
            *view = *view >> 64 << 64 | View::from(at);
        }
    }

    /// Calls `each` with every value of `slots`, `None` for NULL.
    fn for_each(&self, slots: &[u32], mut each: impl FnMut(Option<&[u8]>)) {
        for slot in slots {
            let view = self.views[*slot as usize];
            match kind(view) {
                NULL => each(None),
                LONG => {
                    let (at, length) = place(view);
                    each(Some(self.arena.value(at, length)));
                }
                length => each(Some(&view.to_le_bytes()[..length.into()])),
            }
        }
    }
}

impl KeyColumn for ByteKeys {
    fn resize(&mut self, slots: usize) {
        self.views.grow(slots, 0);
    }

    fn write(&mut self, column: &ArrayRef, created: &[Created]) {
        let values = Values::of(column);
        for c in created {
            let (start, length) = values.place(c.row as usize);
            self.views[c.slot as usize] = if column.is_null(c.row as usize) {
                View::from(NULL) << 120
            } else if length <= INLINE_MAX {
                inline(values.bytes, start, length)
            } else {
                let value = &values.bytes[start..start + length];
                long(self.arena.push([value, &[]]), value)
            };
        }
    }

    fn mismatches(&self, column: &ArrayRef, slots: &[u32], rows: &mut Vec<u32>) {
        let (values, nulls) = (Values::of(column), column.null_count() > 0);
        for (row, slot) in slots.iter().enumerate() {
            if !self.same(&values, nulls, row, *slot) {
                rows.push(row as u32);
            }
        }
    }

    fn equals(&self, column: &ArrayRef, row: usize, slot: u32) -> bool {
        self.same(&Values::of(column), true, row, slot)
    }

    fn gather(&self, slots: &[u32]) -> Result<ArrayRef, StateError> {
        let mut offsets = Vec::with_capacity(slots.len() + 1);
        offsets.push(0);
        let (mut end, mut has_nulls) = (0usize, false);
        for slot in slots {
            let view = self.views[*slot as usize];
            end += match kind(view) {
                NULL => {
                    has_nulls = true;
                    0
                }
                LONG => place(view).1,
                length => length.into(),
            };
            offsets.push(i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?);
        }
        let mut bytes = Vec::with_capacity(end);
        self.for_each(slots, |v| bytes.extend_from_slice(v.unwrap_or_default()));
        let nulls = has_nulls.then(|| slots.iter().map(|s| kind(self.views[*s as usize]) != NULL).collect());
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(match self.is_text {
            true => Arc::new(StringArray::try_new(offsets, bytes.into(), nulls)?),
            false => Arc::new(BinaryArray::try_new(offsets, bytes.into(), nulls)?),
        })
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            let view = std::mem::take(&mut self.views[*slot as usize]);
            if kind(view) == LONG {
                let (at, length) = place(view);
                self.arena.remove(at, length);
                if self.arena.is_wasteful() {
                    self.sweep();
                }
            }
        }
    }

    fn clear_all(&mut self) {
        self.views.clear();
        self.arena.clear();
    }

    fn size_bytes(&self) -> usize {
        self.views.size_bytes() + self.arena.size_bytes()
    }

    fn heap_bytes(&self) -> usize {
        self.arena.size_bytes()
    }
}
