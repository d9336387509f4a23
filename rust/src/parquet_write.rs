//! Writes columns of lists of integers, as pyarrow writes list<int32> and list<int8>.

use parquet::basic::Compression;
use parquet::data_type::Int32Type;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Where the library writes to; the caller takes the bytes away after every row group.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|e| std::io::Error::other(e.to_string()))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub struct ListWriter {
    writer: Option<SerializedFileWriter<Taken>>,
    bytes: Taken,
}

/// Values of all rows, one after the other, and how many each row has.
pub struct Column<'a> {
    pub values: &'a [i32],
    pub lengths: &'a [i64],
}

/// Levels of optional lists of optional elements, none of them null.
const EMPTY: i16 = 1;
const VALUE: i16 = 3;

impl ListWriter {
    /// `columns`: a line each, its name and the bits of its elements ("input_ids 32").
    pub fn new(columns: &str) -> Result<Self, String> {
        let mut schema = String::from("message schema {");
        for line in columns.lines() {
            let (name, bits) = line.split_once(' ').ok_or("a column without bits")?;
            let annotation = if bits == "32" { String::new() } else { format!(" (INTEGER({bits},true))") };
            schema += &format!(" optional group {name} (LIST) {{ repeated group list {{ optional int32 element{annotation}; }} }}");
        }
        schema += " }";
        let schema = Arc::new(parse_message_type(&schema).map_err(|e| e.to_string())?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let bytes = Taken::default();
        let writer = SerializedFileWriter::new(bytes.clone(), schema, properties).map_err(|e| e.to_string())?;
        Ok(Self { writer: Some(writer), bytes })
    }

    /// One row group.
    pub fn write(&mut self, columns: &[Column]) -> Result<Vec<u8>, String> {
        let writer = self.writer.as_mut().ok_or("is finished")?;
        let mut group = writer.next_row_group().map_err(|e| e.to_string())?;
        for column in columns {
            let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
            for &length in column.lengths {
                definitions.push(if length == 0 { EMPTY } else { VALUE });
                repetitions.push(0);
                for _ in 1..length {
                    definitions.push(VALUE);
                    repetitions.push(1);
                }
            }
            let mut out = group.next_column().map_err(|e| e.to_string())?.ok_or("has fewer columns")?;
            out.typed::<Int32Type>()
                .write_batch(column.values, Some(&definitions), Some(&repetitions))
                .map_err(|e| e.to_string())?;
            out.close().map_err(|e| e.to_string())?;
        }
        group.close().map_err(|e| e.to_string())?;
        self.take()
    }

    /// The end of the file.
    pub fn finish(&mut self) -> Result<Vec<u8>, String> {
        self.writer.take().ok_or("is finished")?.close().map_err(|e| e.to_string())?;
        self.take()
    }

    fn take(&self) -> Result<Vec<u8>, String> {
        Ok(std::mem::take(&mut *self.bytes.0.lock().map_err(|e| e.to_string())?))
    }
}
