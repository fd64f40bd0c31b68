//! What time it is, and chance: functions whose value does not come from their arguments.
//!
//! Nobody here reads a clock or makes randomness. Whoever evaluates expressions owns [`Moments`], binds the expressions to them once ([`at`])
//! and sets them before every batch. All rows of a batch have one time; every evaluation draws other numbers.
//! An expression that is not bound cannot be evaluated if it holds such a function.

use super::calendar::DAY_SECONDS;
use super::call::{Call, Definition, Function, Kind, Page, Returns, Type, numbers, texts};
use arrow::array::ArrayRef;
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Schema, Time32SecondType, TimestampMillisecondType,
};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ScalarUDF, ScalarUDFImpl};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::any::Any;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the evaluation of a batch may know of the world outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub wall_ms: i64,
    /// Where chance comes from; another one for every batch.
    pub seed: u128,
}

/// The moment at which the expressions bound to it are evaluated. One per evaluator: never shared between threads
/// that set it.
#[derive(Debug, Default)]
pub struct Moments(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    moment: Moment,
    /// How often chance was asked since the moment was set.
    draws: u64,
}

impl Moments {
    /// Moments that stand at `moment`.
    pub fn standing_at(moment: Moment) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Standing { moment, draws: 0 })))
    }

    /// Moves on to `moment`.
    pub fn set(&self, moment: Moment) {
        *self.lock() = Standing { moment, draws: 0 };
    }

    fn wall_ms(&self) -> i64 {
        self.lock().moment.wall_ms
    }

    /// Numbers that nobody else draws.
    fn random(&self) -> StdRng {
        let mut standing = self.lock();
        standing.draws += 1;
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&standing.moment.seed.to_le_bytes());
        seed[16..24].copy_from_slice(&standing.draws.to_le_bytes());
        StdRng::from_seed(seed)
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The expression, bound to `moments` where it depends on them.
pub fn at(expression: &Arc<dyn PhysicalExpr>, moments: &Arc<Moments>) -> Arc<dyn PhysicalExpr> {
    let bound = expression.clone().transform_up(|e| {
        let Some(call) = e.downcast_ref::<ScalarFunctionExpr>() else { return Ok(Transformed::no(e)) };
        let Some(function) = bound(call.fun(), moments) else { return Ok(Transformed::no(e)) };
        let (field, function) = (call.return_field(&Schema::empty())?, Arc::new(function));
        let config = Arc::new(call.config_options().clone());
        let call = ScalarFunctionExpr::new(call.name(), function, call.args().to_vec(), field, config);
        Ok(Transformed::yes(Arc::new(call)))
    });
    bound.expect("a function is replaced by one of the same type").data
}

/// A function of the moment, bound to it.
pub(super) fn bound(function: &ScalarUDF, moments: &Arc<Moments>) -> Option<ScalarUDF> {
    let function = of_ours(function).filter(|f| of_the_moment(f.name()))?;
    Some(ScalarUDF::from(function.bound(moments.clone())))
}

/// Does the expression depend on the moment at which it is evaluated?
pub fn depends_on_moment(expression: &Arc<dyn PhysicalExpr>) -> bool {
    let depends = |e: &Arc<dyn PhysicalExpr>| {
        e.downcast_ref::<ScalarFunctionExpr>()
            .is_some_and(|f| of_ours(f.fun()).is_some_and(|f| of_the_moment(f.name())))
    };
    expression.exists(|e| Ok(depends(e))).unwrap_or(true)
}

/// Does the expression tell the time?
pub fn tells_time(expression: &Arc<dyn PhysicalExpr>) -> bool {
    expression.exists(|e| Ok(e.downcast_ref::<ScalarFunctionExpr>().is_some_and(|f| is_clock(f.fun())))).unwrap_or(true)
}

/// Is it a function that tells the time?
pub fn is_clock(function: &ScalarUDF) -> bool {
    of_ours(function).is_some_and(|f| CLOCK.contains(&f.name()))
}

fn of_ours(function: &ScalarUDF) -> Option<&Function> {
    let function: &dyn Any = function.inner().as_ref();
    function.downcast_ref::<Function>()
}

const CLOCK: [&str; 4] = ["now", "localtimestamp", "localtime", "current_date"];
const CHANCE: [&str; 3] = ["rand", "rand_integer", "uuid"];

/// Does the function of this name depend on the moment?
pub(super) fn of_the_moment(name: &str) -> bool {
    CLOCK.contains(&name) || CHANCE.contains(&name)
}

/// Has the function of this name the same value in all rows of a batch?
pub(super) fn same_in_all_rows(name: &str) -> bool {
    CLOCK.contains(&name)
}

const fn clock(
    name: &'static str,
    aliases: &'static [&'static str],
    returns: Type,
    body: fn(&Call) -> Result<ArrayRef>,
    page: Page,
) -> Definition {
    Definition { name, aliases, args: &[&[]], variadic: false, returns: Returns::Type(returns), body, page }
}

