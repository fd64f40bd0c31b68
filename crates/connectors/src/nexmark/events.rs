//! The events: which numbers are persons, auctions and bids, and the columns of each.
//!
//! Event `n` is a function of the seed and `n`. Events come in epochs, of 50 by default: first the persons (1), then
//! the auctions (3), then the bids (46). Half of the bids go to a hot auction, three quarters of the bids come from a
//! hot bidder and three quarters of the auctions from a hot seller; who is hot moves on every 100 ids.

use super::random::{Draw, mix};
use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

const FIRST_ID: i64 = 1000;
const FIRST_CATEGORY: i64 = 10;
const ACTIVE_PEOPLE: i64 = 1000;
const INFLIGHT_AUCTIONS: i64 = 100;
const LEAD: i64 = 10;
const HOT_BLOCK: i64 = 100;
const HOT_CHANNEL: i64 = 2;
const CHANNELS: i64 = 10_000;
const FIRST: [&str; 11] = ["Ada", "Ben", "Cora", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "June", "Kai"];
const LAST: [&str; 9] = ["Abel", "Boyd", "Cole", "Dunn", "Egan", "Ford", "Gale", "Holt", "Ives"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// The three streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Person,
    Auction,
    Bid,
}

/// What the events are made by.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) mixed_seed: u64,
    pub(super) persons: i64,
    pub(super) auctions: i64,
    pub(super) bids: i64,
    pub(super) hot_sellers: i64,
    pub(super) hot_auctions: i64,
    pub(super) hot_bidders: i64,
    pub(super) base_ms: i64,
    /// Event time between two events, in microseconds.
    pub(super) step_us: i64,
    pub(super) channels: OnceLock<Channels>,
}

/// Name and address of every channel, the hot ones first: an address is fixed for a channel.
#[derive(Debug)]
pub(super) struct Channels {
    names: Vec<String>,
    urls: Vec<String>,
}

/// Some events of one stream (or of all): number, epoch, place within the epoch, random bits.
#[derive(Debug, Default)]
pub(super) struct Events {
    numbers: Vec<i64>,
    epochs: Vec<i64>,
    places: Vec<i64>,
    draws: Vec<Draw>,
}

impl Events {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn places(&self) -> &[i64] {
        &self.places
    }

    fn push(&mut self, model: &Model, epoch: i64, place: i64) {
        let n = epoch * model.epoch() + place;
        self.numbers.push(n);
        self.epochs.push(epoch);
        self.places.push(place);
        self.draws.push(Draw::new(model.mixed_seed, n as u64));
    }

    fn longs(&self, value: impl Fn(i64, i64, Draw) -> i64) -> Result<ArrayRef, ArrowError> {
        let values = self.epochs.iter().zip(&self.places).zip(&self.draws);
        let values: Vec<i64> = values.map(|((e, o), d)| value(*e, *o, *d)).collect();
        Ok(Arc::new(Int64Array::from(values)))
    }

    fn texts(&self, width: usize, value: impl Fn(Draw, &mut Vec<u8>)) -> Result<ArrayRef, ArrowError> {
        let mut bytes = Vec::with_capacity(width * self.len());
        let mut offsets = Vec::with_capacity(self.len() + 1);
        offsets.push(0i32);
        for draw in &self.draws {
            value(*draw, &mut bytes);
            offsets.push(bytes.len() as i32);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(StringArray::try_new(offsets, bytes.into(), None)?))
    }

    fn letters(&self, field: u64, shortest: usize, spread: i64, length: u64) -> Result<ArrayRef, ArrowError> {
        let width = shortest + spread as usize / 2;
        self.texts(width, |d, out| d.letters(field, shortest + d.below(length, spread) as usize, out))
    }
}

impl Model {
    /// The usual mixture, one event every millisecond from `base_ms` on.
    pub(super) fn new(seed: u64, base_ms: i64) -> Self {
        Self {
            mixed_seed: mix(seed),
            persons: 1,
            auctions: 3,
            bids: 46,
            hot_sellers: 4,
            hot_auctions: 2,
            hot_bidders: 4,
            base_ms,
            step_us: 1000,
            channels: OnceLock::new(),
        }
    }

    /// Events of an epoch.
    pub(super) fn epoch(&self) -> i64 {
        self.persons + self.auctions + self.bids
    }

