//! One shape for all functions of ours: a row of a table ([`Definition`]) with a body over columns.
//!
//! A body sees its arguments as [`Arg`]s, which hide whether an argument is a column or a constant, and builds its
//! result with [`texts`], [`numbers`] or [`booleans`]: one loop over the rows, one monomorphic closure, no allocation
//! per row. A call with constants only is computed once.

use super::Zone;
use super::moment::{self, Moments};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, BooleanBuilder, PrimitiveArray,
    PrimitiveBuilder, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType, Field, FieldRef, Int64Type, IntervalUnit, TimeUnit};
use datafusion_common::{Result, ScalarValue, internal_err, plan_datafusion_err, plan_err};
use datafusion_expr::expr::Case;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::type_coercion::binary::type_union_resolution;
use datafusion_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// Anything that has a text: arrives as its text.
    AsText,
    /// A string or bytes, as they are.
    Bytes,
    /// Bytes; a string is read as it writes bytes.
    Binary,
    /// An integer: arrives as BIGINT.
    Int,
    /// A number: arrives as DOUBLE.
    Double,
    /// A number, as it is.
    Number,
    /// A condition.
    Bool,
    /// A date or timestamp, as it is.
    Time,
    /// A date or timestamp, as it is; a string is read as a timestamp.
    TimeOrText,
    /// A date, timestamp or time of day, as it is.
    Clock,
    /// An interval.
    Interval,
    /// An array; its elements have the common type of all elements and items of the call.
    List,
    /// Something like the elements of the arrays.
    Item,
    /// A string, or JSONB, as it is.
    Json,
    /// Anything, as it is.
    Any,
    /// Anything; all such arguments of a call arrive as their common type.
    Same,
    /// A number; all such arguments of a call arrive as their common type.
    SameNumber,
}

impl Kind {
    /// The type in which an argument of type `from` arrives.
    fn coerce(self, from: &DataType) -> Option<DataType> {
        let is_text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let is_null = from.is_null();
        let keep = |fits: bool, null: DataType| match (fits, is_null) {
            (true, _) => Some(from.clone()),
            (false, true) => Some(null),
            _ => None,
        };
        match self {
            Kind::Text => (is_text || is_null).then_some(DataType::Utf8),
            Kind::AsText => (!from.is_nested()).then_some(DataType::Utf8),
            Kind::Json if is_text => Some(match from {
                DataType::LargeUtf8 => DataType::LargeUtf8,
                _ => DataType::Utf8,
            }),
            Kind::Json => is_null.then_some(DataType::Utf8),
            Kind::Bytes if is_text => Some(DataType::Utf8),
            Kind::Bytes => keep(matches!(from, DataType::Binary), DataType::Utf8),
            Kind::Binary => (*from == DataType::Binary || is_text || is_null).then_some(DataType::Binary),
            Kind::Int => (from.is_integer() || is_null).then_some(DataType::Int64),
            Kind::Double => (from.is_numeric() || is_null).then_some(DataType::Float64),
            Kind::Number => keep(from.is_numeric(), DataType::Int64),
            Kind::Bool => keep(*from == DataType::Boolean, DataType::Boolean),
            Kind::TimeOrText if is_text => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
            Kind::Time | Kind::TimeOrText => keep(
                matches!(from, DataType::Timestamp(..) | DataType::Date32),
                DataType::Timestamp(TimeUnit::Millisecond, None),
            ),
            Kind::Clock => keep(
                matches!(from, DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_) | DataType::Time64(_)),
                DataType::Timestamp(TimeUnit::Millisecond, None),
            ),
            Kind::Interval => {
                let interval = DataType::Interval(IntervalUnit::MonthDayNano);
                keep(*from == interval, interval)
            }
            Kind::List => keep(matches!(from, DataType::List(_)), DataType::new_list(DataType::Null, true)),
            Kind::SameNumber => keep(from.is_numeric(), DataType::Int64),
            Kind::Item | Kind::Any | Kind::Same => Some(from.clone()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Text => "STRING",
            Kind::AsText => "a value with a text",
            Kind::Json => "JSON",
            Kind::Bytes => "STRING or BYTES",
            Kind::Int => "an integer",
            Kind::Double | Kind::Number | Kind::SameNumber => "a number",
            Kind::Bool => "BOOLEAN",
            Kind::Binary => "BYTES",
            Kind::Time | Kind::TimeOrText => "DATE or TIMESTAMP",
            Kind::Clock => "DATE, TIME or TIMESTAMP",
            Kind::Interval => "INTERVAL",
            Kind::List => "ARRAY",
            Kind::Item => "an element",
            Kind::Any | Kind::Same => "anything",
        }
    }
}

