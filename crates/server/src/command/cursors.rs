//! Statements of cursors: DECLARE, FETCH, MOVE, CLOSE.

use super::words::Word;
use eddyline_engine::SqlError;

/// What is to be done with a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// `FETCH … FROM name`: so many rows; `None` for all.
    Fetch(String, Option<usize>),
    /// `MOVE … FROM name`: the same, without the rows.
    Move(String, Option<usize>),
    /// `CLOSE name`; `None` for ALL.
    Close(Option<String>),
}

/// `DECLARE name … CURSOR … FOR`: what stands before the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    /// It outlives its transaction.
    pub(super) holds: bool,
    /// The byte at which the query begins.
    pub(super) query: usize,
}

/// Reads the words behind DECLARE; `None`: the cursor is of another kind, and is the engine's.
///
/// # Errors
/// A kind of cursor that there is not.
pub(super) fn declare(words: &[Word]) -> Result<Option<Declared>, SqlError> {
    let Some(name) = words.first() else { return Ok(None) };
    let mut holds = false;
    let mut is_cursor = false;
    for (at, word) in words.iter().enumerate().skip(1) {
        match word.name.as_str() {
            "cursor" => is_cursor = true,
            "hold" => holds = words[at - 1].name == "with",
            "with" | "without" | "insensitive" | "asensitive" | "no" => {}
            "scroll" if words[at - 1].name == "no" => {}
            "scroll" => {
                let message = "a cursor that goes backwards";
                return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint("leave SCROLL out"));
            }
            "binary" => {
                let message = "DECLARE … BINARY";
                let hint = "leave it out: the extended protocol asks for values in binary";
                return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(hint));
            }
            "for" if is_cursor => {
                let query = words.get(at + 1).map_or(usize::MAX, |word| word.begin);
                return Ok(Some(Declared { name: name.name.clone(), holds, query }));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Reads FETCH, MOVE and CLOSE; `None`: it is none.
///
/// # Errors
/// A direction that there is not.
pub(super) fn read(words: &[Word]) -> Result<Option<Cursor>, SqlError> {
    let Some((first, rest)) = words.split_first().filter(|(first, _)| !first.quoted) else { return Ok(None) };
    if first.name == "close" {
        let [name] = rest else { return Ok(None) };
        return Ok(Some(Cursor::Close((name.quoted || name.name != "all").then(|| name.name.clone()))));
    }
    if !matches!(first.name.as_str(), "fetch" | "move") {
        return Ok(None);
    }
    let Some((name, direction)) = rest.split_last() else { return Ok(None) };
    let direction: Vec<&str> = direction.iter().map(|word| word.name.as_str()).collect();
    let direction = direction.strip_suffix(&["from"]).or(direction.strip_suffix(&["in"])).unwrap_or(&direction);
    let count = match direction {
        [] | ["next" | "forward"] => Some(1),
        ["all"] | ["forward", "all"] => None,
        [number] | ["forward", number] => match number.parse() {
            Ok(number) => Some(number),
            Err(_) => return Err(backwards()),
        },
        _ => return Err(backwards()),
    };
    let name = name.name.clone();
    Ok(Some(if first.name == "fetch" { Cursor::Fetch(name, count) } else { Cursor::Move(name, count) }))
}

fn backwards() -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, "cursors go forward alone")
        .with_hint("write FETCH n FROM c, FETCH NEXT FROM c or FETCH ALL FROM c")
}
