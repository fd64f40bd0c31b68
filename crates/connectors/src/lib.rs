//! Where rows come from and where they go: the source and sink traits, the connectors and the formats.
//!
//! A [`Connector`] is a row of the [`Registry`]: it checks a table's options and makes a [`Source`] or a [`Sink`].
//! A source has splits; a reader hands out raw blocks of one split without ever blocking; a decoder, on a shard,
//! turns blocks into change batches. A sink has a writer per shard, which prepares, and one committer.
//!
//! Adding a connector: its folder, one line in `registry.rs`, its page in `docs/connectors/`, an example.
//!
//! Not here: SQL, plans, operators. Start at `source.rs` and `sink.rs`.

mod blackhole;
pub mod changelog;
pub mod clock;
mod datagen;
mod error;
mod filesystem;
pub mod format;
mod generator;
mod nexmark;
mod options;
mod print;
mod registry;
mod sink;
mod socket;
mod source;
#[cfg(test)]
mod testing;

pub use clock::Clock;
pub use eddyline_stores::{OutOfReach, Reach, ReachSettings};
pub use error::ConnectorError;
pub use options::{OptionSpec, Options, parse_duration, parse_size};
pub use registry::{Connector, Registry};
pub use sink::{Commit, Committer, Delivery, Sink, SinkChanges, SinkRequest, SinkWriter};
pub use source::{
    Boundedness, Decoded, Decoder, Payload, Position, RawBlock, Rim, Source, SourceChanges, SourceRequest, Split,
    SplitReader,
};