/// How the type of the result is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Returns {
    /// Always the same.
    Type(Type),
    /// From the types and constants of the arguments.
    From(fn(&Signed<'_>) -> Result<DataType>),
}

/// Types that can stand in a table of constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int,
    BigInt,
    Double,
    Bool,
    Date,
    Timestamp3,
    TimestampLtz3,
    Time0,
    Bytes,
    /// Texts that are known to be JSON in its one form.
    Jsonb,
}

impl Type {
    fn arrow(self) -> DataType {
        match self {
            Type::Text => DataType::Utf8,
            Type::Int => DataType::Int32,
            Type::BigInt => DataType::Int64,
            Type::Double => DataType::Float64,
            Type::Bool => DataType::Boolean,
            Type::Date => DataType::Date32,
            Type::Timestamp3 => DataType::Timestamp(TimeUnit::Millisecond, None),
            Type::TimestampLtz3 => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Type::Time0 => DataType::Time32(TimeUnit::Second),
            Type::Bytes => DataType::Binary,
            Type::Jsonb => DataType::LargeUtf8,
        }
    }
}

/// The arguments of a call as far as they are known when it is planned.
pub(super) struct Signed<'a> {
    pub(super) types: &'a [DataType],
    pub(super) constants: &'a [Option<&'a ScalarValue>],
}

impl Signed<'_> {
    /// The text of a constant argument.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        self.constants.get(at).copied().flatten().and_then(|v| v.try_as_str()).flatten()
    }
}

/// One function.
pub(super) struct Definition {
    /// Lower case.
    pub(super) name: &'static str,
    /// Other names.
    pub(super) aliases: &'static [&'static str],
    /// The argument lists that are allowed.
    pub(super) args: &'static [&'static [Kind]],
    /// Where more arguments of the last kind may follow.
    pub(super) variadic: bool,
    /// Type of the result.
    pub(super) returns: Returns,
    /// The body.
    pub(super) body: fn(&Call) -> Result<ArrayRef>,
    /// For the documentation.
    pub(super) page: Page,
}

/// A line of the documentation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// The call: names, types.
    pub(super) signature: &'static str,
    /// SQL type of the result.
    pub(super) result: &'static str,
    /// What it does and when it is NULL.
    pub(super) text: &'static str,
    /// A call and its result.
    pub(super) example: (&'static str, &'static str),
}

/// A function as DataFusion calls it.
#[derive(Debug)]
pub(super) struct Function {
    name: &'static str,
    definition: &'static Definition,
    aliases: Vec<String>,
    zone: Zone,
    signature: Signature,
    /// What a function of the moment is bound to.
    moments: Option<Arc<Moments>>,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    pub(super) fn new(definition: &'static Definition, zone: Zone) -> Self {
        Self {
            name: definition.name,
            definition,
            aliases: definition.aliases.iter().map(|a| (*a).to_owned()).collect(),
            zone,
            signature: Signature::user_defined(volatility(definition.name)),
            moments: None,
        }
    }

    /// The same function, bound to moments.
    pub(super) fn bound(&self, moments: Arc<Moments>) -> Self {
        Self { moments: Some(moments), ..Self::new(self.definition, self.zone) }
    }
}

