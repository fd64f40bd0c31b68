use std::fmt;

/// Rows told by a key, as rows that are taken back: a row with weight `+1` takes the place of the row with its key, a row
/// with weight `-1` says that there is none any more, whatever stands in its other columns. Dealt out by the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogNormalizeSpec {
    /// The columns of the key.
    pub key: Vec<usize>,
}

/// Any rows, as at most one row per key of the table that they are written into. Dealt out by the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkMaterializeSpec {
    /// The table, for errors.
    pub table: String,
    /// The columns of its PRIMARY KEY.
    pub key: Vec<usize>,
    /// Which of several rows it is.
    pub conflict: Conflict,
}

/// `ON CONFLICT DO …`: what becomes of several rows that have one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// `ERROR`: the job fails.
    Error,
    /// `NOTHING`: the first one that is there stands.
    Nothing,
    /// `DEDUPLICATE`: the last one that came stands.
    Deduplicate,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Conflict::Error => "ERROR",
            Conflict::Nothing => "NOTHING",
            Conflict::Deduplicate => "DEDUPLICATE",
        })
    }
}
