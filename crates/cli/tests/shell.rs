//! `eddyline sql` as a user meets it: statements from arguments, files and standard input, and from a terminal.

use rexpect::session::PtySession;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Nothing here depends on how long a thing takes: this is when a test gives up.
const GIVE_UP_MS: u64 = 60_000;

/// A directory with an input file, and a home.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        place.write("flights.csv", "1,JFK,10\n2,LGA,-3\n3,JFK,25\n4,EWR,\n");
        place.write("flights.sql", &place.table());
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    fn table(&self) -> String {
        format!(
            "CREATE TABLE flights (id INT, origin STRING, minutes INT)\n\
             WITH ('connector' = 'filesystem', 'path' = '{}/flights.csv', 'format' = 'csv');\n",
            self.path().display()
        )
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.current_dir(self.path()).arg("sql").args(args).stdin(Stdio::null());
        for name in ["EDDYLINE_LOG", "NO_COLOR", "VISUAL", "EDITOR", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command.env("EDDYLINE_HISTORY", self.path().join("history")).env("XDG_RUNTIME_DIR", self.path());
        command.env("TERM", "xterm-256color");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("started"))
    }

    /// Runs what is given on standard input.
    fn read(&self, text: &str, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        Ran::from(child.wait_with_output().expect("ended"))
    }

    /// A shell on a terminal of 80 columns and 24 lines.
    fn type_into(&self, args: &[&str]) -> PtySession {
        let shell = self.command(args);
        let mut command = Command::new("sh");
        command
            .args(["-c", "stty cols 80 rows 24 && exec \"$@\"", "sh"])
            .arg(shell.get_program())
            .args(shell.get_args());
        command.current_dir(self.path()).env_clear();
        command.envs(std::env::vars_os());
        for (name, value) in shell.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        rexpect::session::spawn_command(command, Some(GIVE_UP_MS)).expect("a terminal")
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    fn prints(&self, code: i32, out: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), out), "standard error: {}", self.err);
    }

    #[track_caller]
    fn fails(&self, code: i32, err: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in err {
            assert!(self.err.contains(part), "no {part:?} in: {}", self.err);
        }
        assert!(!self.err.contains("internal error") && !self.err.contains("panicked"), "{}", self.err);
    }
}

const BY_ORIGIN: &str = "SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin ORDER BY origin";
const TABLE: &str = "\
+--------+---+
| origin | n |
+--------+---+
| EWR    | 1 |
| JFK    | 2 |
| LGA    | 1 |
+--------+---+
3 rows
";

#[test]
fn statements_from_arguments_files_and_standard_input() {
    let place = Place::new();
    place.run(&["-f", "flights.sql", "-e", BY_ORIGIN]).prints(0, TABLE);
    place.run(&["flights.sql", "-e", &format!("{BY_ORIGIN};")]).prints(0, TABLE);
    place.read(&format!("{}\n{BY_ORIGIN}", place.table()), &[]).prints(0, TABLE);
    place.read("\\i flights.sql\n\\format csv\nSELECT id FROM flights WHERE id < 3;", &[]).prints(0, "id\n1\n2\n");
}

#[test]
fn a_failure_ends_what_is_not_typed() {
    let place = Place::new();
    let text = "SELECT 1 AS a;\nSELECT\n  nothing FROM nowhere;\nSELECT 2 AS b;";
    let ran = place.read(text, &["--format", "csv"]);
    ran.prints(1, "a\n1\n");
    ran.fails(1, &["ERROR 42P01", "LINE 3:   nothing FROM nowhere", "\n                       ^"]);
    let on = place.read(&format!("\\set ON_ERROR_STOP off\n{text}"), &["--format", "csv"]);
    on.prints(1, "a\n1\nb\n2\n");
    place.run(&["-e", "SELEC 1"]).fails(1, &["did you mean SELECT?"]);
    place.run(&["-e", "\\nothing"]).fails(1, &["there is no command \\nothing; \\? lists commands"]);
    place.run(&["-f", "none.sql"]).fails(1, &["cannot read none.sql"]);
    place.run(&["-e", "SELECT 1 / 0"]).fails(1, &["ERROR 22012: division by zero", "LINE 1: SELECT 1 / 0"]);
}

#[test]
fn names_are_listed_and_described() {
    let place = Place::new();
    let sql = format!("{}CREATE VIEW late AS SELECT id FROM flights WHERE minutes > 0;\n", place.table());
    let want = "name,type,connector\nflights,table,filesystem\nlate,view,\n";
    place.read(&format!("{sql}\\d\n"), &["--format", "csv"]).prints(0, want);
    place.read(&format!("{sql}\\dv\n"), &["--format", "csv"]).prints(0, "name,type,connector\nlate,view,\n");
    let ran = place.read(&format!("{sql}\\d late\n"), &[]);
    assert!(
        ran.out.contains("| id   | INT  |") && ran.out.contains("CREATE VIEW `late`\nAS SELECT id FROM flights"),
        "{ran:?}"
    );
    let functions = place.read("\\df substr", &["--format", "csv"]).out.to_uppercase();
    assert!(functions.contains("\nSUBSTRING\n"), "{functions}");
}

