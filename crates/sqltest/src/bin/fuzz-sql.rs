//! Random queries against the batch oracle for a while: `cargo xtask fuzz-sql --seconds N [--from SEED] [--kind NAME]`.

use eddyline_sqltest::check::check;
use eddyline_sqltest::fuzz::{Kind, made, run};
use eddyline_sqltest::shrink::shrink;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)?.parse::<u64>().ok());
    let Some(seconds) = number("--seconds") else {
        eprintln!("usage: fuzz-sql --seconds N [--from SEED] [--kind NAME]");
        return ExitCode::from(2);
    };
    let from = number("--from").unwrap_or(0);
    let named = args.iter().position(|a| a == "--kind").and_then(|at| args.get(at + 1));
    let is_meant = |kind: &Kind| named.is_none_or(|n| format!("{kind:?}").eq_ignore_ascii_case(n));
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(is_meant).collect();
    let (start, mut seed, mut failed) = (Instant::now(), from, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        for &kind in &kinds {
            if let Err(told) = run(kind, seed) {
                failed += 1;
                println!("{kind:?}, seed {seed}:\n{told}\n");
                tell_small(kind, seed);
            }
        }
        seed += 1;
    }
    println!("seeds {from} to {seed} of {} kinds: {failed} failed", kinds.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the case made small, and writes it as a file of the suites.
fn tell_small(kind: Kind, seed: u64) {
    let small = shrink(&made(kind, seed), &check);
    let Err(told) = check(&small) else { return };
    println!("made small:\n{told}");
    let path = std::env::temp_dir().join(format!("fuzz-{kind:?}-{seed}.slt").to_lowercase());
    match small.to_slt(&told).and_then(|slt| std::fs::write(&path, slt).map_err(|e| e.to_string())) {
        Ok(()) => println!("written to {}\n", path.display()),
        Err(why) => println!("not written as a file of the suites: {why}\n"),
    }
}
