//! What can be typed.

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Streaming SQL over changing tables.
#[derive(Debug, Parser)]
#[command(name = "eddyline", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How logs are written to standard error; EDDYLINE_LOG says which
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) log_format: LogFormat,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object per line, for machines
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a SQL file as a continuous job, here, until its input ends or Ctrl-C
    Run(RunArgs),
    /// Type SQL and see its results: a shell, or statements from arguments, files and standard input
    Sql(SqlArgs),
    /// Serve Postgres clients: psql -h 127.0.0.1 -p 4566 dev, and HTTP. Without --data-dir, tables, views and jobs live as long as the server
    Serve(ServeArgs),
    /// Have a server run a SQL file as a job; a changed file goes on from the state of the job before
    Submit(SubmitArgs),
    /// List the jobs of a server
    Jobs(JobsArgs),
    /// Begin a job of a server again that was stopped or has failed, from its last checkpoint
    Resume(JobArgs),
    /// Forget a job of a server that is over, with its checkpoints in the data directory
    Drop(JobArgs),
    /// What has happened to a job of a server: its life, its checkpoints, its savepoints
    Logs(LogsArgs),
    /// How a job of a server runs
    Explain(ExplainArgs),
    /// Measure the engine
    Bench(BenchArgs),
    /// Make a savepoint of a job of `eddyline run` or of a server, which goes on; prints where it is
    Savepoint(SavepointArgs),
    /// End a job of `eddyline run` or of a server, at a barrier, with or without a savepoint
    Stop(StopArgs),
    /// Look at the checkpoints and savepoints of jobs
    State(StateArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where to listen. Where other machines reach it, it wants a password for root and a certificate
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4566")]
    pub(crate) listen: SocketAddr,
    /// Keep tables, their rows and views in this directory: they are there again when the server starts anew
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where to listen for HTTP (default: the address of --listen, one port further)
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "no_http")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// A name that HTTP clients call this server by, beside its addresses and localhost; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "no_http")]
    pub(crate) http_host: Vec<String>,
    /// No HTTP: no jobs from the command line, no metrics
    #[arg(long)]
    pub(crate) no_http: bool,
    /// Give root the password in this file (default: EDDYLINE_ROOT_PASSWORD_FILE)
    #[arg(long, value_name = "FILE")]
    pub(crate) root_password_file: Option<PathBuf>,
    /// Ask everybody for a password, also who comes from this machine
    #[arg(long)]
    pub(crate) require_passwords: bool,
    /// The server's certificate, and those that vouch for it, as PEM: clients may encrypt, from other machines they must
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Take other machines for this one: users without a password come from anywhere, and nothing needs to be encrypted
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Let statements read and write files below this directory; may be repeated. Without it, they reach none
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_files: Vec<PathBuf>,
    /// Let statements name URLs of object stores that begin so; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub(crate) allow_urls: Vec<String>,
    /// Let statements connect to this address; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow_connect: Vec<String>,
    /// How much memory a query may take for its state and its result (default: a quarter of the machine's)
    #[arg(long, value_name = "SIZE", value_parser = size_bytes)]
    pub(crate) query_memory: Option<usize>,
    /// Have traces tell the texts of statements and of errors too. Passwords and rows may stand in them
    #[arg(long)]
    pub(crate) trace_text: bool,
    /// How many clients may be connected at once
    #[arg(long, value_name = "N", default_value_t = 4000)]
    pub(crate) max_connections: usize,
    /// How many shards run a job (default: number of cores)
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<usize>,
}

/// Which server is asked.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServerArg {
    /// The server's HTTP address (default: EDDYLINE_SERVER, else 127.0.0.1:4567)
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,
    /// The database of the server whose job it is (default: dev)
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// Who asks; the password is in EDDYLINE_PASSWORD (default: root, if that is set)
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Whom to trust, as PEM, where the server is https://… (default: the authorities of the system)
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    /// The SQL file: definitions, SET, and INSERTs, which are one job; `-` reads standard input
    #[arg(value_name = "FILE.sql")]
    pub(crate) file: PathBuf,
    /// The name of the job (default: 'pipeline.name' in the file, else the name of the file)
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Give a setting a value, as SET 'key' = 'value' at the beginning of the file does
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Begin at this savepoint: a directory or a URL
    #[arg(long, value_name = "PATH")]
    pub(crate) from: Option<String>,
    /// Do nothing, but tell what would become of the state of the job of this name
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on from the state of another text also where some of it is lost
    #[arg(long)]
    pub(crate) allow_dropped_state: bool,
    /// Begin without state when the job has checkpoints but none of them is whole
    #[arg(long)]
    pub(crate) allow_fresh: bool,
    #[command(flatten)]
    pub(crate) at: ServerArg,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    pub(crate) at: ServerArg,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobArgs {
    /// The job: its name or its number
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) at: ServerArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// The job: its name or its number
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// The last entries, so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
    /// Go on with what happens, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) at: ServerArg,
    /// Print a JSON object per entry
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The job: its name or its number
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Which stage of planning
    #[arg(long, value_enum, default_value = "dataflow")]
    pub(crate) stage: StageArg,
    #[command(flatten)]
    pub(crate) at: ServerArg,
}

