//! What is known of a job's checkpoints, for people: attempts that are remembered, and what is there.

use crate::{Attempt, CheckpointError, CheckpointStore, Found, Outcome};
use std::collections::BTreeMap;

/// A checkpoint that was tried, is there, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it cost, and what came of it. Of one that is there and that nobody remembers, what its manifest says.
    pub attempt: Attempt,
    /// Its manifest is there: a job can begin at it, or at least tries to.
    pub is_kept: bool,
}

impl CheckpointStore {
    /// Attempts and checkpoints, oldest first.
    ///
    /// # Errors
    /// The place cannot be read. A manifest that is damaged is told with its checkpoint.
    pub fn overview(&self) -> Result<Vec<Listed>, CheckpointError> {
        let mut kept: BTreeMap<_, _> = self.list()?.into_iter().map(|f| (f.id, f)).collect();
        let mut listed: Vec<Listed> = Vec::new();
        // The last attempt of a number is the one whose manifest is there.
        for mut attempt in self.history()?.into_iter().rev() {
            let found = kept.remove(&attempt.id);
            if let Some(Found { manifest: Err(fault), .. }) = &found {
                attempt.outcome = Outcome::Failed(fault.to_string());
            }
            listed.push(Listed { attempt, is_kept: found.is_some() });
        }
        listed.extend(kept.into_values().map(|found| Listed { attempt: of_manifest(found), is_kept: true }));
        listed.sort_by_key(|l| l.attempt.id);
        Ok(listed)
    }
}

fn of_manifest(found: Found) -> Attempt {
    let mut attempt = Attempt {
        id: found.id,
        kind: crate::Kind::Checkpoint,
        epoch: 0,
        start_ms: 0,
        alignment_ms: 0,
        sync_ms: 0,
        async_ms: 0,
        new_bytes: 0,
        total_bytes: 0,
        slowest: None,
        outcome: Outcome::Complete,
    };
    match found.manifest {
        Ok(manifest) => {
            (attempt.kind, attempt.epoch, attempt.start_ms) = (manifest.kind, manifest.epoch, manifest.time_ms);
            attempt.total_bytes = manifest.size_bytes();
        }
        Err(fault) => attempt.outcome = Outcome::Failed(fault.to_string()),
    }
    attempt
}
