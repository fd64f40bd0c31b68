//! The names of the files that a sink writes: `part-<time>-<uid>-<shard>-<n>[-e<epoch>].<extension>`.
//!
//! The uid begins with the lineage of a job that keeps checkpoints, so that what an earlier run has handed over and no checkpoint
//! holds can be told from the files of others, and is removed. So are files of epochs that come again: when the last checkpoint is damaged
//! and the job begins at one before.

use super::medium::Name;
use eddyline_changes::Epoch;

/// The name of a file; `epoch` for a job that keeps checkpoints.
pub(super) fn file(name: &Name, epoch: Option<Epoch>) -> String {
    let Name { uid, shard, number, extension } = name;
    let epoch = epoch.map(|e| format!("-e{}", e.0)).unwrap_or_default();
    format!("part-{uid}-{shard}-{number}{epoch}.{extension}")
}

/// Is it the name of a file of a job of this lineage?
pub(super) fn is_of(name: &str, lineage: &str) -> bool {
    let uid = name.strip_prefix("part-").and_then(|rest| rest.split('-').nth(1));
    uid.is_some_and(|uid| uid.len() == lineage.len() + 8 && uid.starts_with(lineage))
}

/// Is it the name of a file of this lineage, of an epoch after the last?
pub(super) fn is_after(name: &str, lineage: &str, last: Epoch) -> bool {
    let stem = name.split('.').next().and_then(|stem| stem.rsplit_once("-e"));
    let epoch: Option<u64> = stem.and_then(|(_, epoch)| epoch.parse().ok());
    is_of(name, lineage) && epoch.is_some_and(|epoch| epoch > last.0)
}
