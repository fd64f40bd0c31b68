//! The manifest: what a checkpoint is made of.
//!
//! It is a JSON text in one line, a newline, and the xxh3 hash of the text in hexadecimal: readable by people and other programs, and
//! damage to any of its bytes is seen.

use crate::CheckpointError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// The version of the format that is written, and the only one that is read; also of what operators encode: since version 2 the keys of
/// some tables begin with a lead.
pub(crate) const VERSION: u32 = 2;

/// Number of a checkpoint among those of its job, counted from 1; savepoints are counted with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckpointId(pub u64);

impl CheckpointId {
    /// The one after it.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The engine, to go on from after a failure. Goes when newer ones are retained.
    Checkpoint,
    /// A person. Stays until a person deletes it; depends on nothing else.
    Savepoint,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Checkpoint => "checkpoint",
            Kind::Savepoint => "savepoint",
        })
    }
}

/// What a checkpoint is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub version: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// The job's name.
    pub job: String,
    /// Tells this job's lineage from others of the same name; kept from one checkpoint to the next.
    pub lineage: String,
    /// Its number.
    pub id: CheckpointId,
    /// Who asked for it.
    pub kind: Kind,
    /// The epoch that it ends.
    pub epoch: u64,
    /// When its barrier was cut, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// The input was at its end: there is nothing to go on with.
    pub finished: bool,
    /// Number of key groups, fixed for the life of the state.
    pub max_parallelism: u16,
    /// For how many shards the sources have cut their input into splits: as many as the job had at its first start.
    pub split_shards: usize,
    /// Aggregates are planned in phases: as at the job's first start, so that state finds its operators on any number of shards.
    /// `None`: nobody said.
    #[serde(default)]
    pub in_phases: Option<bool>,
    /// Event time went to its end before it, so that all that waited for it has come out.
    #[serde(default)]
    pub drained: bool,
    /// The savepoint that the job began at ([`Manifest::identity`]), if it did.
    #[serde(default)]
    pub origin: Option<String>,
    /// In which words it is told what operators keep.
    #[serde(default)]
    pub words: u32,
    /// Which operators have state in it.
    pub operators: Vec<OperatorFact>,
    /// The state, by shard.
    pub shards: Vec<ShardState>,
    /// What sinks have prepared up to here and may not have committed yet.
    pub commits: Vec<HeldCommit>,
}

/// An operator whose state a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorFact {
    /// Its stable id, as in state keys.
    #[serde(with = "hex")]
    pub id: u64,
    /// What it is, as EXPLAIN shows it.
    pub name: String,
    /// What it keeps; `None`: nothing, or nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateFact>,
}

/// What an operator keeps, so that the operator of a changed query can be found that keeps the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFact {
    /// Of which rows, by what, and in which way.
    pub place: String,
    /// The columns of the key, where that is known.
    pub keys: Vec<ColumnFact>,
    /// The aggregates, or the columns of the rows that are kept.
    pub kept: Vec<ColumnFact>,
    /// What else decides how it is encoded.
    pub form: String,
    /// Rows that are kept as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowsFact>,
}

/// Rows that an operator keeps as they are. Columns are numbered among those of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsFact {
    /// Which of the operator's rows, where it keeps several kinds: `left`, `right`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// Their columns: from one of those that are kept to before another.
    pub columns: (usize, usize),
    /// How they are stored: `side` and `appended side` of a join, `partitions`, `last` and `list` of a key, `copies` of two inputs, `timed` by when
    /// they are there (`timed by 2`: dealt out by the first two columns); `windows` and `slices`: the columns are aggregates.
    pub form: String,
    /// The columns by which they are kept.
    pub by: Vec<usize>,
    /// The order within: column, descending, NULL first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<(usize, bool, bool)>,
}

/// A column of what an operator keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFact {
    /// What it is, over the columns of tables.
    pub text: String,
    /// Its type, as Arrow spells it.
    pub data_type: String,
    /// The aggregate, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallFact>,
}

/// An aggregate whose accumulators are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFact {
    /// Its name.
    pub function: String,
    /// The types of its arguments, as Arrow spells them.
    pub arg_types: Vec<String>,
    /// Over distinct values: which columns these are, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Vec<usize>>,
    /// How it reads a list of values; nothing for those that do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListFact>,
}

/// How an aggregate reads a list of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFact {
    /// ORDER BY: type, greatest first, NULL first.
    pub order: Vec<(String, bool, bool)>,
    /// Equal values count once.
    pub once: bool,
    /// What stands between texts.
    pub separator: String,
    /// The bits of a fraction.
    #[serde(with = "hex")]
    pub fraction: u64,
}

/// The state of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    /// The backend whose files these are.
    pub backend: String,
    /// Its files.
    pub files: Vec<KeptFile>,
}

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Its name, as the backend knows it.
    pub name: String,
    /// Where it is, from the job's directory.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// xxh3 of its content.
    #[serde(with = "hex")]
    pub xxh3: u64,
    /// Its content never changes under its name: later checkpoints may refer to it.
    pub is_shared: bool,
}

/// What a sink has prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCommit {
    /// The sink's stable id.
    #[serde(with = "hex")]
    pub operator: u64,
    /// The table that is written.
    pub table: String,
    /// The epoch that it belongs to.
    pub epoch: u64,
    /// The sink's own words.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub commit: Vec<u8>,
}

impl Manifest {
    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &KeptFile> {
        self.shards.iter().flat_map(|s| &s.files)
    }

    /// Where its files are.
    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        self.files().map(|f| f.key.as_str()).collect()
    }

    /// Size of all state.
    pub fn size_bytes(&self) -> u64 {
        self.files().map(|f| f.size_bytes).sum()
    }

    /// What tells it from all others.
    pub fn identity(&self) -> String {
        let Self { job, lineage, id, epoch, time_ms, .. } = self;
        format!("{:016x}", xxh3_64(format!("{job} {lineage} {id} {epoch} {time_ms}").as_bytes()))
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec(self)?;
        let hash = xxh3_64(&text);
        text.extend_from_slice(format!("\n{hash:016x}\n").as_bytes());
        Ok(text)
    }

    /// Reads what [`encode`](Self::encode) wrote into `path`.
    ///
    /// # Errors
    /// Damage, another version.
    pub(crate) fn decode(path: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let corrupt = |message: String| CheckpointError::corrupt(path, message);
        let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| corrupt("it has no checksum".into()))?;
        let (text, rest) = bytes.split_at(end);
        if rest != format!("\n{:016x}\n", xxh3_64(text)).as_bytes() {
            return Err(corrupt("its checksum does not fit its content".into()));
        }
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(text).map_err(|e| corrupt(e.to_string()))?;
        if version != VERSION {
            return Err(CheckpointError::Version { path: path.into(), version });
        }
        serde_json::from_slice(text).map_err(|e| corrupt(e.to_string()))
    }
}

/// 64-bit numbers as text: not every reader of JSON knows whole numbers of that size.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }
}

fn to_base64<S: Serializer>(value: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&BASE64_STANDARD.encode(value))
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    BASE64_STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
}
