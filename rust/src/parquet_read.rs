//! Columns of a parquet file, in batches: texts, and lists of integers.

use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{get_typed_column_reader, ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;

/// Rows are decoded in steps of this many, so that a batch of long ones stays small.
const STEP: usize = 64;

fn message(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn open(path: &str) -> Result<SerializedFileReader<File>, String> {
    let file = File::open(path).map_err(|e| format!("cannot be opened: {e}"))?;
    SerializedFileReader::new(file).map_err(|e| format!("is not a parquet file: {e}"))
}

/// The number of the one leaf under the top-level column `name` that `fits`; the error lists what would have fitted.
fn leaf_of(
    file: &SerializedFileReader<File>,
    name: &str,
    kind: &str,
    fits: impl Fn(&parquet::schema::types::ColumnDescriptor) -> bool,
) -> Result<usize, String> {
    let columns = file.metadata().file_metadata().schema_descr().columns();
    let matches = |c: &parquet::schema::types::ColumnDescriptor| c.path().parts()[0] == name && fits(c);
    if let Some(leaf) = columns.iter().position(|c| matches(c)) {
        return Ok(leaf);
    }
    let known: Vec<&str> = columns.iter().filter(|c| fits(c)).map(|c| c.path().parts()[0].as_str()).collect();
    Err(format!("has no column \"{name}\" of {kind}; it has {}", if known.is_empty() { "none of that kind".into() } else { known.join(", ") }))
}

/// Texts of one column, not nested.
pub struct TextColumn {
    file: SerializedFileReader<File>,
    leaf: usize,
    nullable: bool,
    group: usize,
    left: usize,
    reader: Option<ColumnReaderImpl<ByteArrayType>>,
}

impl TextColumn {
    pub fn open(path: &str, name: &str) -> Result<Self, String> {
        let file = open(path)?;
        let flat = |c: &parquet::schema::types::ColumnDescriptor| {
            c.physical_type() == Physical::BYTE_ARRAY && c.max_rep_level() == 0 && c.path().parts().len() == 1
        };
        let leaf = leaf_of(&file, name, "texts", flat)?;
        let nullable = file.metadata().file_metadata().schema_descr().column(leaf).max_def_level() > 0;
        Ok(Self { file, leaf, nullable, group: 0, left: 0, reader: None })
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Rows left in the current row group, after going on to the next one where needed; 0 at the end.
    fn advance(&mut self) -> Result<usize, String> {
        while self.left == 0 && self.group < self.file.num_row_groups() {
            let group = self.file.get_row_group(self.group).map_err(message)?;
            self.left = usize::try_from(group.metadata().num_rows()).map_err(message)?;
            self.reader = Some(get_typed_column_reader(group.get_column_reader(self.leaf).map_err(message)?));
            self.group += 1;
        }
        Ok(self.left)
    }

    pub fn skip(&mut self, mut rows: usize) -> Result<(), String> {
        while rows > 0 {
            let left = self.advance()?;
            let count = left.min(rows);
            let Some(reader) = self.reader.as_mut().filter(|_| count > 0) else {
                return Err("has fewer rows than were read of it before".into());
            };
            if count < left && reader.skip_records(count).map_err(message)? != count {
                return Err("ends early".into());
            }
            self.left -= count;
            rows -= count;
        }
        Ok(())
    }

    /// Appends the next rows' bytes and lengths (-1: null) until `max_bytes` are there; nothing at the end.
    pub fn next(&mut self, max_bytes: usize, bytes: &mut Vec<u8>, lengths: &mut Vec<i64>) -> Result<(), String> {
        while bytes.len() < max_bytes && lengths.len() < (1 << 16) {
            let count = self.advance()?.min(STEP);
            let Some(reader) = self.reader.as_mut().filter(|_| count > 0) else { return Ok(()) };
            let (mut values, mut levels): (Vec<ByteArray>, Vec<i16>) = (Vec::new(), Vec::new());
            let definitions = if self.nullable { Some(&mut levels) } else { None };
            let (read, _, _) = reader.read_records(count, definitions, None, &mut values).map_err(message)?;
            if read != count {
                return Err("ends early".into());
            }
            self.left -= count;
            let mut value = values.iter();
            for row in 0..count {
                if self.nullable && levels.get(row) == Some(&0) {
                    lengths.push(-1);
                    continue;
                }
                let text = value.next().ok_or("ends early")?.data();
                lengths.push(i64::try_from(text.len()).map_err(message)?);
                bytes.extend_from_slice(text);
            }
        }
        Ok(())
    }
}

enum Integers {
    Narrow(ColumnReaderImpl<Int32Type>),
    Wide(ColumnReaderImpl<Int64Type>),
}

/// A column of lists of integers, row group by row group.
pub struct ListColumn {
    file: SerializedFileReader<File>,
    leaf: usize,
    /// Definition level of a value, and of an element of a list, null or not.
    value_level: i16,
    element_level: i16,
    group: usize,
}

fn read_all<T: DataType>(reader: &mut ColumnReaderImpl<T>, rows: usize) -> Result<(Vec<T::T>, Vec<i16>, Vec<i16>), String> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let (read, _, _) = reader
        .read_records(rows, Some(&mut definitions), Some(&mut repetitions), &mut values)
        .map_err(message)?;
    if read != rows || definitions.len() != repetitions.len() {
        return Err("ends early".into());
    }
    Ok((values, definitions, repetitions))
}

impl ListColumn {
    pub fn open(path: &str, name: &str) -> Result<Self, String> {
        let file = open(path)?;
        let lists = |c: &parquet::schema::types::ColumnDescriptor| {
            matches!(c.physical_type(), Physical::INT32 | Physical::INT64) && c.max_rep_level() == 1
        };
        let leaf = leaf_of(&file, name, "lists of integers", lists)?;
        let column = file.metadata().file_metadata().schema_descr().column(leaf);
        let value_level = column.max_def_level();
        let optional = column.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
        Ok(Self { file, leaf, value_level, element_level: value_level - i16::from(optional), group: 0 })
    }

    /// The next row group's values and list lengths; false after the last.
    pub fn next(&mut self, values: &mut Vec<i64>, lengths: &mut Vec<i64>) -> Result<bool, String> {
        if self.group == self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.group).map_err(message)?;
        let rows = usize::try_from(group.metadata().num_rows()).map_err(message)?;
        self.group += 1;
        let mut reader = match group.get_column_reader(self.leaf).map_err(message)? {
            ColumnReader::Int32ColumnReader(reader) => Integers::Narrow(reader),
            ColumnReader::Int64ColumnReader(reader) => Integers::Wide(reader),
            _ => return Err("holds no integers".into()),
        };
        let (definitions, repetitions) = match &mut reader {
            Integers::Narrow(reader) => {
                let (read, definitions, repetitions) = read_all(reader, rows)?;
                values.extend(read.into_iter().map(i64::from));
                (definitions, repetitions)
            }
            Integers::Wide(reader) => {
                let (read, definitions, repetitions) = read_all(reader, rows)?;
                values.extend(read);
                (definitions, repetitions)
            }
        };
        for (definition, repetition) in definitions.into_iter().zip(repetitions) {
            if repetition == 0 {
                lengths.push(0);
            }
            let length = lengths.last_mut().ok_or("begins inside of a list")?;
            if definition == self.value_level {
                *length += 1;
            } else if definition >= self.element_level || definition + 1 < self.element_level {
                return Err("holds a null where a list of integers should be".into());
            }
        }
        Ok(true)
    }
}
