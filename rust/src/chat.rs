//! Chat templates, rendered as transformers renders them.
//! Source: transformers/utils/chat_template_utils.py (5.23), _cached_compile_jinja_template.

use crate::chat_tags::{has_markers, with_filter_blocks};
use crate::python_str;
use crate::python_text::{json_of, str_of, JsonStyle};
use crate::python_values::{list_of, value_of};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use minijinja_contrib::pycompat::unknown_method_callback;
use std::cell::Cell;

/// Around what a template marks as generated. Noncharacters: no text that is exchanged holds them.
const START: char = '\u{fdd0}';
const END: char = '\u{fdd1}';
/// Instructions that a template may run: published ones need some hundred for each message.
const FUEL: u64 = 20_000_000;

thread_local! {
    /// What strftime_now tells while this thread renders.
    static CLOCK: Cell<Option<i64>> = const { Cell::new(None) };
}

pub struct Rendered {
    pub text: String,
    /// What the template marks with {% generation %}: bytes of `text`.
    pub spans: Vec<(usize, usize)>,
}

/// A template that parsed. May be rendered by several threads at once.
pub struct ChatTemplate {
    environment: Environment<'static>,
    marked: bool,
}

impl ChatTemplate {
    pub fn new(template: &str) -> Result<Self, String> {
        if template.contains([START, END]) {
            return Err("it holds a character that is reserved".into());
        }
        let source = with_filter_blocks(template);
        let environment = environment(source).map_err(message)?;
        Ok(Self { environment, marked: has_markers(template) })
    }

    /// True when the template says what the assistant generates.
    pub fn has_markers(&self) -> bool {
        self.marked
    }

    /// `context`: a JSON object in UTF-8, nothing but ASCII escaped. `now`: seconds of the epoch for strftime_now, in UTC; None: there is no clock, and a
    /// template that asks for one fails.
    pub fn render(&self, context: &[u8], now: Option<i64>) -> Result<Rendered, String> {
        let context = std::str::from_utf8(context).map_err(|e| e.to_string())?;
        if context.contains([START, END]) {
            return Err("the chat holds a character that is reserved".into());
        }
        let context = value_of(serde_json::from_str(context).map_err(|e| e.to_string())?);
        CLOCK.set(now);
        let marked = self.environment.get_template("chat").and_then(|t| t.render(context)).map_err(message)?;
        without_marks(&marked)
    }
}

fn environment(source: String) -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(method);
    env.set_formatter(|out: &mut Output, _: &State, value: &Value| out.write_str(&str_of(value)).map_err(Error::from));
    env.add_filter("tojson", tojson);
    env.add_filter("trim", trim);
    env.add_filter("list", |value: Value| value.try_iter().map(|items| list_of(items.collect())));
    env.add_filter("string", |value: Value| str_of(&value));
    env.add_filter("generation", |body: String| format!("{START}{body}{END}"));
    env.add_test("sequence", |value: Value| is_sequence(&value));
    env.add_test("iterable", |value: Value| is_sequence(&value) || value.kind() == ValueKind::Iterable);
    env.add_function("raise_exception", |text: Value| -> Result<Value, Error> { Err(failed(&str_of(&text))) });
    env.add_function("strftime_now", |format: String| strftime(&format));
    env.add_template_owned("chat", source)?;
    Ok(env)
}

fn failed(text: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.to_owned())
}

/// What Python has a length and an index for; Jinja2's undefined value has both.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map)
}

/// Methods of Python's types: ours of texts, and minijinja's own collection.
fn method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let ours = value.as_str().and_then(|text| python_str::method(text, name, args));
    ours.unwrap_or_else(|| unknown_method_callback(state, value, name, args))
}

/// trim(value, chars=None): of str(value).
fn trim(value: Value, chars: Option<String>) -> String {
    python_str::trim(&str_of(&value), chars.as_deref(), true, true).to_owned()
}

fn message(error: Error) -> String {
    let mut text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if let Some(line) = error.line() {
        text += &format!(" (line {line} of the template)");
    }
    text
}

fn without_marks(marked: &str) -> Result<Rendered, String> {
    let (mut text, mut spans, mut open) = (String::with_capacity(marked.len()), Vec::new(), None);
    for c in marked.chars() {
        match (c, open) {
            (START, None) => open = Some(text.len()),
            (END, Some(start)) => {
                spans.push((start, text.len()));
                open = None;
            }
            (START | END, _) => return Err("generation blocks inside one another".into()),
            _ => text.push(c),
        }
    }
    if open.is_some() {
        return Err("a generation block that was cut".into());
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
    let indent = option(1, "indent")?.map(|v| if v.kind() == ValueKind::String { str_of(&v) } else { " ".repeat(usize::try_from(v).unwrap_or(0).min(64)) });
    let separators = option(2, "separators")?;
    let sorted = option(3, "sort_keys")?.is_some_and(|v| v.is_true());
    named.assert_all_used()?;
    let (item, key) = match separators {
        Some(pair) => (str_of(&pair.get_item_by_index(0)?), str_of(&pair.get_item_by_index(1)?)),
        None => (if indent.is_some() { "," } else { ", " }.into(), ": ".into()),
    };
    let style = JsonStyle { ascii, indent, item, key, sorted };
    json_of(&value, &style, 0).map(Value::from).map_err(|text| failed(&text))
}

/// datetime.strftime(format) of the given clock, by the C library as Python's is; a time zone is not known to it, and
/// microseconds are none.
fn strftime(format: &str) -> Result<String, Error> {
    let Some(now) = CLOCK.get() else {
        return Err(failed("the template asks for the date (strftime_now), and no clock is given"));
    };
    let mut plain = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('z' | 'Z')) => {}
            ('%', Some('f')) => plain += "000000",
            ('%', Some(other)) => plain.extend(['%', other]),
            (c, _) => plain.push(c),
        }
    }
    if plain.is_empty() {
        return Ok(plain);
    }
    let plain = std::ffi::CString::new(plain).map_err(|_| failed("a date format with a NUL"))?;
    let mut buffer = [0u8; 512];
    let length = unsafe {
        let seconds = now as libc::time_t;
        let mut parts: libc::tm = std::mem::zeroed();
        if libc::gmtime_r(&seconds, &mut parts).is_null() {
            return Err(failed("a time outside the calendar"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), plain.as_ptr(), &parts)
    };
    String::from_utf8(buffer[..length].to_vec()).map_err(|_| failed("a date that is not UTF-8"))
}