fn volatility(name: &str) -> Volatility {
    if moment::of_the_moment(name) { Volatility::Volatile } else { Volatility::Immutable }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.definition, other.definition) && self.zone == other.zone
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.zone).hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        for kinds in self.definition.args {
            let count_fits = types.len() == kinds.len() || (self.definition.variadic && types.len() > kinds.len());
            if !count_fits {
                continue;
            }
            let kind = |at: usize| kinds.get(at).or(kinds.last()).copied().unwrap_or(Kind::Any);
            let coerced: Option<Vec<DataType>> = types.iter().enumerate().map(|(i, t)| kind(i).coerce(t)).collect();
            if let Some(coerced) = coerced.and_then(|types| unify(types, kind)) {
                return Ok(coerced);
            }
        }
        let allowed: Vec<String> = self
            .definition
            .args
            .iter()
            .map(|kinds| format!("({})", kinds.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ")))
            .collect();
        let given = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        plan_err!(
            "{} does not take ({given}); it takes {}. Usage: {}",
            self.name.to_uppercase(),
            allowed.join(" or "),
            self.definition.page.signature
        )
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match self.definition.returns {
            Returns::Type(t) => Ok(t.arrow()),
            Returns::From(find) => find(&Signed { types, constants: &[] }),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let data_type = match self.definition.returns {
            Returns::Type(t) => t.arrow(),
            Returns::From(find) => find(&Signed { types: &types, constants: args.scalar_arguments })?,
        };
        let nullable = !(moment::of_the_moment(self.name) && types.is_empty());
        Ok(Arc::new(Field::new(self.name, data_type, nullable)))
    }

    /// `IF` is a CASE and `IFNULL` a COALESCE: then only the branch that is taken is computed.
    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.name {
            "if" => {
                let [condition, value, other] = <[Expr; 3]>::try_from(args)
                    .map_err(|args| plan_datafusion_err!("IF takes 3 arguments, not {}", args.len()))?;
                let case = Case::new(None, vec![(Box::new(condition), Box::new(value))], Some(Box::new(other)));
                Ok(ExprSimplifyResult::Simplified(Expr::Case(case)))
            }
            "nvl" => Ok(ExprSimplifyResult::Simplified(datafusion_functions::core::coalesce().call(args))),
            _ => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn short_circuits(&self) -> bool {
        matches!(self.name, "if" | "nvl")
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let return_type = args.return_field.data_type().clone();
        let is_constant = !args.args.is_empty()
            && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)))
            && self.signature.volatility == Volatility::Immutable
            || moment::same_in_all_rows(self.name);
        let rows = if is_constant { 1 } else { args.number_rows };
        let mut values = Vec::with_capacity(args.args.len());
        for value in &args.args {
            values.push(match value {
                ColumnarValue::Array(array) => (array.clone(), false),
                ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
            });
        }
        let nullable = args.arg_fields.iter().map(|f| f.is_nullable()).collect();
        let (zone, moments) = (self.zone, self.moments.clone());
        let call = Call { name: self.name, args: values, nullable, rows, zone, return_type, moments };
        let mut result = (self.definition.body)(&call)?;
        if call.return_type == DataType::LargeUtf8 && *result.data_type() == DataType::Utf8 {
            // JSONB is written as any text is.
            result = cast(&result, &DataType::LargeUtf8)?;
        }
        if result.data_type() != &call.return_type || result.len() != rows {
            return internal_err!("{} made {} rows of {}", self.name, result.len(), result.data_type());
        }
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// Gives all arguments of the kinds that must be the same their common type; `None` if there is none.
fn unify(types: Vec<DataType>, kind: impl Fn(usize) -> Kind) -> Option<Vec<DataType>> {
    let types = unify_elements(types, &kind)?;
    unify_same(types, kind)
}

/// Gives the elements of all arrays, and all items, their common type.
fn unify_elements(mut types: Vec<DataType>, kind: impl Fn(usize) -> Kind) -> Option<Vec<DataType>> {
    let element = |at: usize, t: &DataType| match (kind(at), t) {
        (Kind::List, DataType::List(field)) => Some(field.data_type().clone()),
        (Kind::Item, other) => Some(other.clone()),
        _ => None,
    };
    let all: Vec<DataType> = types.iter().enumerate().filter_map(|(at, t)| element(at, t)).collect();
    if all.is_empty() {
        return Some(types);
    }
    let known: Vec<DataType> = all.iter().filter(|t| !t.is_null()).cloned().collect();
    let common = match known.as_slice() {
        [] => DataType::Null,
        [one] => one.clone(),
        _ => type_union_resolution(&known)?,
    };
    let common = match common {
        DataType::Utf8View => DataType::Utf8,
        other => other,
    };
    for (at, t) in types.iter_mut().enumerate() {
        match kind(at) {
            Kind::List => *t = DataType::new_list(common.clone(), true),
            Kind::Item => *t = common.clone(),
            _ => {}
        }
    }
    Some(types)
}

fn unify_same(mut types: Vec<DataType>, kind: impl Fn(usize) -> Kind) -> Option<Vec<DataType>> {
    let is_same = |at: &usize| matches!(kind(*at), Kind::Same | Kind::SameNumber);
    let same: Vec<usize> = (0..types.len()).filter(is_same).collect();
    if same.is_empty() {
        return Some(types);
    }
    let all: Vec<DataType> = same.iter().map(|at| types[*at].clone()).collect();
    let common = match type_union_resolution(&all)? {
        DataType::Utf8View => DataType::Utf8,
        other => other,
    };
    same.iter().for_each(|at| types[*at] = common.clone());
    Some(types)
}

/// A call on a batch.
pub(super) struct Call {
    name: &'static str,
    args: Vec<(ArrayRef, bool)>,
    nullable: Vec<bool>,
    /// Number of rows of the result.
    pub(super) rows: usize,
    /// Time zone of the session.
    pub(super) zone: Zone,
    /// Type of the result.
    pub(super) return_type: DataType,
    /// The moment, of a function that is bound to one.
    pub(super) moments: Option<Arc<Moments>>,
}

impl Call {
    /// Name in SQL, for errors.
    pub(super) fn sql_name(&self) -> String {
        self.name.to_uppercase()
    }

    /// Number of arguments.
    pub(super) fn len(&self) -> usize {
        self.args.len()
    }

    /// May an argument be NULL, as far as its type says?
    pub(super) fn is_nullable(&self, at: usize) -> bool {
        self.nullable.get(at).copied().unwrap_or(true)
    }

    /// An argument and whether it is a constant (then it has one row).
    pub(super) fn raw(&self, at: usize) -> (&ArrayRef, bool) {
        (&self.args[at].0, self.args[at].1)
    }

    /// An argument, constants repeated for every row.
    pub(super) fn column(&self, at: usize) -> Result<ArrayRef> {
        let (array, constant) = self.raw(at);
        if constant && self.rows != 1 {
            return ScalarValue::try_from_array(array, 0)?.to_array_of_size(self.rows);
        }
        Ok(array.clone())
    }

    /// The same call with an argument that is JSONB as a string.
    pub(super) fn with_text(&self, at: usize) -> Result<Self> {
        let mut args = self.args.clone();
        args[at].0 = cast(&args[at].0, &DataType::Utf8)?;
        let (nullable, return_type, moments) = (self.nullable.clone(), self.return_type.clone(), self.moments.clone());
        Ok(Self { args, nullable, return_type, moments, ..*self })
    }

    /// A string argument.
    pub(super) fn text(&self, at: usize) -> Arg<'_, StringArray> {
        let (array, constant) = self.raw(at);
        Arg { array: array.as_string::<i32>(), constant }
    }

    /// A string argument that may be left out.
    pub(super) fn optional_text(&self, at: usize) -> Option<Arg<'_, StringArray>> {
        (at < self.len()).then(|| self.text(at))
    }

    /// An integer argument.
    pub(super) fn int(&self, at: usize) -> Arg<'_, PrimitiveArray<Int64Type>> {
        self.number::<Int64Type>(at)
    }

    /// A number of a given type.
    pub(super) fn number<T: ArrowPrimitiveType>(&self, at: usize) -> Arg<'_, PrimitiveArray<T>> {
        let (array, constant) = self.raw(at);
        Arg { array: array.as_primitive::<T>(), constant }
    }

    /// Bytes.
    pub(super) fn bytes(&self, at: usize) -> Arg<'_, BinaryArray> {
        let (array, constant) = self.raw(at);
        Arg { array: array.as_binary::<i32>(), constant }
    }

    /// A condition.
    pub(super) fn boolean(&self, at: usize) -> Arg<'_, BooleanArray> {
        let (array, constant) = self.raw(at);
        Arg { array: array.as_boolean(), constant }
    }
}

