use super::*;
use crate::copy::{CopyFormat, Header};
use eddyline_engine::Dialect;
use eddyline_engine::catalog::Reference;

fn copy(text: &str) -> Result<Copy, String> {
    match read(text, Dialect::Postgres) {
        Ok(Command::Copy(copy)) => Ok(*copy),
        Ok(_) => Err("no COPY".into()),
        Err(error) => Err(error.message),
    }
}

#[test]
fn copy_has_options_in_both_spellings() {
    let plain = Copy { table: "t".into(), columns: Vec::new(), format: CopyFormat::text() };
    assert_eq!(copy("COPY t FROM STDIN"), Ok(plain.clone()));
    let columns = vec!["a".to_owned(), "b c".to_owned()];
    let csv = CopyFormat { header: Header::Skip, delimiter: b';', ..CopyFormat::csv() };
    let public = Reference { schema: Some("public".into()), ..Reference::bare("t") };
    let wanted = Copy { columns, format: csv, ..plain.clone() };
    assert_eq!(
        copy("COPY public.t (a, \"b c\") FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';')"),
        Ok(Copy { table: public, ..wanted.clone() })
    );
    assert_eq!(copy("copy t (a, \"b c\") from stdin delimiter as ';' csv header"), Ok(wanted));
    let format = CopyFormat { null: String::new(), ..CopyFormat::text() };
    assert_eq!(copy("COPY t FROM STDIN (DELIMITER E'\\t', NULL '')"), Ok(Copy { format, ..plain }));
    assert!(copy("COPY t FROM '/etc/passwd'").unwrap_err().contains("but STDIN"));
    assert!(copy("COPY t FROM PROGRAM 'ls'").unwrap_err().contains("but STDIN"));
    assert!(copy("COPY t FROM STDIN (FORMAT binary)").unwrap_err().contains("format binary"));
}

#[test]
fn what_copy_is_told_is_done_or_refused() {
    let format = |text: &str| copy(text).map(|copy| copy.format);
    // As in Postgres, the escape is the quote unless it is said.
    let quoted = CopyFormat { quote: b'\'', escape: b'\'', ..CopyFormat::csv() };
    assert_eq!(format("COPY t FROM STDIN (FORMAT csv, QUOTE '''')"), Ok(quoted.clone()));
    let escaped = CopyFormat { escape: b'\\', ..quoted };
    assert_eq!(format("COPY t FROM STDIN (QUOTE '''', ESCAPE '\\', FORMAT csv)"), Ok(escaped));
    assert_eq!(format("COPY t FROM STDIN csv header match").map(|f| f.header), Ok(Header::Match));
    assert_eq!(format("COPY t FROM STDIN (FORMAT csv, HEADER 0)").map(|f| f.header), Ok(Header::None));
    assert_eq!(format("COPY t FROM STDIN (FORMAT csv, HEADER 1)").map(|f| f.header), Ok(Header::Skip));
    assert_eq!(format("COPY t FROM STDIN (ENCODING 'utf-8')"), Ok(CopyFormat::text()));
    assert_eq!(copy("COPY public.\"a b\" FROM STDIN").map(|copy| copy.table.to_string()), Ok("public.a b".into()));
    let refused = [
        ("(ENCODING latin1)", "encoding latin1"),
        ("(QUOTE '''')", "QUOTE is of the format csv alone"),
        ("(ESCAPE 'x')", "ESCAPE is of the format csv alone"),
        ("(FORMAT csv, DELIMITER '\"')", "the delimiter is the quote too"),
        ("(FORMAT csv, NULL 'a,b')", "the delimiter stands in"),
        ("(FORMAT csv, NULL '\"')", "the quote stands in"),
        ("(NULL E'\\n')", "the end of a line"),
        ("(DELIMITER 'a')", "cannot be a letter"),
        ("(HEADER, HEADER)", "HEADER is said twice"),
        ("(FREEZE)", "option freeze"),
    ];
    for (options, why) in refused {
        let error = format(&format!("COPY t FROM STDIN {options}")).unwrap_err();
        assert!(error.contains(why), "{options}: {error}");
    }
}

fn shown(text: &str) -> String {
    match read(text, Dialect::Postgres) {
        Ok(Command::Sql(statement)) => format!("SQL {}", statement.sql),
        Ok(command) => format!("{command:?}"),
        Err(error) => error.message,
    }
}

