//! Scalar functions: DataFusion's and, before them, those that Flink users type.
//!
//! | file | holds |
//! |---|---|
//! | `call` | what a function of ours is: a row of a table, a body over columns |
//! | `datetime`, `time_units`, `string`, `regexp`, `json`, `conditional`, `math`, `encoding` | the functions by subject |
//! | `moment` | what time it is, and chance: functions bound to a moment that the evaluator sets |
//! | `parts`, `printf`, `charset` | more of strings: put together, formatted, as bytes |
//! | `json_build` | JSON out of values |
//! | `array`, `array_order`, `map` | collections |
//! | `subquery` | the value of a subquery |
//! | `rounding`, `type_name` | CEIL and FLOOR of numbers; TYPEOF |
//! | `series` | a limit to GENERATE_SERIES and RANGE |
//! | `text_form` | values of types that Arrow writes otherwise as SQL's text: what `CAST(… AS STRING)` gives |
//! | `postgres` | what has another meaning in Postgres, or is there alone |
//! | `calendar`, `date_pattern`, `instants`, `zone` | dates, Java's date patterns, time columns, time zones |
//!
//! A new function is one `Definition` in the file of its subject; the documentation is made from it.

mod array;
mod array_order;
mod calendar;
mod call;
mod charset;
mod conditional;
mod date_pattern;
mod datetime;
mod encoding;
mod instants;
mod json;
mod json_access;
mod json_build;
mod json_path;
mod map;
mod math;
mod moment;
mod page;
mod parts;
mod postgres;
mod printf;
mod regexp;
mod rounding;
mod series;
mod string;
mod subquery;
mod syntax;
#[cfg(test)]
mod tests;
mod text_form;
mod time_units;
mod type_name;
mod zone;

pub use calendar::add_months;
pub use moment::{Moment, Moments, at, depends_on_moment, is_clock, tells_time};
pub use page::documentation;
pub use postgres::{FunctionError, jsonb_as, read_jsonb, read_text as read_postgres_text, text as postgres_text};
pub use rounding::{checked_decimal, whole_part};
pub use series::{is_late, late};
pub use syntax::syntax_planner;
pub use text_form::{text_form, text_of};

pub use zone::Zone;

use datafusion_expr::ScalarUDF;
use std::sync::Arc;

/// What the results of some scalar functions depend on besides their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScalarSettings {
    /// Time zone of the session.
    pub time_zone: Zone,
    /// Whose meaning the functions have that several know by one name.
    pub meaning: Meaning,
}

/// Whose functions are meant by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Meaning {
    /// Flink's.
    #[default]
    Flink,
    /// PostgreSQL's where there is such a function, else Flink's.
    Postgres,
}

impl Default for ScalarSettings {
    fn default() -> Self {
        Self { time_zone: Zone::utc(), meaning: Meaning::Flink }
    }
}

/// All scalar functions that SQL can call, DataFusion's own included. Later entries win over earlier ones of
/// the same name or alias.
///
/// Strings are `Utf8` in and out, but for arguments of type `Utf8View`, which DataFusion's functions pass through.
pub fn all(settings: &ScalarSettings) -> Vec<Arc<ScalarUDF>> {
    let mut functions = datafusion_functions::all_default_functions();
    functions.extend(datafusion_functions_nested::all_default_nested_functions());
    functions.retain(|f| !NOT_HERE.contains(&f.name()));
    functions = functions.into_iter().map(series::limited).collect();
    functions.extend(
        definitions(settings.meaning).map(|d| Arc::new(ScalarUDF::from(call::Function::new(d, settings.time_zone)))),
    );
    if settings.meaning == Meaning::Postgres {
        functions.push(Arc::new(postgres::generate_series(settings.time_zone)));
        let named = |name: &str| functions.iter().rfind(|f| f.name() == name || f.aliases().iter().any(|a| a == name));
        let of_bytes = postgres::OVERLOADS.iter().filter_map(|d| named(d.name).map(|f| (d.name, f.clone())));
        let both: Vec<Arc<ScalarUDF>> =
            of_bytes.map(|(name, of_texts)| postgres::with_bytes(name, of_texts, settings.time_zone)).collect();
        functions.extend(both);
    }
    functions
}

/// Our functions; later ones win over earlier ones.
fn definitions(meaning: Meaning) -> impl DoubleEndedIterator<Item = &'static call::Definition> {
    let of_postgres = if meaning == Meaning::Postgres { postgres::SUBJECTS } else { &[] };
    SUBJECTS.iter().chain(of_postgres).flat_map(|(_, definitions)| definitions.iter())
}

/// Functions of DataFusion's that only its own file scans can compute, and those that read a clock or make randomness.
const NOT_HERE: [&str; 7] =
    ["input_file_name", "file_row_index", "now", "current_date", "current_time", "random", "uuid"];

/// Our functions by subject.
const SUBJECTS: &[(&str, &[call::Definition])] = &[
    ("Dates and times", datetime::FUNCTIONS),
    ("The moment: time and chance", moment::FUNCTIONS),
    ("Units of time", time_units::FUNCTIONS),
    ("Strings", string::FUNCTIONS),
    ("Texts out of parts", parts::FUNCTIONS),
    ("Formatting", printf::FUNCTIONS),
    ("Character sets", charset::FUNCTIONS),
    ("Regular expressions", regexp::FUNCTIONS),
    ("JSON", json::FUNCTIONS),
    ("Parts of JSON", json_access::FUNCTIONS),
    ("Making JSON", json_build::FUNCTIONS),
    ("Choosing", conditional::FUNCTIONS),
    ("Numbers", math::FUNCTIONS),
    ("Rounding", rounding::FUNCTIONS),
    ("Digests, encodings, URLs", encoding::FUNCTIONS),
    ("Arrays", array::FUNCTIONS),
    ("Arrays: order, parts, sums", array_order::FUNCTIONS),
    ("Maps", map::FUNCTIONS),
    ("Types", type_name::FUNCTIONS),
    ("Subqueries", subquery::FUNCTIONS),
];
