//! Rows of a parquet file as JSON objects, nested as they are: lists, structures, maps.

use parquet::data_type::AsBytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::Field;
use parquet::schema::types::Type;
use serde_json::{Map, Value};
use std::fs::File;
use std::sync::Arc;

fn message(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn number(value: f64) -> Result<Value, String> {
    serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| "holds a number that is not finite".into())
}

/// What Python's reader would give, as `json.dumps` writes it; dates and decimals as text.
fn value_of(field: &Field) -> Result<Value, String> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float(value) => number(f64::from(*value))?,
        Field::Double(value) => number(*value)?,
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => Value::from(std::str::from_utf8(bytes.as_bytes()).map_err(|_| "holds bytes that are no text")?),
        Field::Group(row) => object_of(row.get_column_iter(), true)?,
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value_of).collect::<Result<_, _>>()?),
        Field::MapInternal(map) => {
            let mut object = Map::new();
            for (key, value) in map.entries() {
                let Field::Str(key) = key else { return Err("holds a map whose keys are no texts".into()) };
                object.insert(key.clone(), value_of(value)?);
            }
            Value::Object(object)
        }
        other => Value::from(other.to_string()),
    })
}

/// `nulls`: a null is a key with that value; else the key is not there.
fn object_of<'a>(columns: impl Iterator<Item = (&'a String, &'a Field)>, nulls: bool) -> Result<Value, String> {
    let mut object = Map::new();
    for (name, field) in columns {
        let value = value_of(field)?;
        if nulls || !value.is_null() {
            object.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(object))
}

/// The rows of a file in order.
pub struct Rows {
    rows: RowIter<'static>,
    count: u64,
}

impl Rows {
    /// `wanted`: names of top-level columns, a line each; others are not read.
    pub fn open(path: &str, wanted: &str) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| format!("cannot be opened: {e}"))?;
        let reader = SerializedFileReader::new(file).map_err(|e| format!("is not a parquet file: {e}"))?;
        let metadata = reader.metadata().file_metadata();
        let count = u64::try_from(metadata.num_rows()).map_err(message)?;
        let schema = metadata.schema();
        let fields: Vec<Arc<Type>> =
            schema.get_fields().iter().filter(|f| wanted.lines().any(|name| name == f.name())).cloned().collect();
        if fields.is_empty() {
            let known: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
            return Err(format!("has none of the columns {}; it has {}", wanted.lines().collect::<Vec<_>>().join(", "), known.join(", ")));
        }
        let projection = Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(message)?;
        let rows = RowIter::from_file_into(Box::new(reader)).project(Some(projection)).map_err(message)?;
        Ok(Self { rows, count })
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Appends rows, each as one line of JSON without its end, until `max_bytes` are there; nothing at the end.
    pub fn next(&mut self, max_bytes: usize, bytes: &mut Vec<u8>, lengths: &mut Vec<i64>) -> Result<(), String> {
        while bytes.len() < max_bytes {
            let Some(row) = self.rows.next() else { return Ok(()) };
            let row = row.map_err(message)?;
            let before = bytes.len();
            serde_json::to_writer(&mut *bytes, &object_of(row.get_column_iter(), false)?).map_err(message)?;
            lengths.push(i64::try_from(bytes.len() - before).map_err(message)?);
        }
        Ok(())
    }
}