#[test]
fn statements_of_the_connection_are_told_from_those_of_the_engine() {
    assert_eq!(shown(" -- nothing\n /* at all */ "), "Empty");
    assert_eq!(shown("END"), "Commit(false)");
    assert_eq!(shown("commit work and chain"), "Commit(true)");
    assert_eq!(shown("rollback work"), "Rollback(false)");
    assert_eq!(shown("ROLLBACK AND NO CHAIN"), "Rollback(false)");
    assert_eq!(shown("ROLLBACK WORK TO SAVEPOINT a"), "RollbackTo(\"a\")");
    assert!(shown("COMMIT NOW").contains("near \"now\""));
    assert_eq!(shown("SET application_name = 'x y'"), "Set(\"application_name\", Some(\"x y\"))");
    assert_eq!(shown("SET search_path TO a, b"), "Set(\"search_path\", Some(\"a, b\"))");
    assert_eq!(shown("SET LOCAL extra_float_digits TO DEFAULT"), "SetLocal(\"extra_float_digits\", None)");
    assert_eq!(shown("SET TIME ZONE 'UTC'"), "Set(\"timezone\", Some(\"UTC\"))");
    assert_eq!(shown("SHOW server_version"), "Show(\"server_version\")");
    assert_eq!(shown("SHOW TRANSACTION ISOLATION LEVEL"), "Show(\"transaction_isolation\")");
    assert_eq!(shown("DEALLOCATE ALL"), "Deallocate(None)");
    assert_eq!(shown("SET application_name = 'it''s'"), "Set(\"application_name\", Some(\"it's\"))");
    assert_eq!(shown("DISCARD ALL"), "Discard");
    assert_eq!(shown("discard plans"), "DiscardNothing(\"DISCARD PLANS\")");
    assert_eq!(shown("DISCARD SEQUENCES"), "DiscardNothing(\"DISCARD SEQUENCES\")");
    assert!(shown("DISCARD TEMP").contains("belong to no connection"));
    assert!(shown("DISCARD TEMPORARY").contains("belong to no connection"));
    assert_eq!(shown("SHOW TABLES"), "SQL SHOW TABLES");
    assert_eq!(shown("SET 'execution.shards' = '1'"), "SQL SET 'execution.shards' = '1'");
    assert_eq!(shown("SELECT 1"), "SQL SELECT 1");
}

#[test]
fn modes_of_transactions_are_read() {
    let begun = |text: &str| match read(text, Dialect::Postgres) {
        Ok(Command::Begin(tag, modes)) => Ok((tag, modes)),
        Ok(command) => panic!("{text}: {command:?}"),
        Err(error) => Err(error.message),
    };
    let none = Modes::default();
    assert_eq!(begun("BEGIN"), Ok(("BEGIN", none)));
    let serializable = Modes { isolation: Some("serializable"), ..none };
    assert_eq!(begun("begin isolation level serializable"), Ok(("BEGIN", serializable)));
    let read_only = Modes { read_only: Some(true), ..none };
    assert_eq!(begun("START TRANSACTION READ ONLY"), Ok(("START TRANSACTION", read_only)));
    let all = Modes { isolation: Some("repeatable read"), read_only: Some(false), deferrable: Some(false) };
    let text = "BEGIN WORK ISOLATION LEVEL REPEATABLE READ READ ONLY, READ WRITE, NOT DEFERRABLE";
    assert_eq!(begun(text), Ok(("BEGIN", all)));
    assert_eq!(begun("BEGIN READ NOTHING"), Err("syntax error at or near \"read\"".into()));
    assert_eq!(begun("BEGIN READ ONLY,"), Err("syntax error at end of input".into()));
    for (text, wanted) in [
        ("SET TRANSACTION READ ONLY", "SetTransaction"),
        ("SET LOCAL TRANSACTION READ WRITE", "SetTransaction"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SetCharacteristics"),
        ("SET TRANSACTION", "syntax error at end of input"),
        ("SET TRANSACTION SNAPSHOT 'x'", "SET TRANSACTION SNAPSHOT"),
        ("SET transaction_read_only = on", "Set(\"transaction_read_only\""),
    ] {
        let found = shown(text);
        assert!(found.starts_with(wanted), "{text}: {found}");
    }
}

#[test]
fn prepared_statements_are_read_with_their_values() {
    let prepared = |text: &str| match read(text, Dialect::Postgres) {
        Ok(Command::Prepare(said)) => (said.name, said.types, said.text),
        other => panic!("{text}: {other:?}"),
    };
    let types = vec!["int".to_owned(), "numeric(10, 2)".to_owned()];
    let text = "PREPARE \"P\" (int, numeric(10, 2)) AS SELECT $1, $2";
    assert_eq!(prepared(text), ("P".into(), types, text.into()));
    assert_eq!(prepared("prepare P as delete from t").0, "p");
    let given = |text: &str| match read(text, Dialect::Postgres) {
        Ok(Command::Execute(said)) => (said.name, said.arguments),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(given("EXECUTE p"), ("p".into(), Vec::new()));
    let arguments = vec![
        Argument::Number("-1".into()),
        Argument::Text("a, ) 'b".into()),
        Argument::Null,
        Argument::Expression("ARRAY[1, 2]".into()),
        Argument::Expression("(1 + f(2, 3)) * 4".into()),
        Argument::Expression("'1 day'::interval".into()),
    ];
    let text = "EXECUTE p (-1, 'a, ) ''b', NULL, ARRAY[1, 2], (1 + f(2, 3)) * 4, '1 day'::interval)";
    assert_eq!(given(text), ("p".into(), arguments));
    for wrong in
        ["PREPARE p SELECT 1", "PREPARE p AS CREATE TABLE t (a INT)", "EXECUTE", "EXECUTE p (1", "EXECUTE p (,)"]
    {
        assert_eq!(read(wrong, Dialect::Postgres).unwrap_err().sqlstate, "42601", "{wrong}");
    }
    assert_eq!(read("PREPARE TRANSACTION 'x'", Dialect::Postgres).unwrap_err().sqlstate, "0A000");
    assert!(shown("EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END").starts_with("SQL"));
    assert!(matches!(read("EXPLAIN LOGICAL EXECUTE p(1)", Dialect::Postgres), Ok(Command::ExplainExecute(..))));
    let error = read("PREPARE p AS\n SELECT 1 +", Dialect::Postgres).unwrap_err();
    assert_eq!(error.position.map(|at| at.line), Some(2));
}
