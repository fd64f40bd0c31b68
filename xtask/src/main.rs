//! The project's chores: `cargo xtask test | slt | check | crash | simulate | fuzz-sql | fuzz-wire | record-postgres | bench-tpch | bench-checkpoints | bench-server`.
//!
//! Long random runs are commands of the SQL test crate, started from here, so that there is one place to look.

mod layers;
mod tidy;

use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND
  test             the whole test suite (cargo-nextest when it is installed, else cargo test)
  slt [FILTER]     only the SQL suites under sql-tests/
  fuzz-sql --seconds N [--from SEED] [--kind NAME]
                   random queries against DataFusion in batch, after every step
  crash --rounds N [--seed S]
                   kill a job at random moments and compare what it has committed
  simulate --seeds N [--from S]
                   random dataflows in foul weather: crashes at any step, stores and disks that fail, clocks that are set;
                   and savepoints, from which others go on
  fuzz-wire --seconds N [--seed S]
                   spoilt messages and bytes of chance for the server, from a seed on
  record-postgres  records anew what PostgreSQL answers the statements under crates/server/tests/postgres
  bench-tpch [--sf F] [--changes N] [--batches N] [--queries 1,2,…]
                   TPC-H as maintained views: an update beside computing again
  bench-checkpoints [--mib N] [--percent P] [--rounds N] [--cold] [--in DIRECTORY]
                   what a checkpoint writes when little of large state has changed
  bench-server [--keys N] [--rows N] [--seconds N] [--connections N] [--inserts N] [--beside CONNECTION]
                   how fast the server answers its clients
  check            format, lints, layers of the crates, tidiness
  layers           only the layers
  tidy             only the tidiness";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test(),
        ["slt", filter @ ..] => slt(filter),
        [tool @ ("fuzz-sql" | "bench-tpch" | "bench-checkpoints"), args @ ..] => release_tool(&[tool], args),
        ["bench-server", args @ ..] => release_tool(&["bench-server", "eddyline"], args),
        ["crash", "--rounds", rounds] => crash(rounds, "0"),
        ["crash", "--rounds", rounds, "--seed", seed] => crash(rounds, seed),
        ["fuzz-wire", "--seconds", seconds] => fuzz_wire(seconds, "0"),
        ["fuzz-wire", "--seconds", seconds, "--seed", seed] => fuzz_wire(seconds, seed),
        ["record-postgres"] => record_postgres(),
        ["simulate", "--seeds", seeds] => simulate(seeds, "0"),
        ["simulate", "--seeds", seeds, "--from", from] => simulate(seeds, from),
        ["check"] => check(),
        ["layers"] => layers::check(),
        ["tidy"] => tidy::check(),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<(), String> {
    if has_nextest() {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])?;
        cargo(&["test", "--workspace", "--doc", "--quiet"])
    } else {
        cargo(&["test", "--workspace", "--no-fail-fast"])
    }
}

fn slt(filter: &[&str]) -> Result<(), String> {
    let mut args = vec!["test", "--package", "eddyline-sqltest", "--test", "slt", "--"];
    args.extend(filter);
    cargo(&args)
}

/// Builds programs in release and runs the first, one of the SQL test crate.
fn release_tool(tools: &[&str], args: &[&str]) -> Result<(), String> {
    // Of the whole workspace, so that the features of dependencies are those of the other builds.
    let mut build = vec!["build", "--release", "--workspace"];
    build.extend(tools.iter().flat_map(|tool| ["--bin", tool]));
    cargo(&build)?;
    let tool = tools[0];
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let status = Command::new(format!("{target}/release/{tool}")).args(args).status();
    if status.map_err(|e| format!("{tool}: {e}"))?.success() { Ok(()) } else { Err(format!("{tool} failed")) }
}

/// Rounds of the crash loop, which is a test of the binary.
fn crash(rounds: &str, seed: &str) -> Result<(), String> {
    let args = ["test", "--workspace", "--test", "jobs", "--", "crash::", "--nocapture"];
    let mut command = cargo_command();
    command.args(args).env("EDDYLINE_CRASH_ROUNDS", rounds).env("EDDYLINE_CRASH_SEED", seed);
    let status = command.status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err("the crash loop failed".into()) }
}

/// Messages of clients that mean harm, for as long as it is said: tests of the server, each of which takes that time.
fn fuzz_wire(seconds: &str, seed: &str) -> Result<(), String> {
    let args = ["test", "--workspace", "--test", "hostile", "--", "harm_nobody", "--nocapture"];
    let mut command = cargo_command();
    command.args(args).env("EDDYLINE_FUZZ_SECONDS", seconds).env("EDDYLINE_FUZZ_SEED", seed);
    let status = command.status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err("some seed does harm".into()) }
}

/// Answers of a PostgreSQL on this machine, for the tests of the server.
fn record_postgres() -> Result<(), String> {
    let mut command = cargo_command();
    command.args(["test", "--package", "eddyline-server", "--test", "postgres", "--", "what_is_recorded"]);
    let status = command.env("EDDYLINE_RECORD", "1").status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err("nothing was recorded".into()) }
}

/// The random runs of the runtime's simulation.
fn simulate(seeds: &str, from: &str) -> Result<(), String> {
    let args = [
        "test",
        "--package",
        "eddyline-runtime",
        "--lib",
        "--",
        "tests::crashes",
        "tests::faults",
        "tests::savepoints",
        "--nocapture",
    ];
    let mut command = cargo_command();
    command.args(args).env("EDDYLINE_SEEDS", seeds).env("EDDYLINE_SEED_FROM", from);
    let status = command.status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err("the simulation failed".into()) }
}

fn check() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])?;
    layers::check()?;
    tidy::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
    println!("check: format, layers, tidiness and lints are fine");
    Ok(())
}

/// Cargo, as if it was called by hand. What `cargo xtask` tells this program of its own package is not for it: build scripts that ask for
/// such variables (ring's) would run again whenever the one follows the other, and with them most of what is built.
fn cargo_command() -> Command {
    let mut command = Command::new("cargo");
    let told = std::env::vars_os().map(|(name, _)| name);
    let is_of_package =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|p| name.starts_with(p));
    told.filter(|name| name.to_str().is_some_and(is_of_package)).for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn has_nextest() -> bool {
    cargo_command().args(["nextest", "--version"]).output().is_ok_and(|o| o.status.success())
}

fn cargo(args: &[&str]) -> Result<(), String> {
    let status = cargo_command().args(args).status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` failed", args.join(" "))) }
}
