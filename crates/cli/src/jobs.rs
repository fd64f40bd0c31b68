//! Jobs of a server, over HTTP: `eddyline submit`, `jobs`, `resume`, `drop`, `logs`, `explain`, and what `stop` and `savepoint` ask it.

use crate::args::{ExplainArgs, JobArgs, JobsArgs, LogsArgs, ServerArg, SubmitArgs};
use crate::exit::Exit;
use crate::follow::{Manner, print_listing, tell};
use crate::output::Page;
use crate::run::text_of;
use chrono::DateTime;
use eddyline_engine::catalog::FIRST_DATABASE;
use eddyline_engine::{Listing, ROOT, Secret, SqlError, TextPosition};
use eddyline_http::api::{
    Job, JobDetail, JobList, JobName, Log, LogLine, Plan, Savepoint, SavepointRequest, StopAnswer, StopRequest,
    SubmitAnswer, SubmitRequest, Verdict,
};
use eddyline_http::{Client, ClientError};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// Where a server listens unless it is told otherwise.
const DEFAULT_SERVER: &str = "127.0.0.1:4567";
/// How often a log is looked at again.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// A server that answers one request after the other.
pub(crate) struct Remote {
    client: Client,
    tokio: tokio::runtime::Runtime,
}

impl Remote {
    /// The server that is named, or the usual one.
    ///
    /// # Errors
    /// The exit code, when the process has no means to ask; what happened has been told.
    pub(crate) fn new(at: &ServerArg) -> Result<Self, Exit> {
        let server = named(at).unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
            tell(&format!("cannot start: {e}"), None);
            Exit::Failed
        })?;
        let client = client(at, &server).map_err(|e| {
            tell(&e, None);
            Exit::Usage
        })?;
        Ok(Self { client: client.of_database(at.database.clone()), tokio })
    }

    /// Ends a job. `None`: there is no server, or none that knows the job.
    ///
    /// # Errors
    /// The server says no.
    pub(crate) fn stop(&self, job: &str, request: &StopRequest) -> Result<Option<StopAnswer>, ClientError> {
        self.known(self.tokio.block_on(self.client.post(&Client::job_path(job, "/stop"), request)))
    }

    /// Makes a savepoint. `None`: there is no server, or none that knows the job.
    ///
    /// # Errors
    /// The server says no.
    pub(crate) fn savepoint(&self, job: &str, place: &SavepointRequest) -> Result<Option<Savepoint>, ClientError> {
        self.known(self.tokio.block_on(self.client.post(&Client::job_path(job, "/savepoint"), place)))
    }

    fn known<T>(&self, answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(ClientError::Unreachable { .. }) => Ok(None),
            Err(ClientError::Refused(facts)) if facts.sqlstate == SqlError::UNDEFINED_OBJECT => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn client(at: &ServerArg, server: &str) -> Result<Client, String> {
    let authorities =
        at.tls_ca.as_ref().map(|file| std::fs::read(file).map_err(|e| format!("{}: {e}", file.display())));
    let client = Client::new(server, authorities.transpose()?.as_deref()).map_err(|e| match &at.tls_ca {
        Some(file) => format!("{}: {e}", file.display()),
        None => e.to_string(),
    })?;
    let password = std::env::var("EDDYLINE_PASSWORD").ok();
    Ok(match (&at.user, password) {
        (None, None) => client,
        (user, password) => client.of_user(user.as_deref().unwrap_or(ROOT), &Secret(password.unwrap_or_default())),
    })
}

/// The server that somebody has named.
pub(crate) fn named(at: &ServerArg) -> Option<String> {
    let set = || std::env::var("EDDYLINE_SERVER").ok().filter(|server| !server.is_empty());
    at.server.clone().or_else(set)
}

/// Tells why a server does not do what it was asked.
pub(crate) fn told(error: ClientError, sql: &str) -> Exit {
    match error {
        ClientError::Refused(facts) => {
            let facts = *facts;
            let position = facts.line.zip(facts.column).map(|(line, column)| TextPosition { line, column });
            // The process ends with it.
            let sqlstate: &'static str = facts.sqlstate.leak();
            let error = SqlError {
                sqlstate,
                message: facts.message,
                detail: facts.detail,
                hint: facts.hint,
                position,
                constraint: None,
            };
            let _ = writeln!(io::stderr(), "{}", error.render(sql));
        }
        ClientError::Unreachable { .. } => {
            tell(&error.to_string(), Some("start one with `eddyline serve`, or name it: --server HOST:PORT"));
        }
        ClientError::Untrusted { hint, .. } => {
            let hint = format!("{hint} (--tls-ca FILE names authorities to trust)");
            tell(&error.to_string(), Some(&hint));
        }
        ClientError::Protocol { .. } => {
            tell(&error.to_string(), Some("--server names the HTTP address, which `eddyline serve` prints"));
        }
    }
    Exit::Failed
}

/// Has a server run a file.
///
/// # Errors
/// The exit code, when it does not; what happened has been told.
pub(crate) fn submit(args: &SubmitArgs) -> Result<Exit, Exit> {
    let sql = text_of(&args.file).map_err(|e| {
        tell(&e, None);
        Exit::Usage
    })?;
    let stem = args.file.file_stem().and_then(|name| name.to_str()).filter(|name| *name != "-");
    let request = SubmitRequest {
        sql: sql.clone(),
        name: args.name.clone(),
        fallback_name: stem.map(str::to_owned),
        settings: args.set.iter().cloned().collect(),
        from: args.from.clone(),
        allow_dropped_state: args.allow_dropped_state,
        allow_fresh: args.allow_fresh,
        dry_run: args.dry_run,
    };
    let remote = Remote::new(&args.at)?;
    let answer = remote.tokio.block_on(remote.client.post::<SubmitAnswer>("/api/v1/jobs", &request));
    let answer = answer.map_err(|e| told(e, &sql))?;
    if args.json {
        return print_json(&answer);
    }
    answer.warnings.iter().for_each(|warning| note(&format!("WARNING: {warning}")));
    print_lines(submitted(&answer).lines())?;
    // What would be refused is no success of a dry run.
    Ok(if answer.refused.is_some() { Exit::Failed } else { Exit::Done })
}

fn submitted(answer: &SubmitAnswer) -> String {
    let SubmitAnswer { verdict, id, name, status, state, refused, .. } = answer;
    let number = id.map(|id| format!("{id} ")).unwrap_or_default();
    let status = status.as_deref().unwrap_or_default();
    let state = state.iter().map(|line| format!("\n  {line}")).collect::<String>();
    let refused = refused.as_ref().map(|why| format!("\nit would be refused: {why}")).unwrap_or_default();
    match verdict {
        Verdict::Started => format!("job {number}'{name}' started"),
        Verdict::Unchanged if status == "RUNNING" => {
            format!("job {number}'{name}' is the same already: nothing was done")
        }
        Verdict::Unchanged => format!(
            "job {number}'{name}' is the same already, and {status}: nothing was done; `eddyline resume` begins it again"
        ),
        Verdict::Resumed => format!("job {number}'{name}' is the same, and goes on"),
        Verdict::Upgraded => format!("job {number}'{name}' upgraded; its state:{state}"),
        Verdict::WouldStart if state.is_empty() => format!("job '{name}' would be new: it begins afresh"),
        Verdict::WouldStart => format!("job '{name}' would be new; its state:{state}{refused}"),
        Verdict::WouldUpgrade if state.is_empty() => format!("job '{name}' would be upgraded: it has no state yet"),
        Verdict::WouldUpgrade => format!("job '{name}' would be upgraded; its state:{state}{refused}"),
        Verdict::WouldResume => format!("job '{name}' has failed, and would go on; its state:{state}{refused}"),
        Verdict::WouldStay => format!("job '{name}' is the same already: nothing would be done"),
    }
}

/// Lists the jobs of a server.
///
/// # Errors
/// The exit code, when there is no list; what happened has been told.
pub(crate) fn list(args: &JobsArgs) -> Result<Exit, Exit> {
    let remote = Remote::new(&args.at)?;
    let mut list = remote.tokio.block_on(remote.client.get::<JobList>("/api/v1/jobs")).map_err(|e| told(e, ""))?;
    if let Some(database) = &args.at.database {
        list.jobs.retain(|job| job.database == *database);
    }
    if args.json {
        return print_json(&list);
    }
    let manner =
        Manner { format: None, json: false, page: Page { footer: false, ..Page::endless() }, cancels_selects: false };
    print_listing(&manner, &table(&list.jobs)).map_err(|_| Exit::Failed)?;
    Ok(Exit::Done)
}

fn table(jobs: &[Job]) -> Listing {
    let column = |of: &dyn Fn(&Job) -> Option<String>| jobs.iter().map(of).collect::<Vec<_>>();
    // Most servers have one.
    let is_told = jobs.iter().any(|job| job.database != FIRST_DATABASE);
    let databases = is_told.then(|| ("database", column(&|job| Some(job.database.clone()))));
    let of_jobs = vec![
        ("id", column(&|job| Some(job.id.to_string()))),
        ("name", column(&|job| Some(job.name.clone()))),
        ("status", column(&|job| Some(job.status.clone()))),
        ("start", column(&|job| Some(time(job.started_ms)))),
        ("restarts", column(&|job| Some(job.restarts.to_string()))),
        ("rows in", column(&|job| Some(job.rows_in.to_string()))),
        ("rows out", column(&|job| Some(job.rows_out.to_string()))),
        ("rows in per second", column(&|job| Some(format!("{:.0}", job.rows_in_per_second)))),
        ("lag ms", column(&|job| job.lag_ms.map(|ms| ms.to_string()))),
        ("state bytes", column(&|job| Some(job.state_bytes.to_string()))),
        ("error", column(&|job| job.error.as_ref().map(|error| error.message.clone()))),
    ];
    Listing::texts(databases.into_iter().chain(of_jobs).collect())
}

/// Begins a job again.
///
/// # Errors
/// The exit code, when it does not begin; what happened has been told.
pub(crate) fn resume(args: &JobArgs) -> Result<Exit, Exit> {
    let remote = Remote::new(&args.at)?;
    let path = Client::job_path(&args.job, "/resume");
    let resumed = remote.tokio.block_on(remote.client.post::<JobDetail>(&path, &serde_json::json!({})));
    let Job { id, name, .. } = resumed.map_err(|e| told(e, ""))?.job;
    print_lines([format!("job {id} '{name}' goes on").as_str()])?;
    Ok(Exit::Done)
}

/// Forgets a job.
///
/// # Errors
/// The exit code, when it is not forgotten; what happened has been told.
pub(crate) fn forget(args: &JobArgs) -> Result<Exit, Exit> {
    let remote = Remote::new(&args.at)?;
    let path = Client::job_path(&args.job, "");
    let JobName { name } = remote.tokio.block_on(remote.client.delete(&path)).map_err(|e| told(e, ""))?;
    print_lines([format!("job '{name}' dropped").as_str()])?;
    Ok(Exit::Done)
}

/// Prints a job's log.
///
/// # Errors
/// The exit code, when there is none; what happened has been told.
pub(crate) fn logs(args: &LogsArgs) -> Result<Exit, Exit> {
    let remote = Remote::new(&args.at)?;
    let (mut after, mut limit) = (0, args.lines);
    loop {
        let path = Client::job_path(&args.job, &format!("/logs?after={after}&limit={limit}"));
        let Log { entries } = remote.tokio.block_on(remote.client.get(&path)).map_err(|e| told(e, ""))?;
        for entry in &entries {
            match args.json {
                true => drop(print_json(entry)?),
                false => print_lines([log_line(entry).as_str()])?,
            }
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        (after, limit) = (entries.last().map_or(after, |entry| entry.number), usize::MAX);
        std::thread::sleep(FOLLOW_INTERVAL);
    }
}

fn log_line(entry: &LogLine) -> String {
    let LogLine { time_ms, level, subject, message, .. } = entry;
    format!("{} {level:5} {subject}: {message}", time(*time_ms))
}

/// Prints how a job runs.
///
/// # Errors
/// The exit code, when it cannot be told; what happened has been told.
pub(crate) fn explain(args: &ExplainArgs) -> Result<Exit, Exit> {
    let remote = Remote::new(&args.at)?;
    let path = Client::job_path(&args.job, &format!("/plan?stage={}", args.stage.name()));
    let Plan { lines } = remote.tokio.block_on(remote.client.get(&path)).map_err(|e| told(e, ""))?;
    print_lines(lines.iter().map(String::as_str))?;
    Ok(Exit::Done)
}

/// `2024-01-02 03:04:05Z`.
fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).map_or_else(|| ms.to_string(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn note(text: &str) {
    // There is no place left to say that there is no place to say it.
    let _ = writeln!(io::stderr(), "{text}");
}

fn print_json(value: &impl Serialize) -> Result<Exit, Exit> {
    let text = serde_json::to_string(value).map_err(|e| {
        tell(&e.to_string(), None);
        Exit::Failed
    })?;
    print_lines([text.as_str()])?;
    Ok(Exit::Done)
}

/// Who reads no more wants no more.
fn print_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).map_err(|_| Exit::Done)
}