/// A stage of planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageArg {
    /// What the text says
    Logical,
    /// The same, made better
    Optimized,
    /// What each step hands out, and why
    Changelog,
    /// What runs
    Dataflow,
}

impl StageArg {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StageArg::Logical => "logical",
            StageArg::Optimized => "optimized",
            StageArg::Changelog => "changelog",
            StageArg::Dataflow => "dataflow",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct SavepointArgs {
    /// The job: its 'pipeline.name', else the name of its SQL file (and a dot and the table's, when it writes one)
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Where to make it: a directory, or a URL such as s3://bucket/path, that holds none yet
    #[arg(value_name = "PATH", conflicts_with = "dir")]
    pub(crate) path: Option<String>,
    /// Make it in this directory, under a name of its own (default: the job's 'state.savepoints.dir')
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<String>,
    #[command(flatten)]
    pub(crate) at: ServerArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The job: its 'pipeline.name', else the name of its SQL file (and a dot and the table's, when it writes one)
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Make a savepoint of its end, and print where it is; without a PATH in --dir, or in the job's 'state.savepoints.dir'
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "")]
    pub(crate) savepoint: Option<String>,
    /// Make the savepoint in this directory, under a name of its own
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<String>,
    /// Let event time go to its end before, so that all open windows are put out; the job is not meant to go on then
    #[arg(long)]
    pub(crate) drain: bool,
    #[command(flatten)]
    pub(crate) at: ServerArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    pub(crate) verb: StateVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateVerb {
    /// List the attempts at checkpoints: when, how long, how large, and why some failed
    Ls(StatePlace),
    /// Show what the last checkpoint holds, or the one that is named
    Show(StatePlace),
    /// Check every file of every checkpoint by its size and checksum
    Verify(StatePlace),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StatePlace {
    /// What 'state.checkpoints.dir' is: a directory, or a URL such as s3://bucket/path
    #[arg(value_name = "PLACE")]
    pub(crate) location: String,
    /// Only this job (default: all that have checkpoints there)
    #[arg(long, value_name = "NAME")]
    pub(crate) job: Option<String>,
    /// Only this checkpoint
    #[arg(long, value_name = "N")]
    pub(crate) id: Option<u64>,
}

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RunArgs {
    /// The SQL file; `-` reads standard input
    #[arg(value_name = "FILE.sql")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// How the result of a SELECT is printed
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Print events and results as JSON lines, for machines
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress, no notes, no summary
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Begin without state when a job has checkpoints but none of them is whole
    #[arg(long)]
    pub(crate) allow_fresh: bool,
    /// Begin at this savepoint: a directory or a URL. Given again after a failure, the job goes on from its checkpoints
    #[arg(long, value_name = "PATH")]
    pub(crate) from: Option<String>,
    /// Run nothing, but tell what would become of the state: what is kept, migrated, rebuilt, dropped
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on from the state of another query also where some of it is lost
    #[arg(long)]
    pub(crate) allow_dropped_state: bool,
}

/// Settings, from arguments.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SettingArgs {
    /// Give a setting a value, as SET 'key' = 'value' does
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Read settings from a TOML file
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// How many shards run a job (default: number of cores)
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u64>,
}

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SqlArgs {
    /// Files to run first, one after the other, as -f does
    #[arg(value_name = "FILE.sql")]
    pub(crate) files: Vec<PathBuf>,
    /// Execute these statements (and \ commands); may be repeated, and mixed with -f, in order
    #[arg(short = 'e', long = "execute", value_name = "STATEMENT")]
    pub(crate) statements: Vec<String>,
    /// Execute the statements of a file; `-` reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE.sql")]
    pub(crate) more_files: Vec<PathBuf>,
    /// Go on with a prompt after -e, -f and FILE
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Keep tables, their rows and views in this directory: they are there again the next time
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Have a server do it: where it listens for Postgres clients (port 4566 unless it is said). What goes to another machine is encrypted
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with_all = ["data_dir", "config", "shards"])]
    pub(crate) server: Option<String>,
    /// The database of the server (default: dev)
    #[arg(long, value_name = "NAME", requires = "server")]
    pub(crate) database: Option<String>,
    /// Who asks the server; the password is in EDDYLINE_PASSWORD (default: root)
    #[arg(long, value_name = "NAME", requires = "server")]
    pub(crate) user: Option<String>,
    /// Whom to trust, as PEM (default: the authorities of the system)
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) tls_ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// How the result of a SELECT is printed
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// No greeting, progress, notes or summary
    #[arg(long)]
    pub(crate) quiet: bool,
    /// What was given, in order
    #[arg(skip)]
    pub(crate) inputs: Vec<Input>,
}

