//! Chat templates, rendered as transformers renders them.
//! Source: transformers/utils/chat_template_utils.py (5.23), _cached_compile_jinja_template.

use crate::python_text::{json_of, str_of, JsonStyle};
use minijinja::value::{from_args, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Around what a template marks as generated. Noncharacters: no text that is exchanged holds them.
const START: char = '\u{fdd0}';
const END: char = '\u{fdd1}';
/// Instructions that a template may run: published ones need some hundred for each message.
const FUEL: u64 = 50_000_000;

pub struct Rendered {
    pub text: String,
    /// What the template marks with {% generation %}: bytes of `text`.
    pub spans: Vec<(usize, usize)>,
}

/// `context`: a JSON object. `now`: seconds of the epoch for strftime_now; None: the clock's.
pub fn render(template: &str, context: &[u8], now: Option<i64>) -> Result<Rendered, String> {
    let context: Value = serde_json::from_slice(context).map_err(|e| e.to_string())?;
    if template.contains([START, END]) {
        return Err("the template holds a character that is reserved".into());
    }
    let source = with_filter_blocks(template);
    let env = environment(&source, now).map_err(message)?;
    let marked = env.get_template("chat").and_then(|t| t.render(context)).map_err(message)?;
    without_marks(&marked)
}

/// True when the template says what the assistant generates.
pub fn has_markers(template: &str) -> bool {
    next_tag(template, 0).is_some()
}

fn environment(source: &str, now: Option<i64>) -> Result<Environment<'_>, Error> {
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(method);
    env.set_formatter(|out: &mut Output, _: &State, value: &Value| out.write_str(&str_of(value)).map_err(Error::from));
    env.add_filter("tojson", tojson);
    env.add_filter("trim", trim);
    env.add_filter("string", |value: Value| str_of(&value));
    env.add_filter("generation", |body: String| format!("{START}{body}{END}"));
    env.add_test("sequence", |value: Value| is_sequence(&value));
    env.add_test("iterable", |value: Value| is_sequence(&value) || value.kind() == ValueKind::Iterable);
    env.add_function("raise_exception", |text: String| -> Result<Value, Error> { Err(Error::new(ErrorKind::InvalidOperation, text)) });
    env.add_function("strftime_now", move |format: String| strftime(&format, now));
    env.add_template("chat", source)?;
    Ok(env)
}

/// What Python has a length and an index for; Jinja2's undefined value has both.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map)
}

/// Methods of Python's types: minijinja's own collection, and what it lacks or does otherwise.
fn method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, name, args);
    };
    match name {
        "title" => from_args::<()>(args).map(|()| Value::from(titled(text))),
        "removeprefix" => from_args(args).map(|(affix,): (&str,)| Value::from(text.strip_prefix(affix).unwrap_or(text))),
        "removesuffix" => from_args(args).map(|(affix,): (&str,)| Value::from(text.strip_suffix(affix).unwrap_or(text))),
        _ => unknown_method_callback(state, value, name, args),
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

/// trim(value, chars=None): of str(value).
fn trim(value: Value, chars: Option<String>) -> String {
    let text = str_of(&value);
    match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
        None => text.trim().to_owned(),
    }
}

fn message(error: Error) -> String {
    let mut text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if let Some(line) = error.line() {
        text += &format!(" (line {line} of the template)");
    }
    text
}

/// (start, end, is the end tag, text of the tag) of the next generation tag at or after `from`.
fn next_tag(template: &str, from: usize) -> Option<(usize, usize, bool)> {
    let mut at = from;
    while let Some(found) = template[at..].find("{%") {
        let start = at + found;
        let close = start + template[start..].find("%}")? + 2;
        let word = template[start + 2..close - 2].trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
        if word == "generation" || word == "endgeneration" {
            return Some((start, close, word == "endgeneration"));
        }
        at = start + 2;
    }
    None
}

/// minijinja has no tags of one's own: {% generation %} becomes {% filter generation %}, a block too, so that white
/// space is treated alike.
fn with_filter_blocks(template: &str) -> String {
    let mut out = String::new();
    let mut done = 0;
    while let Some((start, close, is_end)) = next_tag(template, done) {
        out += &template[done..start];
        let tag = &template[start..close];
        out += &if is_end { tag.replace("endgeneration", "endfilter") } else { tag.replace("generation", "filter generation") };
        done = close;
    }
    out + &template[done..]
}

fn without_marks(marked: &str) -> Result<Rendered, String> {
    let (mut text, mut spans, mut open) = (String::new(), Vec::new(), None);
    for c in marked.chars() {
        match (c, open) {
            (START, None) => open = Some(text.len()),
            (END, Some(start)) => {
                spans.push((start, text.len()));
                open = None;
            }
            (START | END, _) => return Err("generation blocks inside one another, or a reserved character in the chat".into()),
            _ => text.push(c),
        }
    }
    Ok(Rendered { text, spans })
}

/// tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)
fn tojson(value: Value, positional: Rest<Value>, named: Kwargs) -> Result<Value, Error> {
    let option = |place: usize, name: &str| -> Result<Option<Value>, Error> {
        let given: Option<Value> = named.get(name)?;
        Ok(given.or_else(|| positional.get(place).cloned()).filter(|v| !v.is_none()))
    };
    let ascii = option(0, "ensure_ascii")?.is_some_and(|v| v.is_true());
    let indent = option(1, "indent")?.map(|v| if v.kind() == ValueKind::String { str_of(&v) } else { " ".repeat(usize::try_from(v).unwrap_or(0)) });
    let separators = option(2, "separators")?;
    let sorted = option(3, "sort_keys")?.is_some_and(|v| v.is_true());
    named.assert_all_used()?;
    let (item, key) = match separators {
        Some(pair) => (str_of(&pair.get_item_by_index(0)?), str_of(&pair.get_item_by_index(1)?)),
        None => (if indent.is_some() { "," } else { ", " }.into(), ": ".into()),
    };
    let style = JsonStyle { ascii, indent, item, key, sorted };
    json_of(&value, &style, 0).map(Value::from).map_err(|text| Error::new(ErrorKind::InvalidOperation, text))
}

/// datetime.now().strftime(format), by the C library as Python's is.
fn strftime(format: &str, now: Option<i64>) -> Result<String, Error> {
    let failed = |text: &str| Error::new(ErrorKind::InvalidOperation, text.to_owned());
    let format = std::ffi::CString::new(format).map_err(|_| failed("a date format with a NUL"))?;
    let mut buffer = [0u8; 512];
    let length = unsafe {
        let seconds = now.map_or_else(|| libc::time(std::ptr::null_mut()), |s| s as libc::time_t);
        let mut parts: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&seconds, &mut parts).is_null() {
            return Err(failed("a time outside the calendar"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &parts)
    };
    String::from_utf8(buffer[..length].to_vec()).map_err(|_| failed("a date that is not UTF-8"))
}
