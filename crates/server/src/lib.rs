//! The server: sessions of one instance over the Postgres wire.
//!
//! ```text
//! socket ──> connection (a task) ──messages──> executor (a thread that may wait) ──> Session
//!                   <──────────bytes, as fast as the client reads──────
//! ```
//! | module | holds |
//! |---|---|
//! | `server` | the port, who is connected, cancel requests |
//! | `duplex` | sockets, encrypted or not |
//! | `entry` | the first messages of a client: encryption, who it is |
//! | `connection` | batches of messages and their answers |
//! | `executor` | what messages do: simple and extended queries, portals, transactions |
//! | `command` | statements that concern the connection alone |
//! | `answer`, `rows` | what statements come to |
//! | `catalogs` | what there is, as Postgres' catalogs tell it |
//! | `copy`, `copy_out` | rows of COPY FROM STDIN, TO STDOUT |
//! | `cursors` | queries whose rows are fetched by their names |
//! | `values` | types and values, as text and binary |
//! | `wire` | the shape of messages |
//!
//! Not here: what statements mean; files, arguments, the environment. Start at [`bind`].

mod answer;
mod catalogs;
mod command;
mod connection;
mod copy;
mod copy_out;
mod cursors;
mod duplex;
mod entry;
mod executor;
mod limits;
mod out;
mod report;
mod rows;
mod server;
mod timer;
mod transaction;
mod values;
mod variables;
mod wire;

pub use server::{Bound, ConnectionCounts, Farewell, ServerConfig, bind};
