//! The last attempts at checkpoints, for people: what each cost, and why some failed.

use crate::{CheckpointId, Kind};
use serde::{Deserialize, Serialize};

/// Attempts that are remembered.
pub(crate) const ATTEMPTS_MAX: usize = 100;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is durable.
    Complete,
    /// It is not, and why.
    Failed(String),
}

/// One attempt at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number.
    pub id: CheckpointId,
    /// Who asked for it.
    pub kind: Kind,
    /// The epoch that it ends.
    pub epoch: u64,
    /// When its barrier was cut, in milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: i64,
    /// From the cut until the slowest shard had its barrier on all inputs of its first task to its last, in milliseconds.
    pub alignment_ms: u64,
    /// The longest that a shard was busy writing its state back, in milliseconds.
    pub sync_ms: u64,
    /// From then until it was durable, in milliseconds.
    pub async_ms: u64,
    /// Bytes that it wrote.
    pub new_bytes: u64,
    /// Bytes that it is made of.
    pub total_bytes: u64,
    /// Who was last to acknowledge it.
    pub slowest: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
}
