//! The C ABI of compressed files and of parquet. Statuses and buffers are those of `abi`.

use crate::abi::{give_bytes, guard, text_of, Bytes};
use crate::parquet_read::{ListColumn, TextColumn};
use crate::parquet_rows::Rows;
use crate::parquet_write::{Column, ListWriter};
use crate::unpack::Unpacker;

#[repr(C)]
pub struct Longs {
    data: *mut i64,
    len: usize,
}

fn give_longs(values: Vec<i64>) -> Longs {
    let boxed = values.into_boxed_slice();
    let len = boxed.len();
    Longs { data: Box::into_raw(boxed).cast(), len }
}

unsafe fn slice_of<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(data, len) }
}

fn count_of(lengths: &[i64]) -> Result<usize, String> {
    usize::try_from(lengths.iter().sum::<i64>()).map_err(|e| e.to_string())
}

/// # Safety
/// Pointers must be valid for their lengths; `out` and `error` writable. So for every function below.
#[no_mangle]
pub unsafe extern "C" fn rialto_unpack_open(
    path: *const u8,
    len: usize,
    zstd: i32,
    out: *mut *mut Unpacker,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let unpacker = Unpacker::open(unsafe { text_of(path, len) }?, zstd != 0)?;
        unsafe { *out = Box::into_raw(Box::new(unpacker)) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_unpack_read(
    unpacker: *mut Unpacker,
    data: *mut u8,
    len: usize,
    read: *mut usize,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let out = if len == 0 { &mut [][..] } else { unsafe { std::slice::from_raw_parts_mut(data, len) } };
        unsafe { *read = (*unpacker).read(out)? };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_unpack_consumed(unpacker: *const Unpacker) -> u64 {
    unsafe { &*unpacker }.consumed()
}

/// # Safety
/// Each `free` takes what its `open` or `new` gave, once.
#[no_mangle]
pub unsafe extern "C" fn rialto_unpack_free(unpacker: *mut Unpacker) {
    drop(unsafe { Box::from_raw(unpacker) });
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_texts_open(
    path: *const u8,
    path_len: usize,
    column: *const u8,
    column_len: usize,
    out: *mut *mut TextColumn,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let opened = TextColumn::open(unsafe { text_of(path, path_len) }?, unsafe { text_of(column, column_len) }?)?;
        unsafe { *out = Box::into_raw(Box::new(opened)) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_texts_rows(texts: *const TextColumn) -> u64 {
    unsafe { &*texts }.rows()
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_texts_skip(texts: *mut TextColumn, rows: usize, error: *mut Bytes) -> i32 {
    guard(error, || Ok(unsafe { &mut *texts }.skip(rows)?))
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_texts_next(
    texts: *mut TextColumn,
    max_bytes: usize,
    bytes: *mut Bytes,
    lengths: *mut Longs,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let (mut text, mut counts) = (Vec::new(), Vec::new());
        unsafe { &mut *texts }.next(max_bytes, &mut text, &mut counts)?;
        unsafe { *bytes = give_bytes(text) };
        unsafe { *lengths = give_longs(counts) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_texts_free(texts: *mut TextColumn) {
    drop(unsafe { Box::from_raw(texts) });
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_rows_open(
    path: *const u8,
    path_len: usize,
    columns: *const u8,
    columns_len: usize,
    out: *mut *mut Rows,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let opened = Rows::open(unsafe { text_of(path, path_len) }?, unsafe { text_of(columns, columns_len) }?)?;
        unsafe { *out = Box::into_raw(Box::new(opened)) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_rows_count(rows: *const Rows) -> u64 {
    unsafe { &*rows }.count()
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_rows_next(
    rows: *mut Rows,
    max_bytes: usize,
    bytes: *mut Bytes,
    lengths: *mut Longs,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let (mut text, mut counts) = (Vec::new(), Vec::new());
        unsafe { &mut *rows }.next(max_bytes, &mut text, &mut counts)?;
        unsafe { *bytes = give_bytes(text) };
        unsafe { *lengths = give_longs(counts) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_rows_free(rows: *mut Rows) {
    drop(unsafe { Box::from_raw(rows) });
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_lists_open(
    path: *const u8,
    path_len: usize,
    column: *const u8,
    column_len: usize,
    out: *mut *mut ListColumn,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let opened = ListColumn::open(unsafe { text_of(path, path_len) }?, unsafe { text_of(column, column_len) }?)?;
        unsafe { *out = Box::into_raw(Box::new(opened)) };
        Ok(())
    })
}

/// `more` is 0 after the last row group.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_lists_next(
    lists: *mut ListColumn,
    values: *mut Longs,
    lengths: *mut Longs,
    more: *mut i32,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let (mut read, mut counts) = (Vec::new(), Vec::new());
        unsafe { *more = i32::from((*lists).next(&mut read, &mut counts)?) };
        unsafe { *values = give_longs(read) };
        unsafe { *lengths = give_longs(counts) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_lists_free(lists: *mut ListColumn) {
    drop(unsafe { Box::from_raw(lists) });
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_writer_new(
    columns: *const u8,
    len: usize,
    out: *mut *mut ListWriter,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let writer = ListWriter::new(unsafe { text_of(columns, len) }?)?;
        unsafe { *out = Box::into_raw(Box::new(writer)) };
        Ok(())
    })
}

/// A row group of `rows` rows; for each column its values and the lengths of its lists. `bytes` is what to write.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_writer_write(
    writer: *mut ListWriter,
    values: *const *const i32,
    lengths: *const *const i64,
    columns: usize,
    rows: usize,
    bytes: *mut Bytes,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let (values, lengths) = unsafe { (slice_of(values, columns), slice_of(lengths, columns)) };
        let mut made = Vec::new();
        for (&value, &length) in values.iter().zip(lengths) {
            let lengths = unsafe { slice_of(length, rows) };
            made.push(Column { values: unsafe { slice_of(value, count_of(lengths)?) }, lengths });
        }
        unsafe { *bytes = give_bytes((*writer).write(&made)?) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_writer_finish(writer: *mut ListWriter, bytes: *mut Bytes, error: *mut Bytes) -> i32 {
    guard(error, || {
        unsafe { *bytes = give_bytes((*writer).finish()?) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_parquet_writer_free(writer: *mut ListWriter) {
    drop(unsafe { Box::from_raw(writer) });
}

/// # Safety
/// `bytes` must come from this library and not be freed twice.
#[no_mangle]
pub unsafe extern "C" fn rialto_files_free_bytes(bytes: Bytes) {
    unsafe { crate::abi::rialto_tok_free_bytes(bytes) }
}

/// # Safety
/// `longs` must come from this library and not be freed twice.
#[no_mangle]
pub unsafe extern "C" fn rialto_files_free_longs(longs: Longs) {
    if !longs.data.is_null() {
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(longs.data, longs.len)) });
    }
}