/// An argument: a column, or a constant that is the same in every row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arg<'a, A> {
    /// The values; one if it is a constant.
    pub(super) array: &'a A,
    /// Is it a constant?
    pub(super) constant: bool,
}

impl<'a, A: Array> Arg<'a, A> {
    #[inline(always)]
    fn index(&self, row: usize) -> Option<usize> {
        let at = if self.constant { 0 } else { row };
        self.array.is_valid(at).then_some(at)
    }
}

impl<'a> Arg<'a, StringArray> {
    /// The string in a row, `None` for NULL.
    #[inline(always)]
    pub(super) fn at(&self, row: usize) -> Option<&'a str> {
        self.index(row).map(|at| self.array.value(at))
    }
}

impl<'a> Arg<'a, BinaryArray> {
    /// The bytes in a row, `None` for NULL.
    #[inline(always)]
    pub(super) fn at(&self, row: usize) -> Option<&'a [u8]> {
        self.index(row).map(|at| self.array.value(at))
    }
}

impl<T: ArrowPrimitiveType> Arg<'_, PrimitiveArray<T>> {
    /// The number in a row, `None` for NULL.
    #[inline(always)]
    pub(super) fn at(&self, row: usize) -> Option<T::Native> {
        self.index(row).map(|at| self.array.value(at))
    }
}

