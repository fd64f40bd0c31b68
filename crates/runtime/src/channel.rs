//! Channels between tasks: bounded queues of stream elements.
//!
//! A channel takes one more element at any time; *full* is a condition of scheduling: a task runs only while none
//! of its output channels is full. So one step of a task never stops half-way, and a channel holds at most its
//! capacity plus what one step emits.

use crate::wake::Alarm;
use eddyline_changes::StreamElement;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// One producer task, one consumer task.
pub(crate) struct Channel {
    queue: Mutex<Queue>,
    /// Elements that the consumer can see.
    visible: AtomicUsize,
    /// All elements.
    len: AtomicUsize,
    capacity: usize,
    /// Elements stay in transit until they are released: message delays of the simulation.
    delayed: bool,
    producer: Arc<Alarm>,
    consumer: Arc<Alarm>,
}

#[derive(Default)]
struct Queue {
    arrived: VecDeque<StreamElement>,
    in_transit: VecDeque<StreamElement>,
}

impl Channel {
    pub(crate) fn new(capacity: usize, delayed: bool, producer: Arc<Alarm>, consumer: Arc<Alarm>) -> Arc<Self> {
        let queue = Mutex::default();
        let (visible, len) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { queue, visible, len, capacity, delayed, producer, consumer })
    }

    /// True when the producer must not be scheduled.
    pub(crate) fn is_full(&self) -> bool {
        self.len.load(SeqCst) >= self.capacity
    }

    /// True when the consumer sees nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.visible.load(SeqCst) == 0
    }

    /// Appends an element; wakes the consumer if it saw nothing before.
    pub(crate) fn push(&self, element: StreamElement) {
        let mut queue = self.queue.lock();
        self.len.fetch_add(1, SeqCst);
        if self.delayed {
            queue.in_transit.push_back(element);
            return;
        }
        queue.arrived.push_back(element);
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
        let element = self.queue.lock().arrived.pop_front()?;
        self.visible.fetch_sub(1, SeqCst);
        if self.len.fetch_sub(1, SeqCst) == self.capacity {
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
