//! Jobs: what there is, and what is done to them.

use super::{Shared, asked};
use crate::api::{
    DatabaseQuery, Job, JobDetail, JobList, JobName, Log, LogQuery, Plan, PlanQuery, Problem, Savepoint,
    SavepointRequest, Stage, StopAnswer, StopRequest, SubmitAnswer, SubmitRequest, Verdict,
};
use crate::failure::Failure;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use eddyline_engine::statement::ExplainStage;
use eddyline_engine::{SavepointPlace, SqlError, StopOrder};

/// So many entries of a log are told, unless it is said how many.
const LOG_LINES: usize = 100;

type Body<T> = Result<Json<T>, JsonRejection>;
/// The database of a job.
type Database = Result<Query<DatabaseQuery>, QueryRejection>;

/// All jobs, of all databases.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", responses((status = 200, body = JobList)))]
pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<JobList>, Failure> {
    let reports = shared.work(|instance, _| Ok(instance.all_job_reports())).await?;
    Ok(Json(JobList { jobs: reports.into_iter().map(Job::from).collect() }))
}

/// Submits a file: a new job, or an upgrade of the job of its name.
#[utoipa::path(
    post, path = "/api/v1/jobs", tag = "jobs", params(DatabaseQuery), request_body = SubmitRequest,
    responses(
        (status = 201, description = "It is a new job", body = SubmitAnswer),
        (status = 200, description = "It is a job already, has taken its place, or would (a dry run)", body = SubmitAnswer),
        (status = 409, description = "Another job has the name, or state would be lost", body = Problem),
        (status = 422, description = "What is wrong with the text", body = Problem)
    )
)]
pub(super) async fn submit(
    State(shared): State<Shared>,
    database: Database,
    body: Body<SubmitRequest>,
) -> Result<(StatusCode, Json<SubmitAnswer>), Failure> {
    let submission = read(body)?.into();
    let submitted =
        shared.work_in(database, move |instance, canceller| instance.submit(&submission, canceller)).await?;
    let answer = SubmitAnswer::from(submitted);
    let status = if answer.verdict == Verdict::Started { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)))
}

/// A job, with its operators and splits.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path, description = "Its name or number"), DatabaseQuery),
    responses((status = 200, body = JobDetail), (status = 404, body = Problem))
)]
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
) -> Result<Json<JobDetail>, Failure> {
    Ok(Json(shared.work_in(database, move |instance, _| instance.job_report(&job)).await?.into()))
}

/// Forgets a job that is over, with its checkpoints in the data directory.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path, description = "Its name or number"), DatabaseQuery),
    responses((status = 200, body = JobName), (status = 404, body = Problem), (status = 409, description = "It runs", body = Problem))
)]
pub(super) async fn forget(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
) -> Result<Json<JobName>, Failure> {
    let name = shared.work_in(database, move |instance, canceller| instance.drop_job(&job, canceller)).await?;
    Ok(Json(JobName { name }))
}

/// Ends a job at a barrier; it can be resumed.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/stop", tag = "jobs", request_body = StopRequest,
    params(("job" = String, Path, description = "Its name or number"), DatabaseQuery),
    responses((status = 200, body = StopAnswer), (status = 404, body = Problem), (status = 409, description = "It does not run", body = Problem))
)]
pub(super) async fn stop(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
    body: Body<StopRequest>,
) -> Result<Json<StopAnswer>, Failure> {
    let StopRequest { savepoint, drain } = read(body)?;
    let order = StopOrder { savepoint: savepoint.map(place).transpose()?, drain };
    let stopped =
        shared.work_in(database, move |instance, canceller| instance.stop_job(&job, &order, canceller)).await?;
    Ok(Json(StopAnswer { name: stopped.name, savepoint: stopped.savepoint.map(Savepoint::from) }))
}

/// Makes a savepoint of a job, which goes on.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/savepoint", tag = "jobs", request_body = SavepointRequest,
    params(("job" = String, Path, description = "Its name or number"), DatabaseQuery),
    responses((status = 200, body = Savepoint), (status = 404, body = Problem), (status = 409, description = "It does not run", body = Problem))
)]
pub(super) async fn savepoint(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
    body: Body<SavepointRequest>,
) -> Result<Json<Savepoint>, Failure> {
    let place = place(read(body)?)?;
    Ok(Json(shared.work_in(database, move |instance, _| instance.savepoint_job(&job, &place)).await?.into()))
}

/// Begins a job again that was stopped or has failed.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/resume", tag = "jobs", params(("job" = String, Path, description = "Its name or number"), DatabaseQuery),
    responses((status = 200, body = JobDetail), (status = 404, body = Problem), (status = 409, description = "It runs, or cannot go on", body = Problem))
)]
pub(super) async fn resume(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
) -> Result<Json<JobDetail>, Failure> {
    let resumed = shared.work_in(database, move |instance, canceller| {
        let id = instance.resume_job(&job, canceller)?;
        instance.job_report(&id.to_string())
    });
    Ok(Json(resumed.await?.into()))
}

/// What has happened to a job: its life, its checkpoints, its savepoints.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}/logs", tag = "jobs",
    params(("job" = String, Path, description = "Its name or number"), DatabaseQuery, LogQuery),
    responses((status = 200, body = Log), (status = 404, body = Problem))
)]
pub(super) async fn logs(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Json<Log>, Failure> {
    let LogQuery { after, limit } = asked(query)?;
    let entries =
        shared.work_in(database, move |instance, _| instance.job_log(&job, after, limit.unwrap_or(LOG_LINES)));
    Ok(Json(Log { entries: entries.await?.into_iter().map(Into::into).collect() }))
}

/// How a job runs, as EXPLAIN shows it.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}/plan", tag = "jobs",
    params(("job" = String, Path, description = "Its name or number"), DatabaseQuery, PlanQuery),
    responses((status = 200, body = Plan), (status = 404, body = Problem))
)]
pub(super) async fn plan(
    State(shared): State<Shared>,
    Path(job): Path<String>,
    database: Database,
    query: Result<Query<PlanQuery>, QueryRejection>,
) -> Result<Json<Plan>, Failure> {
    let stage = match asked(query)?.stage {
        Stage::Logical => ExplainStage::Logical,
        Stage::Optimized => ExplainStage::Optimized,
        Stage::Changelog => ExplainStage::Changelog,
        Stage::Dataflow => ExplainStage::Dataflow,
    };
    let listing = shared.work_in(database, move |instance, _| instance.explain_job(&job, stage)).await?;
    Ok(Json(Plan { lines: listing.text_lines().map(str::to_owned).collect() }))
}

fn place(request: SavepointRequest) -> Result<SavepointPlace, Failure> {
    match request {
        SavepointRequest { path: Some(_), directory: Some(_) } => {
            Err(SqlError::new(SqlError::INVALID_PARAMETER, "a savepoint has a path or a directory, not both").into())
        }
        SavepointRequest { path: Some(path), .. } => Ok(SavepointPlace::Here(path)),
        SavepointRequest { directory: Some(directory), .. } => Ok(SavepointPlace::In(directory)),
        _ => Ok(SavepointPlace::Default),
    }
}

fn read<T>(body: Body<T>) -> Result<T, Failure> {
    let hint = "send JSON as /api/openapi.json tells, with Content-Type: application/json";
    body.map(|Json(read)| read).map_err(|e| Failure::new(e.status(), SqlError::INVALID_PARAMETER, e.body_text(), hint))
}
