//! Methods of Python's str as Python has them: those that minijinja's own collection lacks or does otherwise. Places are
//! counted in characters.

use minijinja::value::{from_args, Value};
use minijinja::{Error, ErrorKind};

/// str.isspace() of a character: Rust's white space and four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The result of text.name(args); None: not one of these methods.
pub fn method(text: &str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let affix = || from_args::<(&str,)>(args).map(|(affix,)| affix);
    let all = |test: fn(char) -> bool| from_args::<()>(args).map(|()| Value::from(!text.is_empty() && text.chars().all(test)));
    Some(match name {
        "strip" => trimmed(text, args, true, true),
        "lstrip" => trimmed(text, args, true, false),
        "rstrip" => trimmed(text, args, false, true),
        "split" => split(text, args, false),
        "rsplit" => split(text, args, true),
        "splitlines" => from_args::<(Option<bool>,)>(args).map(|(keep,)| lines(text, keep.unwrap_or(false))),
        "partition" => affix().map(|sep| parts(text, text.find(sep), sep, true)),
        "rpartition" => affix().map(|sep| parts(text, text.rfind(sep), sep, false)),
        "find" | "index" => affix().and_then(|what| place(text, text.find(what), name == "index")),
        "rfind" | "rindex" => affix().and_then(|what| place(text, text.rfind(what), name == "rindex")),
        "count" => affix().map(|what| Value::from(if what.is_empty() { text.chars().count() + 1 } else { text.matches(what).count() })),
        "title" => from_args::<()>(args).map(|()| Value::from(titled(text))),
        "removeprefix" => affix().map(|affix| Value::from(text.strip_prefix(affix).unwrap_or(text))),
        "removesuffix" => affix().map(|affix| Value::from(text.strip_suffix(affix).unwrap_or(text))),
        "isspace" => all(is_space),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isnumeric" => all(char::is_numeric),
        "isdigit" | "isdecimal" => all(|c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())),
        "islower" => from_args::<()>(args).map(|()| Value::from(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))),
        "isupper" => from_args::<()>(args).map(|()| Value::from(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))),
        _ => return None,
    })
}

fn trimmed(text: &str, args: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    Ok(Value::from(trim(text, chars, left, right)))
}

pub fn trim<'a>(text: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let drops = |c: char| chars.map_or_else(|| is_space(c), |all| all.contains(c));
    let text = if left { text.trim_start_matches(drops) } else { text };
    if right { text.trim_end_matches(drops) } else { text }
}

fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (sep, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = usize::try_from(most.unwrap_or(-1)).unwrap_or(usize::MAX - 1);
    let pieces: Vec<&str> = match sep {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(sep) if from_right => {
            let mut pieces: Vec<&str> = text.rsplitn(most + 1, sep).collect();
            pieces.reverse();
            pieces
        }
        Some(sep) => text.splitn(most + 1, sep).collect(),
        None => words(text, most, from_right),
    };
    Ok(pieces.into_iter().map(Value::from).collect())
}

/// Pieces between runs of white space; the last one (from the right: the first) keeps what is left.
fn words(text: &str, most: usize, from_right: bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = trim(text, None, !from_right, from_right);
    while !rest.is_empty() {
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let (Some(cut), true) = (cut, pieces.len() < most) else {
            pieces.push(rest);
            break;
        };
        let size = rest[cut..].chars().next().map_or(1, char::len_utf8);
        let (before, after) = (&rest[..cut], &rest[cut + size..]);
        pieces.push(if from_right { after } else { before });
        rest = trim(if from_right { before } else { after }, None, !from_right, from_right);
    }
    if from_right {
        pieces.reverse();
    }
    pieces
}

fn lines(text: &str, keep: bool) -> Value {
    let ends = |c: char| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let (mut out, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let Some(end) = rest.find(ends) else {
            out.push(Value::from(rest));
            break;
        };
        let size = if rest[end..].starts_with("\r\n") { 2 } else { rest[end..].chars().next().map_or(1, char::len_utf8) };
        out.push(Value::from(if keep { &rest[..end + size] } else { &rest[..end] }));
        rest = &rest[end + size..];
    }
    Value::from(out)
}

fn parts(text: &str, at: Option<usize>, sep: &str, whole_first: bool) -> Value {
    let (a, b, c) = match at {
        Some(at) => (&text[..at], sep, &text[at + sep.len()..]),
        None if whole_first => (text, "", ""),
        None => ("", "", text),
    };
    [a, b, c].into_iter().map(Value::from).collect()
}

fn place(text: &str, at: Option<usize>, must: bool) -> Result<Value, Error> {
    match at {
        Some(at) => Ok(Value::from(text[..at].chars().count())),
        None if must => Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
        None => Ok(Value::from(-1)),
    }
}

/// str.title(): a letter behind anything but a letter is a capital.
fn titled(text: &str) -> String {
    let mut behind_letter = false;
    let mut out = String::new();
    for c in text.chars() {
        if behind_letter {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        behind_letter = c.is_alphabetic();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(text: &str, name: &str, args: &[Value]) -> String {
        method(text, name, args).unwrap().map_or_else(|e| format!("error: {e}"), |value| value.to_string())
    }

    #[test]
    fn what_python_says() {
        let (space, n) = (Value::from(" "), |n: i64| Value::from(n));
        let none = || Value::from(());
        assert_eq!(called("\u{1c} é \n", "strip", &[]), "é");
        assert_eq!(called(" a  b c ", "split", &[none(), n(1)]), r#"["a", "b c "]"#);
        assert_eq!(called(" a  b c ", "rsplit", &[none(), n(1)]), r#"[" a  b", "c"]"#);
        assert_eq!(called(" a  b c ", "split", &[]), r#"["a", "b", "c"]"#);
        assert_eq!(called("a b c", "rsplit", &[space.clone(), n(1)]), r#"["a b", "c"]"#);
        assert_eq!(called("a b c", "split", &[space.clone(), n(0)]), r#"["a b c"]"#);
        assert!(called("a", "split", &[Value::from("")]).starts_with("error"));
        assert_eq!(called("a\r\nb\n\nc", "splitlines", &[]), r#"["a", "b", "", "c"]"#);
        assert_eq!(called("éa", "find", &[Value::from("a")]), "1");
        assert_eq!(called("éa", "find", &[Value::from("x")]), "-1");
        assert_eq!(called("aaa", "count", &[Value::from("aa")]), "1");
        assert_eq!(called("é1", "count", &[Value::from("")]), "3");
        assert_eq!(called("a-b-c", "rpartition", &[Value::from("-")]), r#"["a-b", "-", "c"]"#);
        assert_eq!(called("", "isdigit", &[]), "False");
        assert_eq!(called("aB1 c-d", "title", &[]), "Ab1 C-D");
    }
}
