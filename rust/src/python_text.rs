//! Values as Python writes them: str(), repr() and json.dumps().

use minijinja::value::{Value, ValueKind};

/// str(value): what a Jinja2 expression prints.
pub fn str_of(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        _ => repr_of(value),
    }
}

pub fn repr_of(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "None".into(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.into(),
        ValueKind::Number => number(value),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => format!("[{}]", items(value).iter().map(repr_of).collect::<Vec<_>>().join(", ")),
        ValueKind::Map => {
            let pair = |key: &Value| format!("{}: {}", repr_of(key), repr_of(&value.get_item(key).unwrap_or_default()));
            format!("{{{}}}", items(value).iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

fn items(value: &Value) -> Vec<Value> {
    value.try_iter().map(Iterator::collect).unwrap_or_default()
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    match f64::try_from(value.clone()) {
        Ok(number) => float(number),
        Err(_) => value.to_string(),
    }
}

/// repr(float): the shortest digits, an exponent below 1e-4 and from 1e16 on.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// str.isprintable() of a character, by the standard library's table, which its escaped form of a text shows.
fn printable(c: char) -> bool {
    match c as u32 {
        0x20..0x7f => true,
        0..0xa1 | 0xad => false,
        _ => !format!("a{c}").escape_debug().to_string().contains("\\u{"),
    }
}

fn escaped(c: char) -> String {
    match c as u32 {
        code @ 0..0x100 => format!("\\x{code:02x}"),
        code @ 0x100..0x10000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// repr(str): single quotes unless the text has them and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if !printable(c) => out += &escaped(c),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The options of json.dumps that transformers lets templates set.
pub struct JsonStyle {
    pub ascii: bool,
    pub indent: Option<String>,
    pub item: String,
    pub key: String,
    pub sorted: bool,
}

/// json.dumps(value). Fails for values that JSON has no form for.
pub fn json_of(value: &Value, style: &JsonStyle, level: usize) -> Result<String, String> {
    Ok(match value.kind() {
        ValueKind::None => "null".into(),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.into(),
        ValueKind::Number => json_number(number(value)),
        ValueKind::String => json_string(value.as_str().unwrap_or_default(), style.ascii),
        ValueKind::Seq | ValueKind::Iterable => {
            let parts: Result<Vec<_>, _> = items(value).iter().map(|item| json_of(item, style, level + 1)).collect();
            wrapped('[', ']', parts?, style, level)
        }
        ValueKind::Map => {
            let mut keys = items(value);
            if style.sorted {
                keys.sort();
            }
            let pair = |key: &Value| -> Result<String, String> {
                let name = json_key(key)?;
                let item = value.get_item(key).map_err(|e| e.to_string())?;
                Ok(format!("{}{}{}", json_string(&name, style.ascii), style.key, json_of(&item, style, level + 1)?))
            };
            let parts: Result<Vec<_>, _> = keys.iter().map(pair).collect();
            wrapped('{', '}', parts?, style, level)
        }
        kind => return Err(format!("a value of type {kind} has no form in JSON")),
    })
}

/// Keys that are not texts become texts.
fn json_key(key: &Value) -> Result<String, String> {
    Ok(match key.kind() {
        ValueKind::String => key.as_str().unwrap_or_default().to_owned(),
        ValueKind::None => "null".into(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.into(),
        ValueKind::Number => json_number(number(key)),
        kind => return Err(format!("a key of type {kind} has no form in JSON")),
    })
}

fn json_number(text: String) -> String {
    match text.as_str() {
        "nan" => "NaN".into(),
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        _ => text,
    }
}

fn wrapped(open: char, close: char, parts: Vec<String>, style: &JsonStyle, level: usize) -> String {
    let Some(indent) = style.indent.as_ref().filter(|_| !parts.is_empty()) else {
        return format!("{open}{}{close}", parts.join(&style.item));
    };
    let inner = format!("\n{}", indent.repeat(level + 1));
    let outer = format!("\n{}", indent.repeat(level));
    format!("{open}{inner}{}{outer}{close}", parts.join(&format!("{}{inner}", style.item)))
}

fn json_string(text: &str, ascii: bool) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\u{8}' => out += "\\b",
            '\u{c}' => out += "\\f",
            c if (c as u32) < 0x20 => out += &format!("\\u{:04x}", c as u32),
            c if ascii && c as u32 > 0x7e => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out += &format!("\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