/// Something that `eddyline sql` is given to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// `-e`: statements.
    Text(String),
    /// `-f`, or a file.
    File(PathBuf),
}

impl Args {
    /// What was typed.
    pub(crate) fn read() -> Self {
        Self::of(&Self::command().get_matches()).unwrap_or_else(|e| e.exit())
    }

    fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::from_arg_matches(matches)?;
        if let (Command::Sql(sql), Some(matches)) = (&mut args.command, matches.subcommand_matches("sql")) {
            sql.inputs = inputs(sql, matches);
        }
        Ok(args)
    }
}

/// `-e`, `-f` and files, in the order in which they were typed.
fn inputs(sql: &SqlArgs, matches: &ArgMatches) -> Vec<Input> {
    let places = |name: &str| matches.indices_of(name).into_iter().flatten();
    let texts = places("statements").zip(sql.statements.iter().map(|text| Input::Text(text.clone())));
    let files = places("more_files").zip(sql.more_files.iter().map(|file| Input::File(file.clone())));
    let first = places("files").zip(sql.files.iter().map(|file| Input::File(file.clone())));
    let mut all: Vec<(usize, Input)> = texts.chain(files).chain(first).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, input)| input).collect()
}

/// How the result of a SELECT is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table when the input has ended; a changelog while it has not
    Table,
    /// Every change as it happens, with +I, -U, +U, -D
    Changelog,
    /// CSV with a header; changes of endless input have a column `op`
    Csv,
    /// One JSON object per row; changes of endless input have a field `op`
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) suite: Suite,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Suite {
    /// The Nexmark queries, each in a process of its own
    Nexmark(NexmarkArgs),
    /// Whether views agree with each other and with their input at every moment: the bank test
    Consistency(ConsistencyArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConsistencyArgs {
    /// How many transactions there are
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) transactions: u64,
    /// How many rows an epoch has: what a reader sees changes so often
    #[arg(long, default_value_t = 100)]
    pub(crate) epoch_rows: u64,
    /// Decides accounts and delays
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// On how many shards, separated by commas
    #[arg(long, default_value = "1,2,4", value_delimiter = ',')]
    pub(crate) shards: Vec<usize>,
    /// Give a setting a value
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) settings: Vec<(String, String)>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NexmarkArgs {
    /// Which queries, separated by commas; `all` for all there are
    #[arg(long, default_value = "all", value_delimiter = ',')]
    pub(crate) queries: Vec<String>,
    /// How many events the generator makes (persons, auctions and bids together)
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) events: u64,
    /// `generator`, or a directory with <format>/person, <format>/auction and <format>/bid
    #[arg(long, default_value = "generator")]
    pub(crate) source: String,
    /// Format of the files
    #[arg(long, value_enum, default_value = "json")]
    pub(crate) format: FileFormat,
    /// How many shards run a query (default: number of cores)
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u64>,
    /// Run each query so often and print the fastest
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,
    /// Give a setting a value
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) settings: Vec<(String, String)>,
    /// Keep state in RocksDB and make a checkpoint so often ('10 s'), in a directory that is deleted afterwards
    #[arg(long, value_name = "INTERVAL")]
    pub(crate) checkpoints: Option<String>,
    /// Print JSON lines instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the one query in this process
    #[arg(long, hide = true)]
    pub(crate) here: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    Json,
    Csv,
    Parquet,
}

impl FileFormat {
    /// Its name in options and directories.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FileFormat::Json => "json",
            FileFormat::Csv => "csv",
            FileFormat::Parquet => "parquet",
        }
    }
}

/// `512 MB`, or a number of bytes.
fn size_bytes(text: &str) -> Result<usize, String> {
    let bytes = eddyline_engine::connectors::parse_size(text);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| "write a size, such as '512 MB'".into())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_files_keep_their_order() {
        let words = ["eddyline", "sql", "-e", "a", "-f", "b.sql", "c.sql", "-e", "d", "-i"];
        let matches = Args::command().try_get_matches_from(words).expect("arguments");
        let Command::Sql(sql) = Args::of(&matches).expect("arguments").command else { panic!("another command") };
        let text = |text: &str| Input::Text(text.into());
        let file = |name: &str| Input::File(name.into());
        assert_eq!(sql.inputs, [text("a"), file("b.sql"), file("c.sql"), text("d")]);
        assert!(sql.interactive);
    }
}