#[test]
fn options_change_how_results_are_printed() {
    let place = Place::new();
    let list = place.read("\\x\nSELECT 1 AS a, 'b' AS c;", &[]);
    list.prints(0, "-[ RECORD 1 ]\na | 1\nc | b\n1 row\n");
    let set = place.read("\\set format json\n\\set timing on\nSELECT 1 AS a;\n\\set\n", &[]);
    let want = "{\"a\":1}\nformat = json\nexpanded = off\nwide = off\nrows = 1000\ntiming = on\nON_ERROR_STOP = on\n";
    set.prints(0, want);
}

#[test]
fn inserts_are_waited_for_and_jobs_come_to_their_end() {
    let place = Place::new();
    let sql = format!(
        "{}CREATE TABLE copies (id INT) WITH ('connector' = 'filesystem', 'path' = '{}/out', 'format' = 'csv');\n\
         INSERT INTO copies SELECT id FROM flights;\n\
         CREATE TABLE again (id INT) WITH ('connector' = 'filesystem', 'path' = '{}/out', 'format' = 'csv');\n\
         SELECT COUNT(*) AS n FROM again;\n",
        place.table(),
        place.path().display(),
        place.path().display()
    );
    place.read(&sql, &["--format", "csv"]).prints(0, "n\n4\n");

    let background = "SET 'table.dml-sync' = 'false';\n\
         CREATE TABLE few (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '10', 'rows-per-second' = '0');\n\
         CREATE TABLE gone (n INT) WITH ('connector' = 'blackhole');\n\
         INSERT INTO gone SELECT n FROM few;\n";
    let ran = place.read(background, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("job 1 'insert-into gone' runs in the background"), "{ran:?}");
    assert!(ran.err.contains("10 rows in"), "{ran:?}");
}

#[test]
fn jobs_are_listed_and_stopped() {
    let place = Place::new();
    let sql = "CREATE TABLE many (n INT) WITH ('connector' = 'datagen');\n\
         CREATE TABLE gone (n INT) WITH ('connector' = 'blackhole');\n\
         INSERT INTO gone SELECT n FROM many;\n\
         STOP JOB 'insert-into gone';\n\
         SET 'pipeline.name' = 'copy';\n\
         INSERT INTO gone SELECT n FROM many;\n\
         STOP JOB '2';\n\
         STOP JOB 'copy';\n";
    let ran = place.read(sql, &[]);
    ran.fails(1, &["job 1 'insert-into gone' runs in the background", "job 'copy' does not run: it is STOPPED"]);
    let twice = "CREATE TABLE many (n INT) WITH ('connector' = 'datagen');\n\
         CREATE TABLE gone (n INT) WITH ('connector' = 'blackhole');\n\
         SET 'pipeline.name' = 'copy';\n\
         INSERT INTO gone SELECT n FROM many;\n\
         INSERT INTO gone SELECT n FROM many;\n";
    place.read(twice, &[]).fails(1, &["a job named 'copy' runs already"]);
}

/// What was shown up to a text, which is left out.
#[track_caller]
fn until(shell: &mut PtySession, text: &str) -> String {
    shell.exp_string(text).unwrap_or_else(|e| panic!("{text:?} did not come: {e}"))
}

fn say(shell: &mut PtySession, line: &str) {
    shell.send_line(line).expect("sent");
}

/// What is typed while nobody reads lines may be lost: this waits for the answer.
#[track_caller]
fn ask(shell: &mut PtySession, line: &str, answer: &str) {
    say(shell, line);
    until(shell, answer);
}

fn press(shell: &mut PtySession, keys: &str) {
    shell.send(keys).and_then(|_| shell.flush()).expect("sent");
}

#[track_caller]
fn leaves(mut shell: PtySession) {
    say(&mut shell, "\\q");
    shell.exp_eof().expect("it ends");
}

