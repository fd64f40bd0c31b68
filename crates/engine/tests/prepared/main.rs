//! Statements that are planned once, for all values of their parameters.

mod changes;
mod inserts;

use arrow::util::pretty::pretty_format_batches;
use eddyline_engine::{Answer, Engine, EngineConfig, Outcome, ScriptError, Session, parse};

/// A session in which the statements of `table` have run.
fn session(tokio: &tokio::runtime::Runtime, table: &str) -> Session {
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) });
    let mut session = engine.instance().session();
    for statement in parse(table).expect("parses") {
        session.execute(&statement).map_err(ScriptError::into_error).expect("the table");
    }
    session
}

/// What a statement came to, as text.
fn said(answer: Result<Answer, ScriptError>) -> String {
    match answer.map_err(ScriptError::into_error) {
        Ok(Answer::Outcome(Outcome::Changed { message, .. })) => message,
        Ok(Answer::Outcome(Outcome::Returned(listing))) => {
            pretty_format_batches(&[listing.rows]).expect("prints").to_string()
        }
        Ok(_) => "something else".to_owned(),
        // A literal is cast when the statement is planned, which says it in other words.
        Err(error) => format!("error of class {}", &error.sqlstate[..2]),
    }
}

fn rows(session: &mut Session) -> String {
    let select = parse("SELECT * FROM t ORDER BY id").expect("parses").remove(0);
    let Ok(Answer::Rows(mut scan)) = session.answer(&select) else { panic!("a scan") };
    let all: Vec<_> = std::iter::from_fn(|| scan.next_rows().expect("rows")).collect();
    pretty_format_batches(&all).expect("prints").to_string()
}
