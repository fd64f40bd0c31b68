//! How much a checkpoint writes when little has changed: `cargo xtask bench-checkpoints`.
//!
//! State of a given size is written to a backend on disk, one entry of 100 bytes after the other. Then a part of it changes, all over the
//! place, and a picture is taken, again and again: bytes that no picture before had are what a checkpoint stores. `--cold`: something was
//! read below the hot sets, so writes go into the database and not to a journal.

use eddyline_state::{Backend, Batch, MemoryBudget, RocksBackend};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
usage: cargo xtask bench-checkpoints [--mib N] [--percent P] [--rounds N] [--cold] [--in DIRECTORY]
  --mib N        size of the state (default 1024)
  --percent P    how much of it changes between two checkpoints (default 1)
  --rounds N     checkpoints (default 20), after as many as it takes to change everything once
  --cold         changes go to the database, as when state is larger than memory
  --in DIRECTORY where the state is (default: the system's directory for temporary files)";

const KEY_BYTES: usize = 36;
const VALUE_BYTES: usize = 64;
const BATCH: u64 = 1024;

struct Options {
    mib: u64,
    percent: f64,
    rounds: u64,
    is_cold: bool,
    within: std::path::PathBuf,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-checkpoints: {error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options { mib: 1024, percent: 1.0, rounds: 20, is_cold: false, within: std::env::temp_dir() };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("'{arg}' needs a value"));
        match arg.as_str() {
            "--mib" => options.mib = value()?.parse()?,
            "--percent" => options.percent = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--in" => options.within = value()?.into(),
            "--cold" => options.is_cold = true,
            other => return Err(format!("'{other}' is not known").into()),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir_in(&options.within)?;
    let backend = RocksBackend::open(&home.path().join("state"), &MemoryBudget::new(256 << 20))?;
    let entries = (options.mib << 20) / (KEY_BYTES + VALUE_BYTES) as u64;
    let changed = ((entries as f64 * options.percent / 100.0) as u64).max(1);
    let begin = Instant::now();
    put(&backend, 0..entries, 0)?;
    if options.is_cold {
        backend.multi_get(&[&key(0)])?;
    }
    let mut known = BTreeSet::new();
    let first = picture(&backend, home.path(), &mut known)?;
    println!("{entries} entries, {} MiB in files, {:.1?}", first.total >> 20, begin.elapsed());
    let before = entries.div_ceil(changed);
    let mut random = Random(1);
    let (mut sum, mut most) = (0.0, 0.0f64);
    println!("checkpoint  new MiB  total MiB  percent  picture");
    for round in 0..before + options.rounds {
        put(&backend, (0..changed).map(|_| random.next() % entries), round + 1)?;
        let begin = Instant::now();
        let Written { new, total } = picture(&backend, home.path(), &mut known)?;
        let percent = new as f64 * 100.0 / total as f64;
        if round >= before {
            let at = round - before + 1;
            println!("{at:>10}  {:>7.1}  {:>9.1}  {percent:>7.2}  {:.1?}", mib(new), mib(total), begin.elapsed());
            (sum, most) = (sum + percent, most.max(percent));
        } else {
            most = most.max(percent);
        }
    }
    println!("mean {:.2} %, most ever {most:.2} %", sum / options.rounds as f64);
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Looks like a key of a table: operator, table and key group, and what is all over the place.
fn key(n: u64) -> Vec<u8> {
    let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = 7u64.to_be_bytes().to_vec();
    key.extend_from_slice(&[0, 0, 0, (hash >> 57) as u8]);
    key.resize(KEY_BYTES - 8, 1);
    key.extend_from_slice(&hash.to_be_bytes());
    key
}

/// Writes entries anew; their values do not shrink by compression.
fn put(backend: &RocksBackend, numbers: impl Iterator<Item = u64>, round: u64) -> Result<(), Box<dyn Error>> {
    let mut batch = Batch::new();
    for n in numbers {
        let mut random = Random(n ^ round << 40 | 1);
        let value = |out: &mut Vec<u8>| (0..VALUE_BYTES / 8).for_each(|_| out.extend(random.next().to_le_bytes()));
        batch.put(round > 0, |out| out.extend(key(n)), value);
        if batch.len() as u64 == BATCH {
            backend.apply(&batch)?;
            batch.clear();
        }
    }
    Ok(backend.apply(&batch)?)
}

struct Written {
    new: u64,
    total: u64,
}

/// The bytes of a picture, and those of them that no picture before had.
fn picture(backend: &RocksBackend, home: &Path, known: &mut BTreeSet<String>) -> Result<Written, Box<dyn Error>> {
    let into = tempfile::tempdir_in(home)?;
    let files = backend.freeze()?.files(into.path())?;
    let is_new = |name: &str, is_shared: bool| !is_shared || !known.contains(name);
    let new = files.iter().filter(|f| is_new(&f.name, f.is_shared)).map(|f| f.size_bytes).sum();
    let total = files.iter().map(|f| f.size_bytes).sum();
    *known = files.into_iter().map(|f| f.name).collect();
    Ok(Written { new, total })
}

/// A multiplicative sequence, mixed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ self.0 >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 32
    }
}
