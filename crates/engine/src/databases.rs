//! The databases of a server: an instance each, so that they share nothing but the engine.
//!
//! ```text
//! <directory>/…                        the first database, `dev`, as [`crate::durable`] has it
//! <directory>/databases/<number>/name  what another one is called
//! <directory>/databases/<number>/…     the rest of it, a data directory of its own
//! ```
//! Which databases there are is what directories there are: one is made beside its place and moved there when it is whole, and moved away
//! before it is deleted. What a crash has left on either side is deleted at the next start.
//!
//! Not here: what is in a database ([`Instance`]).

use crate::error::state::{CORRUPTED, IO};
use crate::lock::lock;
use crate::{DataSettings, Engine, Instance};
use eddyline_catalog::FIRST_DATABASE;
use eddyline_planner::SqlError;
use eddyline_planner::statement::DatabaseStatement;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// SQLSTATE of what somebody uses.
const IN_USE: &str = "55006";
const DUPLICATE_DATABASE: &str = "42P04";
const UNKNOWN_DATABASE: &str = "3D000";
/// The file that tells what a database is called.
const NAME: &str = "name";
/// Bytes of a name, as in Postgres.
const NAME_BYTES_MAX: usize = 63;

/// The databases beside the first one, which has these.
#[derive(Default)]
pub(crate) struct Databases(Mutex<All>);

#[derive(Default)]
pub(crate) struct All {
    /// Where they are stored, if they are.
    stored: Option<DataSettings>,
    by_name: BTreeMap<String, Database>,
    /// No database has had this number, nor a higher one.
    next: u64,
}

struct Database {
    number: u64,
    instance: Instance,
}

impl Databases {
    pub(crate) fn all(&self) -> MutexGuard<'_, All> {
        lock(&self.0)
    }
}

impl All {
    /// Another database of this name.
    pub(crate) fn instance(&self, name: &str) -> Option<&Instance> {
        self.by_name.get(name).map(|database| &database.instance)
    }

    /// Those beside the first, in the order of their names.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Instance> {
        self.by_name.values().map(|database| &database.instance)
    }

    fn insert(&mut self, name: String, number: u64, instance: Instance) {
        self.next = self.next.max(number + 1);
        self.by_name.insert(name, Database { number, instance });
    }
}

/// Opens the databases beside the first, whose directory this is.
///
/// # Errors
/// One is damaged, or cannot be read.
pub(crate) fn open(engine: &Engine, first: &Instance, data: &DataSettings) -> Result<(), SqlError> {
    let mut all = first.databases().all();
    all.stored = Some(data.clone());
    let home = home(data);
    let entries = match fs::read_dir(&home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(&home, &error)),
    };
    for entry in entries {
        let path = entry.map_err(|e| io_error(&home, &e))?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
        match number {
            Some(number) => {
                let name = fs::read_to_string(path.join(NAME)).map_err(|e| io_error(&path.join(NAME), &e))?;
                let instance = engine.open_database(&name, settings_at(data, &path), Some(first))?;
                if all.by_name.contains_key(&name) {
                    let message = format!("{}: there are two databases {name}", home.display());
                    return Err(SqlError::new(CORRUPTED, message));
                }
                all.insert(name, number, instance);
            }
            // Half made, or half deleted.
            None => fs::remove_dir_all(&path).map_err(|e| io_error(&path, &e))?,
        }
    }
    Ok(())
}

impl Instance {
    /// What its database is called.
    pub fn name(&self) -> String {
        self.catalog().database().to_owned()
    }

    /// All databases: the first, then the others in the order of their names.
    pub fn all_databases(&self) -> Vec<Instance> {
        let first = self.first();
        let others: Vec<Instance> = first.databases().all().others().cloned().collect();
        std::iter::once(first).chain(others).collect()
    }

    /// The database of a name.
    ///
    /// # Errors
    /// There is none.
    pub fn database_named(&self, name: &str) -> Result<Instance, SqlError> {
        let first = self.first();
        if name == FIRST_DATABASE {
            return Ok(first);
        }
        let found = first.databases().all().instance(name).cloned();
        found.ok_or_else(|| unknown(name))
    }

