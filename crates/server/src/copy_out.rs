//! COPY … TO STDOUT: rows in the formats `text` and `csv` of Postgres.

use crate::copy::{CopyFormat, Header};
use crate::rows::Rows;
use bytes::{BufMut, BytesMut};

/// Rows on their way, and how they are written.
pub(crate) struct CopyOut {
    pub(crate) rows: Rows,
    pub(crate) format: CopyFormat,
}

/// The line of names, if there is to be one.
pub(crate) fn header(names: &[String], format: &CopyFormat) -> Option<BytesMut> {
    (format.header != Header::None).then(|| {
        let mut line = BytesMut::new();
        for (at, name) in names.iter().enumerate() {
            cell(&mut line, at, names.len(), Some(name.as_bytes()), format);
        }
        line.put_u8(b'\n');
        line
    })
}

/// Adds a cell to a line; `None` is NULL.
pub(crate) fn cell(line: &mut BytesMut, at: usize, width: usize, value: Option<&[u8]>, format: &CopyFormat) {
    if at > 0 {
        line.put_u8(format.delimiter);
    }
    match value {
        None => line.put_slice(format.null.as_bytes()),
        Some(value) if format.is_csv => quoted(line, value, width, format),
        Some(value) => escaped(line, value, format.delimiter),
    }
}

/// Of the format `text`: signs that mean something stand behind a backslash.
fn escaped(line: &mut BytesMut, value: &[u8], delimiter: u8) {
    for byte in value {
        let letter = match byte {
            b'\\' => b'\\',
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            byte if *byte == delimiter => *byte,
            byte => {
                line.put_u8(*byte);
                continue;
            }
        };
        line.put_slice(&[b'\\', letter]);
    }
}

/// Of the format `csv`: what could be read as something else stands in quotes.
fn quoted(line: &mut BytesMut, value: &[u8], width: usize, format: &CopyFormat) {
    let special = |byte: &u8| *byte == format.delimiter || *byte == format.quote || matches!(byte, b'\n' | b'\r');
    // Alone on a line, `\.` would be its end.
    let is_end = width == 1 && value == b"\\.";
    if !value.iter().any(special) && value != format.null.as_bytes() && !is_end {
        return line.put_slice(value);
    }
    line.put_u8(format.quote);
    for byte in value {
        if *byte == format.quote || *byte == format.escape {
            line.put_u8(format.escape);
        }
        line.put_u8(*byte);
    }
    line.put_u8(format.quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[Option<&str>], format: &CopyFormat) -> String {
        let mut line = BytesMut::new();
        for (at, value) in cells.iter().enumerate() {
            cell(&mut line, at, cells.len(), value.map(str::as_bytes), format);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// As PostgreSQL 15 writes the same values.
    #[test]
    fn cells_are_escaped_and_quoted() {
        let cells = [Some("a\tb\\c\n"), None, Some(""), Some("\\N")];
        assert_eq!(line(&cells, &CopyFormat::text()), "a\\tb\\\\c\\n\t\\N\t\t\\\\N");
        let cells = [Some("a,b"), None, Some(""), Some("say \"x\""), Some("1\n2"), Some("plain")];
        assert_eq!(line(&cells, &CopyFormat::csv()), "\"a,b\",,\"\",\"say \"\"x\"\"\",\"1\n2\",plain");
        assert_eq!(line(&[Some("\\.")], &CopyFormat::csv()), "\"\\.\"");
    }

    #[test]
    fn a_header_holds_the_names() {
        let names = ["a".to_owned(), "b c".to_owned()];
        let format = CopyFormat { header: Header::Skip, ..CopyFormat::csv() };
        assert_eq!(header(&names, &format).as_deref(), Some("a,b c\n".as_bytes()));
        assert_eq!(header(&names, &CopyFormat::csv()), None);
    }
}
