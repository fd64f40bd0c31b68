//! One random case per seed: tables, changes, a query, the way it is cut and the number of shards.

use crate::check::{Case, check};
use crate::random::{self, Shape};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// What kind of queries to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Queries over two tables, one of which takes rows back.
    Relational,
    /// The same, one of them a table whose rows replace each other by key.
    Upserts,
    /// Windows over a table that only grows, emitted when they close.
    WindowsClosed,
    /// The same, emitted early and corrected.
    WindowsEarly,
    /// Sessions of a table that only grows, emitted when they close.
    SessionsClosed,
    /// Sessions of a table, which takes rows back in every other case, emitted early and corrected.
    SessionsEarly,
    /// Filters on the time now, over two tables, one of which takes rows back.
    Timed,
    /// Subqueries that refer to the queries around them, over two tables, one of which takes rows back.
    Correlated,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Relational,
        Self::Upserts,
        Self::WindowsClosed,
        Self::WindowsEarly,
        Self::SessionsClosed,
        Self::SessionsEarly,
        Self::Timed,
        Self::Correlated,
    ];
}

/// Runs the case of `seed`.
///
/// # Errors
/// What differs from the batch answer, with the seed, the query and the rows.
pub fn run(kind: Kind, seed: u64) -> Result<(), String> {
    check(&made(kind, seed))
}

/// The case of `seed`, which need not fail.
pub fn made(kind: Kind, seed: u64) -> Case {
    let mut rng = StdRng::seed_from_u64(seed);
    let shards = [1, 2, 4][(seed % 3) as usize];
    let (tables, shape) = match kind {
        Kind::Relational | Kind::Timed => {
            let shape = if kind == Kind::Timed { Shape::Timed } else { Shape::Relational };
            (vec![random::table(&mut rng, "t", true, 24), random::table(&mut rng, "u", false, 24)], shape)
        }
        Kind::Correlated => {
            (vec![random::table(&mut rng, "t", true, 10), random::table(&mut rng, "u", false, 8)], Shape::Correlated)
        }
        Kind::Upserts => {
            (vec![random::keyed_table(&mut rng, "t", 30), random::table(&mut rng, "u", true, 20)], Shape::Relational)
        }
        Kind::WindowsClosed | Kind::WindowsEarly => (vec![random::table(&mut rng, "t", false, 40)], Shape::Windowed),
        Kind::SessionsClosed => (vec![random::table(&mut rng, "t", false, 40)], Shape::Sessions),
        Kind::SessionsEarly => {
            let takes_back = seed.is_multiple_of(2);
            (vec![random::table(&mut rng, "t", takes_back, 40)], Shape::Sessions)
        }
    };
    let names: Vec<&str> = tables.iter().map(|t| t.name.as_str()).collect();
    let query = random::query(&mut rng, shape, &names);
    Case { seed, shards, tables, query, on_update: matches!(kind, Kind::WindowsEarly | Kind::SessionsEarly) }
}
