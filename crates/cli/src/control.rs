//! `eddyline savepoint` and `eddyline stop`, and the end of the line where a job of `eddyline run` listens. A job that no process of this
//! user runs by itself is one of a server.

use crate::args::{SavepointArgs, ServerArg, StopArgs};
use crate::exit::Exit;
use crate::follow::{grouped, tell};
use crate::jobs::{Remote, named, told};
use eddyline_control::{Answer, ControlError, Listener, Request, SavepointFacts, Target, ask, directory, running};
use eddyline_engine::{JobControl, SavepointMade, SavepointPlace, SqlError};
use eddyline_http::api::{SavepointRequest, StopAnswer, StopRequest};
use std::io::Write;
use std::sync::Arc;

/// Has a savepoint made.
///
/// # Errors
/// The exit code, when there is none; what happened has been told.
pub(crate) fn savepoint(args: &SavepointArgs) -> Result<Exit, Exit> {
    let place = target(args.path.as_deref(), args.dir.as_deref())?;
    if names_no_server(&args.at) && runs_here(&args.job)? {
        return answered(&args.job, &Request::Savepoint { place });
    }
    let made = Remote::new(&args.at)?.savepoint(&args.job, &place_at_server(place)).map_err(|e| told(e, ""))?;
    let made = made.ok_or_else(|| nowhere(&args.job, &args.at))?;
    made_known(&args.job, &SavepointFacts { location: made.location, epoch: made.epoch, size_bytes: made.size_bytes });
    Ok(Exit::Done)
}

/// Has a job end.
///
/// # Errors
/// The exit code, when it does not; what happened has been told.
pub(crate) fn stop(args: &StopArgs) -> Result<Exit, Exit> {
    let path = args.savepoint.as_deref().filter(|path| !path.is_empty());
    if path.is_some() && args.dir.is_some() {
        tell("give a path for the savepoint or a directory, not both", None);
        return Err(Exit::Usage);
    }
    let wanted = args.savepoint.is_some() || args.dir.is_some();
    let savepoint = wanted.then(|| target(path, args.dir.as_deref())).transpose()?;
    if names_no_server(&args.at) && runs_here(&args.job)? {
        return answered(&args.job, &Request::Stop { savepoint, drain: args.drain });
    }
    let order = StopRequest { savepoint: savepoint.map(place_at_server), drain: args.drain };
    let stopped = Remote::new(&args.at)?.stop(&args.job, &order).map_err(|e| told(e, ""))?;
    let StopAnswer { name, savepoint } = stopped.ok_or_else(|| nowhere(&args.job, &args.at))?;
    if let Some(made) = savepoint {
        let made = SavepointFacts { location: made.location, epoch: made.epoch, size_bytes: made.size_bytes };
        made_known(&name, &made);
    }
    let _ = writeln!(std::io::stderr(), "{name} stopped; `eddyline resume` begins it again");
    Ok(Exit::Done)
}

/// Does a process of this user run the job by itself?
fn runs_here(job: &str) -> Result<bool, Exit> {
    let directory = directory(|name| std::env::var_os(name)).map_err(failed)?;
    match ask(&directory, job, &Request::About) {
        Ok(_) => Ok(true),
        Err(ControlError::NoJob { .. }) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: ControlError) -> Exit {
    tell(&error.to_string(), error.hint());
    Exit::Failed
}

/// Nothing says that the job is one of a server.
fn names_no_server(at: &ServerArg) -> bool {
    named(at).is_none() && at.database.is_none()
}

/// Neither a process nor a server knows the job.
fn nowhere(job: &str, at: &ServerArg) -> Exit {
    let Some(server) = named(at) else {
        let running = directory(|name| std::env::var_os(name)).map(|directory| running(&directory)).unwrap_or_default();
        return failed(ControlError::NoJob { job: job.to_owned(), running });
    };
    tell(
        &format!("no server at {server} has a job '{job}'"),
        Some("`eddyline jobs --server HOST:PORT` lists its jobs"),
    );
    Exit::Failed
}

fn place_at_server(target: Target) -> SavepointRequest {
    match target {
        Target::Path(path) => SavepointRequest { path: Some(path), directory: None },
        Target::Dir(directory) => SavepointRequest { path: None, directory: Some(directory) },
        Target::Default => SavepointRequest::default(),
    }
}

/// Where this process stands need not be where the job's does.
fn target(path: Option<&str>, dir: Option<&str>) -> Result<Target, Exit> {
    let absolute = |given: &str| match given.contains("://") {
        true => Ok(given.to_owned()),
        false => std::path::absolute(given).map(|path| path.display().to_string()).map_err(|e| {
            tell(&format!("{given}: {e}"), None);
            Exit::Usage
        }),
    };
    Ok(match (path, dir) {
        (Some(path), _) => Target::Path(absolute(path)?),
        (None, Some(dir)) => Target::Dir(absolute(dir)?),
        (None, None) => Target::Default,
    })
}

fn answered(job: &str, request: &Request) -> Result<Exit, Exit> {
    let directory = directory(|name| std::env::var_os(name)).map_err(failed)?;
    match ask(&directory, job, request).map_err(failed)? {
        Answer::Savepoint(made) => made_known(job, &made),
        Answer::Stopped { savepoint } => {
            if let Some(made) = savepoint {
                made_known(job, &made);
            }
            let _ = writeln!(std::io::stderr(), "{job} stopped");
        }
        Answer::Failed { message, hint } => {
            tell(&message, hint.as_deref());
            return Err(Exit::Failed);
        }
        Answer::Job { .. } => {}
    }
    Ok(Exit::Done)
}

/// Where it is stands alone on standard output, for scripts.
fn made_known(job: &str, made: &SavepointFacts) {
    // A reader that is gone wants to know no more.
    let _ = writeln!(std::io::stdout(), "{}", made.location);
    let bytes = grouped(made.size_bytes);
    let _ = writeln!(std::io::stderr(), "{job}: savepoint of epoch {}, {bytes} bytes", made.epoch);
}

/// Listens for requests to a job, for as long as what is returned lives. `Err`: why it cannot be reached; it runs all the same.
pub(crate) fn listen(job: JobControl) -> Result<Listener, String> {
    let name = job.name().to_owned();
    let directory = directory(|name| std::env::var_os(name)).map_err(|e| e.to_string())?;
    let listener = Listener::bind(&directory, &name, Arc::new(move |request| carry_out(&job, request)));
    listener.map_err(|e| e.to_string())?.ok_or_else(|| format!("another process runs a job named '{name}'"))
}

fn carry_out(job: &JobControl, request: Request) -> Answer {
    let done = match request {
        Request::About => Ok(Answer::Job { name: job.name().to_owned(), pid: std::process::id() }),
        Request::Savepoint { place: to } => job.savepoint(&place(to)).map(|made| Answer::Savepoint(facts(made))),
        Request::Stop { savepoint, drain } => {
            let stopped = job.stop(savepoint.map(place).as_ref(), drain);
            stopped.map(|made| Answer::Stopped { savepoint: made.map(facts) })
        }
    };
    done.unwrap_or_else(|SqlError { message, hint, .. }| Answer::Failed { message, hint })
}

fn place(target: Target) -> SavepointPlace {
    match target {
        Target::Path(path) => SavepointPlace::Here(path),
        Target::Dir(dir) => SavepointPlace::In(dir),
        Target::Default => SavepointPlace::Default,
    }
}

fn facts(made: SavepointMade) -> SavepointFacts {
    let SavepointMade { location, epoch, size_bytes } = made;
    SavepointFacts { location, epoch, size_bytes }
}