#[test]
fn a_session_at_a_terminal() {
    let place = Place::new();
    let mut shell = place.type_into(&[]);
    until(&mut shell, "\\? lists commands");
    until(&mut shell, "eddyline> ");
    say(&mut shell, "\\i flights.sql");
    until(&mut shell, "table flights created");
    until(&mut shell, "eddyline> ");
    say(&mut shell, "SELECT 'a");
    until(&mut shell, "'> ");
    say(&mut shell, "b' AS t,");
    until(&mut shell, "-> ");
    say(&mut shell, "NULL AS u;");
    until(&mut shell, "| a\\nb |");
    until(&mut shell, "1 row (");
    // What fails ends nothing.
    say(&mut shell, "SELECT x FROM flights;");
    until(&mut shell, "ERROR 42703");
    until(&mut shell, "HINT");
    // Ctrl-C clears what was typed.
    press(&mut shell, "SELECT nonsense");
    until(&mut shell, "nonsense");
    shell.send_control('c').expect("sent");
    until(&mut shell, "eddyline> ");
    say(&mut shell, "SELECT 40 + 2 AS n;");
    until(&mut shell, "| 42 |");
    leaves(shell);
    let history = std::fs::read_to_string(place.path().join("history")).expect("a history");
    assert!(history.contains("40 + 2") && history.contains("flights.sql"), "{history}");
    assert!(!history.contains("nonsense"), "{history}");
}

#[test]
fn names_are_completed() {
    let place = Place::new();
    let mut shell = place.type_into(&["-i", "flights.sql"]);
    until(&mut shell, "eddyline> ");
    press(&mut shell, "SELECT * FROM fli\t WHERE orig\t = 'LGA';\r");
    until(&mut shell, "-3 |");
    leaves(shell);
}

#[test]
fn a_result_that_changes_is_painted_until_the_user_ends_it() {
    let place = Place::new();
    place.write(
        "endless.sql",
        "CREATE TABLE ticks (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000',\n\
         'fields.n.min' = '5', 'fields.n.max' = '5');",
    );
    let mut shell = place.type_into(&["-i", "endless.sql"]);
    until(&mut shell, "eddyline> ");
    say(&mut shell, "SELECT n AS five, COUNT(*) AS ticks FROM ticks GROUP BY n;");
    until(&mut shell, "\x1b[?1049h");
    until(&mut shell, "q ends");
    until(&mut shell, "five");
    // A cell that has changed is marked.
    until(&mut shell, "\x1b[1;33m");
    press(&mut shell, "q");
    until(&mut shell, "\x1b[?1049l");
    until(&mut shell, "1 row when it was stopped");
    until(&mut shell, "eddyline> ");

    ask(&mut shell, "\\mode changelog", "are shown as 'changelog'");
    say(&mut shell, "SELECT n FROM ticks;");
    until(&mut shell, "+I");
    until(&mut shell, "| 5");
    shell.send_control('c').expect("sent");
    until(&mut shell, "stopped");
    until(&mut shell, "eddyline> ");

    ask(&mut shell, "SET 'sql-client.execution.result-mode' = 'tableau';", "' = 'tableau'\r");
    say(&mut shell, "SELECT n FROM ticks;");
    until(&mut shell, "+----+");
    until(&mut shell, "| 5 |");
    shell.send_control('c').expect("sent");
    until(&mut shell, "Received a total of ");
    leaves(shell);
}

#[test]
fn jobs_go_on_beside_the_prompt_and_end_with_it() {
    let place = Place::new();
    let mut shell = place.type_into(&[]);
    until(&mut shell, "eddyline> ");
    ask(&mut shell, "CREATE TABLE many (n INT) WITH ('connector' = 'datagen');", "table many created");
    ask(&mut shell, "CREATE TABLE gone (n INT) WITH ('connector' = 'blackhole');", "table gone created");
    say(&mut shell, "INSERT INTO gone SELECT n FROM many;");
    until(&mut shell, "job 1 'insert-into gone' runs in the background");
    say(&mut shell, "SHOW JOBS;");
    until(&mut shell, "RUNNING");
    say(&mut shell, "\\q");
    until(&mut shell, "job 1 'insert-into gone' still runs");
    say(&mut shell, "STOP JOB '1';");
    until(&mut shell, "job 'insert-into gone' stopped");
    say(&mut shell, "INSERT INTO gone SELECT n FROM many;");
    until(&mut shell, "job 2 ");
    say(&mut shell, "\\q");
    until(&mut shell, "still runs");
    say(&mut shell, "\\q");
    until(&mut shell, "insert-into gone stopped");
    shell.exp_eof().expect("it ends");
}

#[test]
fn an_insert_in_the_foreground_is_stopped_by_the_user() {
    let place = Place::new();
    let mut shell = place.type_into(&["--set", "table.dml-sync=true"]);
    until(&mut shell, "eddyline> ");
    ask(&mut shell, "CREATE TABLE many (n INT) WITH ('connector' = 'datagen');", "table many created");
    ask(&mut shell, "CREATE TABLE gone (n INT) WITH ('connector' = 'blackhole');", "table gone created");
    say(&mut shell, "INSERT INTO gone SELECT n FROM many;");
    // The line of progress.
    until(&mut shell, "/s)");
    shell.send_control('c').expect("sent");
    until(&mut shell, "insert-into gone stopped");
    until(&mut shell, "eddyline> ");
    leaves(shell);
}