    /// A database for a client who is there until this goes: as long, it is not dropped.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn connect(&self, name: &str) -> Result<(Instance, Connected), SqlError> {
        let first = self.first();
        // Nobody drops it between finding and counting.
        let all = first.databases().all();
        let found = match name {
            FIRST_DATABASE => Some(&first),
            name => all.instance(name),
        };
        let instance = found.ok_or_else(|| unknown(name))?.clone();
        let connected = Connected(instance.connections().clone());
        Ok((instance, connected))
    }

    /// CREATE and DROP DATABASE.
    ///
    /// # Errors
    /// A name that is taken, or that nothing has; somebody is connected; it cannot be stored.
    pub(crate) fn database_statement(&self, statement: &DatabaseStatement) -> Result<String, SqlError> {
        match statement {
            DatabaseStatement::Create { name, if_not_exists } => match self.create_database(name) {
                Err(error) if *if_not_exists && error.sqlstate == DUPLICATE_DATABASE => {
                    Ok(format!("database {name} exists already, left as it is"))
                }
                created => created.map(|()| format!("database {name} created")),
            },
            DatabaseStatement::Drop { name, if_exists } => match self.drop_database(name) {
                Err(error) if *if_exists && error.sqlstate == UNKNOWN_DATABASE => {
                    Ok(format!("database {name} does not exist, nothing dropped"))
                }
                dropped => dropped.map(|()| format!("database {name} dropped")),
            },
        }
    }

    fn create_database(&self, name: &str) -> Result<(), SqlError> {
        let first = self.first();
        let mut all = first.databases().all();
        if name == FIRST_DATABASE || all.by_name.contains_key(name) {
            return Err(SqlError::new(DUPLICATE_DATABASE, format!("database {name} exists already"))
                .with_hint("use another name, or CREATE DATABASE IF NOT EXISTS"));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let message = format!("the name of a database has 1 to {NAME_BYTES_MAX} bytes");
            return Err(SqlError::new("42622", message).with_hint("use a shorter one"));
        }
        let number = all.next;
        let instance = match &all.stored {
            Some(data) => {
                let place = make_directory(data, number, name)?;
                first.engine().open_database(name, settings_at(data, &place), Some(&first))?
            }
            None => first.engine().new_database(name, Some(&first)),
        };
        all.insert(name.to_owned(), number, instance);
        Ok(())
    }

    fn drop_database(&self, name: &str) -> Result<(), SqlError> {
        if *self.catalog().database() == *name {
            return Err(SqlError::new(IN_USE, "the database that one is connected to cannot be dropped")
                .with_hint("connect to another one first"));
        }
        if name == FIRST_DATABASE {
            let message = format!("database {name} is that of the server, and stays");
            return Err(SqlError::new("2BP01", message).with_hint("DROP what is in it"));
        }
        let first = self.first();
        let mut all = first.databases().all();
        let Some(Database { number, instance }) = all.by_name.get(name) else { return Err(unknown(name)) };
        // This one is counted in too.
        let others = Arc::strong_count(instance.connections()) - 1;
        if others > 0 {
            return Err(SqlError::new(IN_USE, format!("database {name} is being accessed by other users"))
                .with_detail(format!("connections: {others}"))
                .with_hint("wait until they have gone, or end them"));
        }
        instance.close()?;
        let stored = all.stored.clone().map(|data| (data, *number));
        all.by_name.remove(name);
        match stored {
            Some((data, number)) => delete_directory(&data, number),
            None => Ok(()),
        }
    }
}

/// Somebody is connected to a database as long as this lives.
pub struct Connected(#[expect(dead_code, reason = "it is counted")] Arc<()>);

fn unknown(name: &str) -> SqlError {
    SqlError::new(UNKNOWN_DATABASE, format!("database \"{name}\" does not exist"))
        .with_hint(format!("connect to database {FIRST_DATABASE}, or to another that SHOW DATABASES lists"))
}

fn home(data: &DataSettings) -> PathBuf {
    data.directory.join("databases")
}

fn settings_at(data: &DataSettings, directory: &Path) -> DataSettings {
    DataSettings { directory: directory.to_owned(), ..data.clone() }
}

/// The directory of a new database, with its name, durably.
fn make_directory(data: &DataSettings, number: u64, name: &str) -> Result<PathBuf, SqlError> {
    let home = home(data);
    let (half, place) = (home.join(format!("{number}.new")), home.join(number.to_string()));
    let made = || -> io::Result<()> {
        fs::create_dir_all(&half)?;
        let mut file = File::create(half.join(NAME))?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
        File::open(&half)?.sync_all()?;
        fs::rename(&half, &place)?;
        File::open(&home)?.sync_all()?;
        File::open(&data.directory)?.sync_all()
    };
    made().map_err(|e| io_error(&place, &e))?;
    Ok(place)
}

/// The database is gone when its directory has another name.
fn delete_directory(data: &DataSettings, number: u64) -> Result<(), SqlError> {
    let home = home(data);
    let (place, gone) = (home.join(number.to_string()), home.join(format!("{number}.gone")));
    let moved = fs::rename(&place, &gone).and_then(|()| File::open(&home)?.sync_all());
    moved.map_err(|e| io_error(&place, &e))?;
    // What stays is deleted at the next start.
    let _ = fs::remove_dir_all(&gone);
    Ok(())
}

fn io_error(path: &Path, error: &io::Error) -> SqlError {
    SqlError::new(IO, format!("{}: {error}", path.display()))
}