/// Functions of the moment.
pub(super) const FUNCTIONS: &[Definition] = &[
    clock(
        "now",
        &["current_timestamp", "current_row_timestamp", "proctime"],
        Type::TimestampLtz3,
        now,
        Page {
            signature: "NOW()",
            result: "TIMESTAMP_LTZ(3)",
            text: "The time at which the row is computed. CURRENT_TIMESTAMP and CURRENT_ROW_TIMESTAMP may stand without brackets.",
            example: ("NOW() IS NULL", "FALSE"),
        },
    ),
    clock(
        "localtimestamp",
        &[],
        Type::Timestamp3,
        local_timestamp,
        Page {
            signature: "LOCALTIMESTAMP",
            result: "TIMESTAMP(3)",
            text: "The time at which the row is computed, on the clocks of the session.",
            example: ("LOCALTIMESTAMP IS NULL", "FALSE"),
        },
    ),
    clock(
        "localtime",
        &["current_time"],
        Type::Time0,
        local_time,
        Page {
            signature: "LOCALTIME",
            result: "TIME(0)",
            text: "The time of day at which the row is computed, on the clocks of the session.",
            example: ("LOCALTIME IS NULL", "FALSE"),
        },
    ),
    clock(
        "current_date",
        &["today"],
        Type::Date,
        current_date,
        Page {
            signature: "CURRENT_DATE",
            result: "DATE",
            text: "The day on which the row is computed, in the calendar of the session's time zone.",
            example: ("CURRENT_DATE IS NULL", "FALSE"),
        },
    ),
    clock(
        "rand",
        &["random"],
        Type::Double,
        rand,
        Page {
            signature: "RAND()",
            result: "DOUBLE",
            text: "A random number from 0 on, less than 1, another one in every row.",
            example: ("RAND() < 1", "TRUE"),
        },
    ),
    Definition {
        name: "rand_integer",
        aliases: &[],
        args: &[&[Kind::Int]],
        variadic: false,
        returns: Returns::Type(Type::Int),
        body: rand_integer,
        page: Page {
            signature: "RAND_INTEGER(bound INT)",
            result: "INT",
            text: "A random number from 0 on, less than the bound, another one in every row. NULL if the bound is NULL.",
            example: ("RAND_INTEGER(1)", "0"),
        },
    },
    clock(
        "uuid",
        &[],
        Type::Text,
        uuid,
        Page {
            signature: "UUID()",
            result: "STRING",
            text: "A random UUID (RFC 9562, version 4), another one in every row.",
            example: ("CHAR_LENGTH(UUID())", "36"),
        },
    ),
];

fn moments(call: &Call) -> Result<&Arc<Moments>> {
    match &call.moments {
        Some(moments) => Ok(moments),
        None => exec_err!("{} is not available here", call.sql_name()),
    }
}

/// The same value in every row.
fn same<T: ArrowPrimitiveType>(call: &Call, value: T::Native) -> Result<ArrayRef> {
    let array = arrow::array::PrimitiveArray::<T>::from_value(value, call.rows);
    Ok(Arc::new(array.with_data_type(call.return_type.clone())))
}

fn now(call: &Call) -> Result<ArrayRef> {
    same::<TimestampMillisecondType>(call, moments(call)?.wall_ms())
}

/// What clocks of the session show, in milliseconds.
fn local_ms(call: &Call) -> Result<i64> {
    let ms = moments(call)?.wall_ms();
    Ok(ms.saturating_add(call.zone.offset_seconds(ms.div_euclid(1000)) * 1000))
}

fn local_timestamp(call: &Call) -> Result<ArrayRef> {
    same::<TimestampMillisecondType>(call, local_ms(call)?)
}

fn local_time(call: &Call) -> Result<ArrayRef> {
    let seconds = local_ms(call)?.div_euclid(1000).rem_euclid(DAY_SECONDS);
    same::<Time32SecondType>(call, seconds as i32)
}

fn current_date(call: &Call) -> Result<ArrayRef> {
    let days = local_ms(call)?.div_euclid(1000 * DAY_SECONDS);
    same::<Date32Type>(call, i32::try_from(days).unwrap_or(i32::MAX))
}

fn rand(call: &Call) -> Result<ArrayRef> {
    let mut random = moments(call)?.random();
    numbers::<Float64Type>(call.rows, |_| Ok(Some(random.random())))
}

fn rand_integer(call: &Call) -> Result<ArrayRef> {
    let mut random = moments(call)?.random();
    let bound = call.int(0);
    numbers::<Int32Type>(call.rows, |row| match bound.at(row) {
        Some(bound) if bound < 1 || bound > i64::from(i32::MAX) => {
            exec_err!("RAND_INTEGER: the bound is from 1 to {}, not {bound}", i32::MAX)
        }
        bound => Ok(bound.map(|bound| random.random_range(0..bound as i32))),
    })
}

fn uuid(call: &Call) -> Result<ArrayRef> {
    let mut random = moments(call)?.random();
    texts(call.rows, |_, out| {
        // Version 4, variant 10 (RFC 9562, 5.4).
        let (high, low): (u64, u64) = (random.random(), random.random());
        let high = high & !0xf000 | 0x4000;
        let low = low & !(0b11 << 62) | 0b10 << 62;
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        let (d, e) = (low >> 48, low & 0xffff_ffff_ffff);
        Ok(write!(out, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}").is_ok())
    })
}