impl Arg<'_, BooleanArray> {
    /// The condition in a row, `None` for NULL.
    #[inline(always)]
    pub(super) fn at(&self, row: usize) -> Option<bool> {
        self.index(row).map(|at| self.array.value(at))
    }
}

/// A column of strings: `row` writes one and returns true, or returns false, having written nothing, for NULL.
pub(super) fn texts(rows: usize, mut row: impl FnMut(usize, &mut StringBuilder) -> Result<bool>) -> Result<ArrayRef> {
    let mut out = StringBuilder::with_capacity(rows, rows * 16);
    for i in 0..rows {
        if row(i, &mut out)? {
            out.append_value("");
        } else {
            out.append_null();
        }
    }
    Ok(Arc::new(out.finish()))
}

/// A column of numbers.
pub(super) fn numbers<T: ArrowPrimitiveType>(
    rows: usize,
    mut row: impl FnMut(usize) -> Result<Option<T::Native>>,
) -> Result<ArrayRef>
where
    T::Native: ArrowNativeType,
{
    let mut out = PrimitiveBuilder::<T>::with_capacity(rows);
    for i in 0..rows {
        out.append_option(row(i)?);
    }
    Ok(Arc::new(out.finish()))
}

/// A column of conditions.
pub(super) fn booleans(rows: usize, mut row: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
    let mut out = BooleanBuilder::with_capacity(rows);
    for i in 0..rows {
        out.append_option(row(i)?);
    }
    Ok(Arc::new(out.finish()))
}

/// Compiled patterns (formats, regular expressions, paths) of a thread, by their text.
pub(super) type Cache<T> = RefCell<HashMap<String, Rc<T>>>;

/// More patterns than that are not constants of queries but data: the cache is then emptied.
const CACHE_MAX: usize = 256;

/// The compiled form of a pattern argument: of a constant it is looked up once a batch.
pub(super) struct Patterns<'a, T: 'static> {
    arg: Arg<'a, StringArray>,
    cache: &'static std::thread::LocalKey<Cache<T>>,
    compile: fn(&str) -> Result<T>,
    current: Option<Rc<T>>,
}

impl<'a, T> Patterns<'a, T> {
    pub(super) fn new(
        arg: Arg<'a, StringArray>,
        cache: &'static std::thread::LocalKey<Cache<T>>,
        compile: fn(&str) -> Result<T>,
    ) -> Self {
        Self { arg, cache, compile, current: None }
    }

    /// True when all rows have the same pattern.
    pub(super) fn is_constant(&self) -> bool {
        self.arg.constant
    }

    /// The pattern of a row, `None` for NULL.
    #[inline]
    pub(super) fn at(&mut self, row: usize) -> Result<Option<&T>> {
        if self.current.is_none() || !self.arg.constant {
            let Some(text) = self.arg.at(row) else { return Ok(None) };
            self.current = Some(compiled(self.cache, text, self.compile)?);
        }
        Ok(self.current.as_deref())
    }
}

fn compiled<T>(
    cache: &'static std::thread::LocalKey<Cache<T>>,
    text: &str,
    compile: fn(&str) -> Result<T>,
) -> Result<Rc<T>> {
    if let Some(known) = cache.with_borrow(|c| c.get(text).cloned()) {
        return Ok(known);
    }
    let made = Rc::new(compile(text)?);
    cache.with_borrow_mut(|c| {
        if c.len() >= CACHE_MAX {
            c.clear();
        }
        c.insert(text.to_owned(), made.clone());
    });
    Ok(made)
}
