//! The engine as a library: `Session::execute(sql)`: names, jobs, settings, results.
//!
//! ```text
//! Engine ── instance() ──> Instance ── session() ──> Session ── execute / run_script ──> Outcome: done, a listing, a running job
//! ```
//! An [`Engine`] is what all share: connectors, clock, functions. An [`Instance`] has names, tables and jobs; its [`Session`]s have
//! [`Settings`] of their own and see each other's changes from one statement to the next.
//! A [`RunningJob`] tells what happens to it as [`JobEvent`]s; the result of a SELECT comes that way too, epoch by epoch.
//!
//! Not here: sockets, terminals, files of settings. Start at [`Session::run_script`].

mod alter;
mod attached;
mod background;
mod beginning;
mod changes;
mod collect;
mod control;
mod creations;
mod databases;
mod ddl;
mod delivery;
mod described;
mod drops;
mod durable;
mod engine;
mod error;
mod explained;
mod going_on;
mod indexes;
mod instance;
mod job;
mod jobs;
mod joined;
mod kept;
mod kept_state;
mod listing;
mod live;
mod lock;
mod memory;
mod moment;
mod names;
mod outward;
mod replace;
mod reservation;
mod restore;
mod result;
mod scan;
mod script;
mod session;
pub mod settings;
mod show;
mod sinks;
mod state_tables;
mod subscribe;
mod text;
mod upsert;
mod users;

pub use arrow;
pub use control::{JobControl, SavepointPlace};
pub use creations::CreationProgress;
pub use databases::Connected;
pub use durable::DataSettings;
pub use eddyline_catalog::{self as catalog, sql_type};
pub use eddyline_changes::{ChangeBatch, Epoch, RowKind, Watermark, Weights};
pub use eddyline_connectors::changelog::row_kinds;
pub use eddyline_connectors::{self as connectors, Clock, Registry};
pub use eddyline_functions::scalar::{postgres_text, read_jsonb};
pub use eddyline_planner::{
    Constraint, Dialect, PlannedJob, Presentation, Split, SqlError, TextPosition, in_double_quotes, parse, parse_in,
    split, statement,
};
pub use eddyline_planner::{Parameter, ParameterValue, relations_named, with_constants, with_parameters};
pub use eddyline_runtime::{
    CheckpointFacts, CheckpointMetrics, JobFailure, JobMetrics, LogEntry, LogLevel, LogSubject, OperatorMetrics,
    SavepointMade, SplitMetrics,
};
pub use eddyline_users::{Entrance, ROOT, Secret, Users};
pub use engine::{Engine, EngineConfig};
pub use error::NOBODY_READS;
pub use instance::Instance;
pub use job::{Interrupter, JobEvent, JobFacts, Progress, ResultShape, RunningJob, SinkPlace};
pub use jobs::{EndedJob, JobReport, JobStatus, StopOrder, StoppedJob, Submission, Submitted, Would};
pub use kept::Subscription;
pub use listing::Listing;
pub use live::{LiveTable, Window};
pub use memory::machine_memory_bytes;
pub use reservation::Canceller;
pub use result::{Limit, ResultTable};
pub use scan::{Prepared, Scan};
pub use script::{Observer, ScriptError};
pub use session::{Answer, Outcome, Session};
pub use settings::{ResultMode, SettingSpec, Settings};
pub use text::texts;
