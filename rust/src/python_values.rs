//! JSON as lists and dictionaries that print as Python's do wherever a template joins them with text.

use crate::python_text::repr_of;
use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use std::{fmt, sync::Arc};

#[derive(Debug)]
struct List(Vec<Value>);

#[derive(Debug)]
struct Dict(IndexMap<Value, Value>);

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned()
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr_of(&Value::from_dyn_object(self.clone())))
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key).cloned()
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().cloned().collect())
    }
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr_of(&Value::from_dyn_object(self.clone())))
    }
}

pub fn list_of(items: Vec<Value>) -> Value {
    Value::from_object(List(items))
}

/// Parsed JSON as a template's value.
pub fn value_of(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Array(items) => list_of(items.into_iter().map(value_of).collect()),
        serde_json::Value::Object(entries) => {
            Value::from_object(Dict(entries.into_iter().map(|(key, value)| (Value::from(key), value_of(value))).collect()))
        }
        plain => Value::from_serialize(plain),
    }
}
