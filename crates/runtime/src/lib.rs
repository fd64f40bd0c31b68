//! Runs a dataflow plan as a job: shards, exchange, epochs, barriers, watermarks, metrics.
//!
//! [`start`] cuts the plan's fragments into **tasks**, one per shard, and gives each shard a thread. A shard runs its
//! tasks in a cooperative loop of bounded steps which never block. The **coordinator** cuts epochs: a barrier goes
//! into every source, travels in-band, is aligned by every task, and when all shards have passed it the sinks commit.
//! What a reader can see changes only then.
//!
//! One row's way: a reader hands out a block, [`source`](crate::source) decodes it, [`pipeline`](crate::pipeline) pushes it through the
//! operators of a task, [`exchange`](crate::exchange) deals it out to other shards, and a sink's writer takes it.
//!
//! | file | holds |
//! |---|---|
//! | `job.rs`, `job_log.rs` | states, handle, what threads share; what has happened, for people |
//! | `build.rs` | plan → tasks and channels |
//! | `shard.rs`, `task.rs`, `pipeline.rs` | the loop, barrier alignment, the operators of a task |
//! | `exchange.rs`, `channel.rs`, `wake.rs` | dealing rows out, bounded queues, waking; why it cannot deadlock |
//! | `source.rs`, `splits.rs`, `event_time.rs` | reading splits, watermarks over splits and over inputs |
//! | `spans.rs` | what traces tell of it |
//! | `coordinator.rs`, `driver.rs` | when epochs are cut and complete; the hands of that |
//! | `simulation.rs` | the same shards in one thread under a seed |
//!
//! A job that keeps checkpoints goes on from the last one after a failure: [`life`](self) is its beginning, restarts and end, the
//! keeper makes what shards froze durable, recovery finds where to begin.
//!
//! Not here: SQL, the catalog, operators, connectors, how checkpoints are stored.

mod alter;
mod alter_columns;
mod build;
mod channel;
mod coordinator;
mod cuts;
mod discovery;
mod driver;
mod error;
mod event_time;
mod exchange;
mod in_place;
mod job;
mod job_log;
mod keeper;
mod life;
mod memory_limit;
mod metrics;
mod outlet;
mod picture;
mod pipeline;
mod recovery;
mod restart;
mod router;
mod savepoint;
mod settings;
mod shard;
pub mod simulation;
mod source;
mod spans;
mod splits;
mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod values;
mod wake;

pub use alter::{Alteration, OperatorChange, Verdict, alteration_of_plan};
pub use build::source_request;
pub use error::{ErrorClass, RuntimeError};
pub use job::{JobEnd, JobHandle, JobState, JobSummary, start};
pub use job_log::{JobLog, LogEntry, LogLevel, LogSubject};
pub use memory_limit::MemoryLimit;
pub use metrics::{CheckpointFacts, CheckpointMetrics, JobFailure, JobMetrics, OperatorMetrics, SplitMetrics};
pub use picture::{KeptTable, Picture};
pub use recovery::{last_checkpoint, planned_in_phases, preview};
pub use restart::RestartStrategy;
pub use savepoint::{SavepointMade, SavepointTarget, StatePicture, WrittenPicture};
pub use settings::{CheckpointSettings, JobSettings, StateBackend};
