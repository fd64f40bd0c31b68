//! Jobs through the binary: killed, stopped, gone on with on other numbers of shards and with other queries.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

mod altered;
mod checkpoints;
mod crash;
mod full_disk;
mod process;
mod rooms;
mod savepoints;
mod state_tables;
