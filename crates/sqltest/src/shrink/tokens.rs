//! Shorter texts of a query.

/// Candidates, the shortest first where that is cheap to say: a subquery in the place of the query, a table in the place
/// of a subquery, ranges with balanced brackets left out.
pub(super) fn shorter(query: &str, tables: &[String]) -> Vec<String> {
    let tokens = split(query);
    let mut candidates = Vec::new();
    for (open, close) in subqueries(&tokens) {
        candidates.push(tokens[open + 1..close].to_vec());
        for table in tables {
            candidates.push(replaced(&tokens, open..close + 1, &[table]));
        }
    }
    let mut length = tokens.len();
    while length > 0 {
        for from in 0..=tokens.len() - length {
            if is_balanced(&tokens[from..from + length]) {
                candidates.push(replaced(&tokens, from..from + length, &[]));
            }
        }
        length = if length > 12 { length * 3 / 4 } else { length - 1 };
    }
    candidates.into_iter().filter(|c| !c.is_empty() && c.len() < tokens.len()).map(|c| joined(&c)).collect()
}

/// Words, numbers, quoted texts and signs.
fn split(query: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => 1 + rest[1..].find(first).map_or(rest.len() - 1, |at| at + 1),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            '<' | '>' | '|' | '!' => rest.find(|c| !"<>=|!".contains(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// Tokens that stood next to each other stay so.
fn joined(tokens: &[&str]) -> String {
    let mut text = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_glued = at > 0 && tokens[at - 1].as_bytes().as_ptr_range().end == token.as_ptr();
        if at > 0 && !is_glued {
            text.push(' ');
        }
        text.push_str(token);
    }
    text
}

/// The brackets around each subquery, the inner ones too.
fn subqueries(tokens: &[&str]) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "(" => open.push(at),
            ")" => {
                if let Some(from) = open.pop()
                    && tokens[from + 1] == "SELECT"
                {
                    found.push((from, at));
                }
            }
            _ => {}
        }
    }
    found
}

fn is_balanced(tokens: &[&str]) -> bool {
    let depth = tokens.iter().try_fold(0i32, |depth, token| match *token {
        "(" => Some(depth + 1),
        ")" => (depth > 0).then_some(depth - 1),
        _ => Some(depth),
    });
    depth == Some(0)
}

fn replaced<'a>(tokens: &[&'a str], range: std::ops::Range<usize>, by: &[&'a str]) -> Vec<&'a str> {
    [&tokens[..range.start], by, &tokens[range.end..]].concat()
}
