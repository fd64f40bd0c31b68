//! `'connector' = 'nexmark'`: the persons, auctions and bids of the Nexmark benchmark, generated from a seed.
//!
//! Column and option names are those of the public Nexmark connector for Flink. Which event is made for a number is our
//! own, see [`events`]. Not here: the original's rate shapes and average sizes.

mod events;
pub(crate) mod random;
mod schema;
#[cfg(test)]
mod tests;

use crate::generator::{self, NumberReader, Numbers};
use crate::{
    Boundedness, Connector, ConnectorError, Decoded, Decoder, Options, Position, RawBlock, Rim, Source, SourceRequest,
    Split, SplitReader,
};
use eddyline_changes::ChangeBatch;
use events::{Model, Stream};
use schema::Layout;
use std::sync::Arc;

/// Event time of event 0, unless the table says otherwise: the data soon crosses a midnight.
const BASE_TIME: &str = "2024-01-01 23:45:00.000";

/// Makes Nexmark sources.
pub(crate) struct NexmarkConnector;

impl Connector for NexmarkConnector {
    fn name(&self) -> &'static str {
        "nexmark"
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let flat = stream(&mut options)?;
        let model = Arc::new(model(&mut options)?);
        let events = options.parsed::<u64>("events.num")?.filter(|n| *n > 0);
        let per_second = rate(&mut options)?;
        options.finish()?;
        let layout = Layout::new(&request, flat)?;
        Ok(Arc::new(NexmarkSource { model, layout, events, per_second }))
    }
}

fn stream(options: &mut Options) -> Result<Option<Stream>, ConnectorError> {
    match options.text("nexmark.table").as_deref() {
        None => Ok(None),
        Some("person") => Ok(Some(Stream::Person)),
        Some("auction") => Ok(Some(Stream::Auction)),
        Some("bid") => Ok(Some(Stream::Bid)),
        Some(other) => Err(options.bad("nexmark.table", other, "is none of 'person', 'auction', 'bid'")),
    }
}

fn model(options: &mut Options) -> Result<Model, ConnectorError> {
    let seed = options.parsed::<u64>("seed")?.unwrap_or(42);
    let base = options.text("base-time").unwrap_or_else(|| BASE_TIME.into());
    let base_ms = time_ms(&base).ok_or_else(|| {
        options.bad("base-time", &base, "is neither a time like '2024-01-01 23:45:00' nor milliseconds")
    })?;
    let default = Model::new(seed, base_ms);
    let mut count = |name, least, default| match options.parsed::<i64>(name)? {
        None => Ok(default),
        Some(n) if (least..=1_000_000).contains(&n) => Ok(n),
        Some(n) => Err(options.bad(name, &n.to_string(), &format!("is not between {least} and 1000000"))),
    };
    let rate = count("first-event.rate", 1, 1000)?;
    Ok(Model {
        persons: count("person.proportion", 1, default.persons)?,
        auctions: count("auction.proportion", 1, default.auctions)?,
        bids: count("bid.proportion", 0, default.bids)?,
        hot_sellers: count("auction.hot-ratio.sellers", 1, default.hot_sellers)?,
        hot_auctions: count("bid.hot-ratio.auctions", 1, default.hot_auctions)?,
        hot_bidders: count("bid.hot-ratio.bidders", 1, default.hot_bidders)?,
        step_us: 1_000_000 / rate,
        ..default
    })
}

/// Events per second of the clock: `next-event.rate`, unless `rate.limited` says no.
fn rate(options: &mut Options) -> Result<Option<f64>, ConnectorError> {
    let rate = options.parsed::<u32>("next-event.rate")?.filter(|r| *r > 0);
    let limited = options.flag("rate.limited", rate.is_some())?;
    if limited && rate.is_none() {
        return Err(options.bad("rate.limited", "true", "needs 'next-event.rate'"));
    }
    Ok(rate.filter(|_| limited).map(f64::from))
}

fn time_ms(text: &str) -> Option<i64> {
    let time = || arrow::compute::kernels::cast_utils::string_to_datetime(&chrono::Utc, text).ok();
    text.parse().ok().or_else(|| time().map(|t| t.timestamp_millis()))
}

struct NexmarkSource {
    model: Arc<Model>,
    layout: Layout,
    events: Option<u64>,
    per_second: Option<f64>,
}

impl Source for NexmarkSource {
    fn boundedness(&self) -> Boundedness {
        if self.events.is_some() { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    fn splits(&self, shards: usize) -> Result<Vec<Split>, ConnectorError> {
        let end = |i, of| self.events.map_or(u64::MAX, |events| self.model.positions(events, i, of));
        Ok(generator::splits("nexmark", shards, |i, of| 0..end(i, of)))
    }

    fn open(&self, split: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let (_, of) = generator::number_of(split)?;
        Ok(NumberReader::open(split, from, self.per_second.map(|rate| rate / of as f64), rim))
    }

    fn decoder(&self, split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        let split = generator::number_of(split)?;
        Ok(Box::new(NexmarkDecoder { model: self.model.clone(), layout: self.layout.clone(), split, left: None }))
    }
}

struct NexmarkDecoder {
    model: Arc<Model>,
    layout: Layout,
    split: (u64, u64),
    left: Option<Numbers>,
}

impl Decoder for NexmarkDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        self.left = Some(generator::numbers(block));
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(left) = self.left.as_mut().filter(|left| !left.positions.is_empty()) else { return Ok(None) };
        let (rows, next) = self.layout.rows(&self.model, left.positions.clone(), self.split, rows_max)?;
        left.positions.start = next;
        Ok(Some(Decoded { changes: ChangeBatch::inserts(rows), skipped: 0, position: Position(next) }))
    }
}
