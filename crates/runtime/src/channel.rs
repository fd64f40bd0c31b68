//! Channels between tasks: bounded queues of stream elements.
//!
//! A channel takes one more element at any time; *full* is a condition of scheduling: a task runs only while none
//! of its output channels is full. So one step of a task never stops half-way, and a channel holds at most its
//! capacity plus what one step emits. It is full by the number of elements or by their size, whatever comes first: rows on
//! their way are memory that no state has.

use crate::wake::Alarm;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use eddyline_changes::StreamElement;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A channel with so many bytes in it is full.
const BYTES_MAX: usize = 1 << 20;

/// A batch of fewer rows is small.
const SMALL: usize = 32;

/// One producer task, one consumer task.
pub(crate) struct Channel {
    queue: Mutex<Queue>,
    /// Elements that the consumer can see.
    visible: AtomicUsize,
    /// All elements.
    len: AtomicUsize,
    /// Their size.
    size_bytes: AtomicUsize,
    capacity: usize,
    /// Elements stay in transit until they are released: message delays of the simulation.
    delayed: bool,
    producer: Arc<Alarm>,
    consumer: Arc<Alarm>,
}

/// Elements with their sizes.
#[derive(Default)]
struct Queue {
    arrived: VecDeque<(StreamElement, usize)>,
    in_transit: VecDeque<(StreamElement, usize)>,
}

/// What an element takes of memory, about.
fn size_bytes(element: &StreamElement) -> usize {
    let StreamElement::Changes(changes) = element else { return 0 };
    // To ask every column would cost a small batch more than all else that is done to it here.
    if changes.rows().num_rows() < SMALL {
        return changes.rows().num_rows() * 64;
    }
    changes.rows().columns().iter().map(column_bytes).sum()
}

fn column_bytes(column: &ArrayRef) -> usize {
    let bytes_of = |offsets: &[i32]| (offsets[offsets.len() - 1] - offsets[0]) as usize + size_of_val(offsets);
    match (column.data_type(), column.data_type().primitive_width()) {
        (_, Some(width)) => column.len() * width,
        (DataType::Utf8, _) => bytes_of(column.as_string::<i32>().value_offsets()),
        (DataType::Binary, _) => bytes_of(column.as_binary::<i32>().value_offsets()),
        _ => column.to_data().get_slice_memory_size().unwrap_or_default(),
    }
}

impl Channel {
    pub(crate) fn new(capacity: usize, delayed: bool, producer: Arc<Alarm>, consumer: Arc<Alarm>) -> Arc<Self> {
        let queue = Mutex::default();
        let [visible, len, size_bytes] = [0; 3].map(AtomicUsize::new);
        Arc::new(Self { queue, visible, len, size_bytes, capacity, delayed, producer, consumer })
    }

    /// True when the producer must not be scheduled.
    pub(crate) fn is_full(&self) -> bool {
        self.are_full(self.len.load(SeqCst), self.size_bytes.load(SeqCst))
    }

    /// What its elements take, about.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.size_bytes.load(SeqCst)
    }

    fn are_full(&self, elements: usize, size_bytes: usize) -> bool {
        elements >= self.capacity || size_bytes >= BYTES_MAX
    }

    /// True when the consumer sees nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.visible.load(SeqCst) == 0
    }

    /// Appends an element; wakes the consumer if it saw nothing before.
    pub(crate) fn push(&self, element: StreamElement) {
        let size_bytes = size_bytes(&element);
        let mut queue = self.queue.lock();
        self.len.fetch_add(1, SeqCst);
        self.size_bytes.fetch_add(size_bytes, SeqCst);
        if self.delayed {
            queue.in_transit.push_back((element, size_bytes));
            return;
        }
        queue.arrived.push_back((element, size_bytes));
        let was_empty = self.visible.fetch_add(1, SeqCst) == 0;
        drop(queue);
        if was_empty {
            self.consumer.ring();
        }
    }

    /// The next element; wakes the producer if the channel was full.
    pub(crate) fn pop(&self) -> Option<StreamElement> {
        if self.is_empty() {
            return None;
        }
        let (element, size_bytes) = self.queue.lock().arrived.pop_front()?;
        self.visible.fetch_sub(1, SeqCst);
        // As they were when each was taken off: whoever saw the channel full saw one of them before, and is woken.
        let (elements, all_bytes) = (self.len.fetch_sub(1, SeqCst), self.size_bytes.fetch_sub(size_bytes, SeqCst));
        if self.are_full(elements, all_bytes) {
            self.producer.ring();
        }
        Some(element)
    }

    /// Elements on their way.
    pub(crate) fn in_transit(&self) -> usize {
        self.queue.lock().in_transit.len()
    }

    /// Lets the next `count` elements arrive.
    pub(crate) fn release(&self, count: usize) {
        let mut queue = self.queue.lock();
        let count = count.min(queue.in_transit.len());
        let Queue { arrived, in_transit } = &mut *queue;
        arrived.extend(in_transit.drain(..count));
        self.visible.fetch_add(count, SeqCst);
        drop(queue);
        self.consumer.ring();
    }
}