    /// The stream of the event at `place` in its epoch.
    pub(super) fn stream_at(&self, place: i64) -> Stream {
        match place {
            p if p < self.persons => Stream::Person,
            p if p < self.persons + self.auctions => Stream::Auction,
            _ => Stream::Bid,
        }
    }

    /// Which places of an epoch are `stream`'s.
    fn places(&self, stream: Option<Stream>) -> Range<i64> {
        let bids = self.persons + self.auctions;
        match stream {
            None => 0..self.epoch(),
            Some(Stream::Person) => 0..self.persons,
            Some(Stream::Auction) => self.persons..bids,
            Some(Stream::Bid) => bids..self.epoch(),
        }
    }

    /// At most `rows_max` events of `stream` (`None`: of all) out of `positions` of split `number` of `of`, which has
    /// the epochs `e` with `e % of == number`; and the position where the next row begins.
    pub(super) fn events(
        &self,
        stream: Option<Stream>,
        positions: Range<u64>,
        (number, of): (u64, u64),
        rows_max: usize,
    ) -> (Events, u64) {
        let (epoch, wanted) = (self.epoch() as u64, self.places(stream));
        let mut events = Events::default();
        let mut at = positions.start;
        while at < positions.end && events.len() < rows_max {
            let (e, first) = (at / epoch, at - at / epoch * epoch);
            let last = epoch.min(first + positions.end - at);
            let from = (first as i64).max(wanted.start);
            let room = i64::try_from(rows_max - events.len()).unwrap_or(i64::MAX);
            let to = (last as i64).min(wanted.end).min(from.saturating_add(room));
            (from..to).for_each(|place| events.push(self, (e * of + number) as i64, place));
            let used_up = to >= (last as i64).min(wanted.end);
            at = e * epoch + if used_up { last } else { to as u64 };
        }
        (events, at)
    }

    /// How many positions split `number` of `of` has, when there are `events` in all.
    pub(super) fn positions(&self, events: u64, number: u64, of: u64) -> u64 {
        let epoch = self.epoch() as u64;
        let (whole, rest) = (events / epoch, events % epoch);
        let epochs = (whole + of - 1 - number) / of;
        epochs * epoch + if whole % of == number { rest } else { 0 }
    }

    fn last_person(&self, epoch: i64, place: i64) -> i64 {
        epoch * self.persons + place.min(self.persons - 1)
    }

    fn last_auction(&self, epoch: i64, place: i64) -> i64 {
        epoch * self.auctions + (place - self.persons).min(self.auctions - 1).max(-1)
    }

    fn pick_person(&self, last: i64, draw: Draw, field: u64) -> i64 {
        let active = (last + 1).min(ACTIVE_PEOPLE);
        last + 1 - active + draw.below(field, active + LEAD)
    }

    fn pick_auction(&self, last: i64, draw: Draw, field: u64) -> i64 {
        let oldest = (last - INFLIGHT_AUCTIONS).max(0);
        oldest + draw.below(field, last - oldest + 1 + LEAD)
    }

    fn time_ms(&self, n: i64) -> i64 {
        self.base_ms + n * self.step_us / 1000
    }

    fn times(&self, events: &Events, later: impl Fn(Draw) -> i64) -> Result<ArrayRef, ArrowError> {
        let values = events.numbers.iter().zip(&events.draws).map(|(n, d)| self.time_ms(*n) + later(*d));
        Ok(Arc::new(TimestampMillisecondArray::from(values.collect::<Vec<_>>())))
    }

    /// The column `field` (by its place in the stream's field list) of `events`, which are all of `stream`.
    pub(super) fn column(&self, stream: Stream, field: usize, events: &Events) -> Result<ArrayRef, ArrowError> {
        match stream {
            Stream::Person => self.person(field, events),
            Stream::Auction => self.auction(field, events),
            Stream::Bid => self.bid(field, events),
        }
    }

    fn person(&self, field: usize, events: &Events) -> Result<ArrayRef, ArrowError> {
        match field {
            0 => events.longs(|e, o, _| FIRST_ID + self.last_person(e, o)),
            1 => events.texts(10, |d, out| {
                out.extend_from_slice(FIRST[d.below(1, FIRST.len() as i64) as usize].as_bytes());
                out.push(b' ');
                out.extend_from_slice(LAST[d.below(2, LAST.len() as i64) as usize].as_bytes());
            }),
            2 => events.texts(17, |d, out| {
                d.letters(10, 12, out);
                out.insert(out.len() - 5, b'@');
                out.extend_from_slice(b".com");
            }),
            3 => events.texts(19, |d, out| {
                let x = d.below(3, 10_i64.pow(16));
                let part = |at: u32| x / 10_i64.pow(at) % 10_000;
                put(out, format_args!("{:04} {:04} {:04} {:04}", part(12), part(8), part(4), part(0)));
            }),
            4 => events.texts(10, |d, out| out.extend_from_slice(CITIES[d.below(4, 10) as usize].as_bytes())),
            5 => events.texts(2, |d, out| out.extend_from_slice(STATES[d.below(5, 6) as usize].as_bytes())),
            6 => self.times(events, |_| 0),
            _ => events.letters(20, 88, 41, 6),
        }
    }

