//! Columns of the types that the server tells, made of the texts that it sends. What does not read as its type stays a text.

use eddyline_engine::arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, PrimitiveArray, StringArray,
};
use eddyline_engine::arrow::buffer::{NullBuffer, OffsetBuffer};
use eddyline_engine::arrow::compute::kernels::cast_utils::parse_decimal;
use eddyline_engine::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, Decimal128Type, Field, Float32Type, Float64Type, Int64Type,
};
use std::str::FromStr;
use std::sync::Arc;
use tokio_postgres::types::{Kind, Type};

/// The cells of a column of a type; `None`: they stay texts.
pub(super) fn column(of: &Type, cells: &[Option<&str>]) -> Option<ArrayRef> {
    match *of {
        Type::INT2 | Type::INT4 | Type::INT8 => numbers::<Int64Type>(cells),
        Type::FLOAT4 => numbers::<Float32Type>(cells),
        Type::FLOAT8 => numbers::<Float64Type>(cells),
        Type::NUMERIC => decimals(cells),
        Type::BOOL => Some(Arc::new(cells.iter().map(|cell| cell.map(|text| text == "t")).collect::<BooleanArray>())),
        _ => match of.kind() {
            Kind::Array(item) => lists(of, item, cells),
            _ => None,
        },
    }
}

fn numbers<T>(cells: &[Option<&str>]) -> Option<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: FromStr,
{
    let read = |cell: &Option<&str>| cell.map(str::parse::<T::Native>).transpose().ok();
    let cells = cells.iter().map(read).collect::<Option<Vec<_>>>()?;
    Some(Arc::new(cells.into_iter().collect::<PrimitiveArray<T>>()))
}

/// With as many digits as the server has sent.
fn decimals(cells: &[Option<&str>]) -> Option<ArrayRef> {
    let digits = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let scale = i8::try_from(cells.iter().flatten().copied().map(digits).max().unwrap_or(0)).ok()?;
    // NaN and infinities are numbers there.
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.');
    let read = |cell: &Option<&str>| match cell {
        None => Some(None),
        Some(text) if !is_plain(text) => None,
        Some(text) => parse_decimal::<Decimal128Type>(text, DECIMAL128_MAX_PRECISION, scale).ok().map(Some),
    };
    let cells = cells.iter().map(read).collect::<Option<Vec<_>>>()?;
    let column = cells.into_iter().collect::<PrimitiveArray<Decimal128Type>>();
    Some(Arc::new(column.with_precision_and_scale(DECIMAL128_MAX_PRECISION, scale).ok()?))
}

/// Arrays; the items of one with several dimensions are arrays of the same type.
fn lists(of: &Type, item: &Type, cells: &[Option<&str>]) -> Option<ArrayRef> {
    let lists = cells.iter().map(|cell| cell.map(items).map_or(Some(None), |items| items.map(Some)));
    let lists = lists.collect::<Option<Vec<Option<Vec<Item>>>>>()?;
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)));
    let nulls: NullBuffer = lists.iter().map(Option::is_some).collect();
    let all: Vec<&Item> = lists.iter().flatten().flatten().collect();
    let is_nested = all.iter().any(|item| item.is_array);
    let texts: Vec<Option<&str>> = all.iter().map(|item| item.text.as_deref()).collect();
    let values = column(if is_nested { of } else { item }, &texts);
    let values = values.unwrap_or_else(|| Arc::new(StringArray::from(texts)));
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Some(Arc::new(ListArray::try_new(field, offsets, values, Some(nulls)).ok()?))
}

/// An item of an array.
#[derive(Debug, PartialEq)]
struct Item {
    /// `None`: it is NULL.
    text: Option<String>,
    is_array: bool,
}

/// The items of `{a,"b c",NULL,{…}}`. `None`: it is no such text.
fn items(text: &str) -> Option<Vec<Item>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let (mut found, mut chars) = (Vec::new(), inner.chars().peekable());
    while chars.peek().is_some() {
        let (mut item, mut depth, mut is_quoted, is_array) = (String::new(), 0, false, chars.peek() == Some(&'{'));
        while let Some(c) = chars.next_if(|c| depth > 0 || *c != ',') {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                '"' => {
                    is_quoted = true;
                    if is_array {
                        item.push(c);
                    }
                    loop {
                        match chars.next()? {
                            '"' => break,
                            '\\' if is_array => item.extend(['\\', chars.next()?]),
                            '\\' => item.push(chars.next()?),
                            c => item.push(c),
                        }
                    }
                }
                _ => {}
            }
            if c != '"' || is_array {
                item.push(c);
            }
        }
        let is_null = !is_quoted && item == "NULL";
        found.push(Item { text: (!is_null).then_some(item), is_array });
        // Behind the comma.
        chars.next();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_engine::arrow::util::display::array_value_to_string;

    fn shown(of: Type, cells: &[Option<&str>]) -> Vec<String> {
        let column = column(&of, cells).expect("it reads");
        (0..cells.len()).map(|row| array_value_to_string(&column, row).expect("a text")).collect()
    }

    #[test]
    fn arrays_are_read() {
        assert_eq!(shown(Type::INT4_ARRAY, &[Some("{1,NULL,3}"), None, Some("{}")]), ["[1, , 3]", "", "[]"]);
        assert_eq!(shown(Type::INT8_ARRAY, &[Some("{{1,2},{3}}")]), ["[[1, 2], [3]]"]);
        assert_eq!(
            shown(Type::TEXT_ARRAY, &[Some(r#"{a,"b, c","say \"x\"",NULL,"NULL",""}"#)]),
            [r#"[a, b, c, say "x", , NULL, ]"#]
        );
        assert_eq!(shown(Type::TEXT_ARRAY, &[Some(r#"{{"a,}",b},{c,NULL}}"#)]), ["[[a,}, b], [c, ]]"]);
        assert_eq!(shown(Type::NUMERIC_ARRAY, &[Some("{1.5,-2.25}")]), ["[1.50, -2.25]"]);
    }

    #[test]
    fn numbers_have_the_digits_that_were_sent() {
        assert_eq!(
            shown(Type::NUMERIC, &[Some("1.50"), None, Some("-12345678901234567890.25")]),
            ["1.50", "", "-12345678901234567890.25"]
        );
        assert!(column(&Type::NUMERIC, &[Some("NaN")]).is_none());
        assert!(column(&Type::INT4, &[Some("x")]).is_none());
    }
}
