use crate::RuntimeError;
use std::time::Duration;

/// How a job runs. Plain values; who makes them reads files, environment and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSettings {
    /// The job's name, as logs, threads and metrics show it.
    pub name: String,
    /// Number of shards (threads).
    pub shards: usize,
    /// Number of key groups; fixed for the life of the job's state.
    pub max_parallelism: u16,
    /// At the latest after this long an epoch with rows in it is cut.
    pub epoch_interval: Duration,
    /// This many input rows end an epoch before its time; shared out among the source tasks.
    pub epoch_rows: u64,
    /// Rows per batch that decoders make.
    pub batch_rows: usize,
    /// Capacity of an exchange channel in elements.
    pub channel_batches: usize,
    /// The session time zone, for TIMESTAMP_LTZ text.
    pub time_zone: String,
    /// What RAND, UUID and the like draw from.
    pub seed: u64,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            name: "job".into(),
            shards: 1,
            max_parallelism: eddyline_changes::MAX_PARALLELISM_DEFAULT,
            epoch_interval: Duration::from_millis(100),
            epoch_rows: 10_000_000,
            batch_rows: 8192,
            channel_batches: 16,
            time_zone: "UTC".into(),
            seed: 0,
        }
    }
}

impl JobSettings {
    /// Do the values go together?
    ///
    /// # Errors
    /// [`RuntimeError::Setting`] naming the first that does not.
    pub fn check(&self) -> Result<(), RuntimeError> {
        let fail = |setting: &'static str, message: String| Err(RuntimeError::Setting { setting, message });
        if self.max_parallelism == 0 {
            return fail("max-parallelism", "must be at least 1".into());
        }
        if self.shards == 0 || self.shards > self.max_parallelism.into() {
            return fail(
                "shards",
                format!("is {}, must be 1 to {} (max-parallelism)", self.shards, self.max_parallelism),
            );
        }
        if self.batch_rows == 0 {
            return fail("batch-rows", "must be at least 1".into());
        }
        if self.channel_batches == 0 {
            return fail("channel-batches", "must be at least 1".into());
        }
        if self.epoch_rows == 0 {
            return fail("epoch-rows", "must be at least 1".into());
        }
        Ok(())
    }
}