    fn auction(&self, field: usize, events: &Events) -> Result<ArrayRef, ArrowError> {
        match field {
            0 => events.longs(|e, o, _| FIRST_ID + self.last_auction(e, o)),
            1 => events.letters(10, 3, 18, 6),
            2 => events.letters(20, 20, 81, 7),
            3 => events.longs(|_, _, d| d.price(3)),
            4 => events.longs(|_, _, d| d.price(3) + d.price(4)),
            5 => self.times(events, |_| 0),
            6 => {
                // On average that many auctions are open: the horizon is the time in which so many begin.
                let horizon = (INFLIGHT_AUCTIONS * self.epoch() / self.auctions * self.step_us / 1000).max(1);
                self.times(events, |d| 1 + d.below(5, horizon * 2))
            }
            7 => events.longs(|e, o, d| {
                let last = self.last_person(e, o);
                let hot = d.below(1, self.hot_sellers) > 0;
                FIRST_ID + if hot { last / HOT_BLOCK * HOT_BLOCK } else { self.pick_person(last, d, 2) }
            }),
            8 => events.longs(|_, _, d| FIRST_CATEGORY + d.below(8, 5)),
            _ => events.letters(40, 250, 151, 9),
        }
    }

    fn bid(&self, field: usize, events: &Events) -> Result<ArrayRef, ArrowError> {
        match field {
            0 => events.longs(|e, o, d| {
                let last = self.last_auction(e, o);
                let hot = d.below(1, self.hot_auctions) > 0;
                FIRST_ID + if hot { last / HOT_BLOCK * HOT_BLOCK } else { self.pick_auction(last, d, 2) }
            }),
            1 => events.longs(|e, o, d| {
                let last = self.last_person(e, o);
                let hot = d.below(3, self.hot_bidders) > 0;
                FIRST_ID + if hot { last / HOT_BLOCK * HOT_BLOCK + 1 } else { self.pick_person(last, d, 4) }
            }),
            2 => events.longs(|_, _, d| d.price(9)),
            3 => self.channel_texts(events, 12, |c| &c.names),
            4 => self.channel_texts(events, 72, |c| &c.urls),
            5 => self.times(events, |_| 0),
            _ => events.letters(10, 32, 33, 8),
        }
    }

    fn channel_texts(
        &self,
        events: &Events,
        width: usize,
        texts: impl Fn(&Channels) -> &Vec<String>,
    ) -> Result<ArrayRef, ArrowError> {
        let texts = texts(self.channels.get_or_init(|| Channels::new(self.mixed_seed)));
        events.texts(width, |d, out| {
            let hot = d.below(5, HOT_CHANNEL) > 0;
            let channel = if hot { d.below(6, 4) } else { 4 + d.below(7, CHANNELS) };
            out.extend_from_slice(texts[channel as usize].as_bytes());
        })
    }
}

impl Channels {
    fn new(mixed_seed: u64) -> Self {
        let mut names: Vec<String> = HOT_CHANNELS.map(String::from).into();
        names.extend((0..CHANNELS).map(|i| format!("channel-{i}")));
        let urls = (0..CHANNELS + 4).map(|k| {
            let draw = Draw::new(mixed_seed, k as u64);
            let mut url = b"https://www.nexmark.com/".to_vec();
            let mut letters = Vec::with_capacity(16);
            draw.letters(900, 15, &mut letters);
            letters.chunks(5).for_each(|word| url.extend(word.iter().chain(b"/")));
            url.extend_from_slice(b"item.htm?query=1");
            if k >= 4 {
                put(&mut url, format_args!("&channel_id={}", draw.below(950, 1 << 31)));
            }
            String::from_utf8(url).expect("ASCII")
        });
        let urls = urls.collect();
        Self { names, urls }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory cannot fail");
}
