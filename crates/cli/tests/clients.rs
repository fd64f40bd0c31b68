//! Drivers as people use them, from PyPI, npm and Debian, against the binary: what they do is in `clients/`.
//!
//! They are installed once, into the directory of the build; a change of their versions installs them anew.

mod served;

use served::Served;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// Runs a command to its end.
fn run(command: &mut Command) {
    let done = command.output();
    let done = done.unwrap_or_else(|e| panic!("{command:?}: {e} (scripts/setup.sh installs it)"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{command:?}\n{}\n{}", said(&done.stdout), said(&done.stderr));
}

/// A directory that holds what a list of versions asks for; `install` fills it, when it does not yet.
fn installed(name: &str, list: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let wanted = fs::read_to_string(Path::new(SCRIPTS).join(list)).expect("a list of versions");
    // Written last: what was broken off is begun anew.
    let done = place.join("installed");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return place;
    }
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).expect("a directory");
    install(&place);
    fs::write(done, wanted).expect("written");
    place
}

#[test]
fn drivers_of_python() {
    let place = installed("clients-python", "requirements.txt", |place| {
        run(Command::new("python3").args(["-m", "venv"]).arg(place));
        run(Command::new(place.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(Path::new(SCRIPTS).join("requirements.txt")));
    });
    let server = Served::start(&["--shards", "2"]);
    run(Command::new(place.join("bin/python")).arg(Path::new(SCRIPTS).join("clients.py")).arg(server.port()));
}

/// Where Debian keeps Postgres' driver for Java.
const JDBC: &str = "/usr/share/java/postgresql.jar";

#[test]
fn pgjdbc() {
    assert!(Path::new(JDBC).exists(), "{JDBC} is not there (scripts/setup.sh installs it)");
    let server = Served::start(&["--shards", "2"]);
    run(Command::new("java").args(["-cp", JDBC]).arg(Path::new(SCRIPTS).join("Clients.java")).arg(server.port()));
}

#[test]
fn node_postgres() {
    let place = installed("clients-node", "package.json", |place| {
        fs::copy(Path::new(SCRIPTS).join("package.json"), place.join("package.json")).expect("copied");
        run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(place));
    });
    let server = Served::start(&["--shards", "2"]);
    run(Command::new("node").arg(Path::new(SCRIPTS).join("clients.js")).arg(server.port()).arg(place));
}
