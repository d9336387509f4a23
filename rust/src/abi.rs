//! The C ABI of tokenizers. Status 0 is success; 1 means that `error` now holds a message; 2 that the caller's own callback stopped.
//! Buffers handed out are freed with `rialto_tok_free_bytes` and `rialto_tok_free_ids`.

use crate::{count::WordCounter, ranks::Ranks, train, Loaded};
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};

const OK: i32 = 0;
const FAILED: i32 = 1;
const STOPPED: i32 = 2;

/// Texts are counted in batches of about this many bytes, which bounds memory beside the word table.
const BATCH_BYTES: usize = 4 << 20;

#[repr(C)]
pub struct Bytes {
    data: *mut u8,
    len: usize,
}

#[repr(C)]
pub struct Ids {
    data: *mut u32,
    len: usize,
}

/// Fills (data, len) with the next text and returns 1; 0 when there is none left; negative to stop. The text must stay
/// valid until the next call. Called on the calling thread only.
pub type NextText = unsafe extern "C" fn(user: *mut c_void, data: *mut *const u8, len: *mut usize) -> i32;

pub(crate) enum Failure {
    Message(String),
    Stopped,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::Message(message)
    }
}

pub(crate) fn give_bytes(text: Vec<u8>) -> Bytes {
    let boxed = text.into_boxed_slice();
    let len = boxed.len();
    Bytes { data: Box::into_raw(boxed).cast(), len }
}

pub(crate) fn give_ids(ids: Vec<u32>) -> Ids {
    let boxed = ids.into_boxed_slice();
    let len = boxed.len();
    Ids { data: Box::into_raw(boxed).cast(), len }
}

/// Pairs, laid end to end.
pub(crate) fn flat(pairs: &[(usize, usize)]) -> Result<Vec<u32>, String> {
    let all: Result<Vec<u32>, _> = pairs.iter().flat_map(|p| [p.0, p.1]).map(u32::try_from).collect();
    all.map_err(|_| "a text of 4 GiB or more".to_owned())
}

/// Runs `body`, turning errors and panics into a status and a message.
pub(crate) fn guard(error: *mut Bytes, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let message = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return OK,
        Ok(Err(Failure::Stopped)) => return STOPPED,
        Ok(Err(Failure::Message(message))) => message,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            format!("the Rust library panicked: {text}")
        }
    };
    unsafe { *error = give_bytes(message.into_bytes()) };
    FAILED
}

pub(crate) unsafe fn bytes_of<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(data, len) }
}

pub(crate) unsafe fn text_of<'a>(data: *const u8, len: usize) -> Result<&'a str, String> {
    std::str::from_utf8(unsafe { bytes_of(data, len) }).map_err(|e| format!("text is not UTF-8: {e}"))
}

/// # Safety
/// Pointers must be valid for their lengths; `out` and `error` writable. So for every function below.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_load(json: *const u8, len: usize, out: *mut *mut Loaded, error: *mut Bytes) -> i32 {
    guard(error, || {
        let loaded = Loaded::from_json(unsafe { bytes_of(json, len) })?;
        unsafe { *out = Box::into_raw(Box::new(loaded)) };
        Ok(())
    })
}

/// A file of tiktoken ranks. `words`, separated by NUL: pattern, BOS and EOS (see `Ranks`; empty for none), then "ID TEXT" of each special token beside the ranks.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_load_ranks(
    file: *const u8,
    file_len: usize,
    words: *const u8,
    words_len: usize,
    out: *mut *mut Loaded,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let mut words = unsafe { text_of(words, words_len) }?.split('\0');
        let mut next = || words.next().unwrap_or_default();
        let (pattern, bos, eos) = (next(), next(), next());
        let mut special = Vec::new();
        for entry in words.filter(|entry| !entry.is_empty()) {
            let (id, text) = entry.split_once(' ').ok_or("a special token without its id".to_string())?;
            special.push((text.to_owned(), id.parse::<u32>().map_err(|e| e.to_string())?));
        }
        let mut ranks = Ranks::load(unsafe { bytes_of(file, file_len) }, pattern, special)?;
        ranks.set_ends(bos, eos)?;
        unsafe { *out = Box::into_raw(Box::new(Loaded::from_ranks(ranks))) };
        Ok(())
    })
}

/// # Safety
/// `tokenizer` must come from `rialto_tok_load` and not be used afterwards. Null is allowed.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_free(tokenizer: *mut Loaded) {
    if !tokenizer.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(tokenizer) })));
    }
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_encode(
    tokenizer: *const Loaded,
    text: *const u8,
    len: usize,
    add_special: i32,
    out: *mut Ids,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let text = unsafe { text_of(text, len) }?;
        let ids = unsafe { &*tokenizer }.encode(text, add_special != 0)?;
        unsafe { *out = give_ids(ids) };
        Ok(())
    })
}

/// Token ids of `text` without the tokenizer's own template, and in `places` pairs of byte offsets of `text`, one a token.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_encode_places(
    tokenizer: *const Loaded,
    text: *const u8,
    len: usize,
    ids: *mut Ids,
    places: *mut Ids,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let text = unsafe { text_of(text, len) }?;
        let (found, pairs) = unsafe { &*tokenizer }.encode_places(text)?;
        let pairs = flat(&pairs)?;
        unsafe {
            *ids = give_ids(found);
            *places = give_ids(pairs);
        }
        Ok(())
    })
}

/// The special tokens, a NUL behind each.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_special_tokens(tokenizer: *const Loaded, out: *mut Bytes, error: *mut Bytes) -> i32 {
    guard(error, || {
        let tokens: String = unsafe { &*tokenizer }.special_tokens().iter().map(|t| format!("{t}\0")).collect();
        unsafe { *out = give_bytes(tokens.into_bytes()) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_decode(
    tokenizer: *const Loaded,
    ids: *const u32,
    len: usize,
    skip_special: i32,
    out: *mut Bytes,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let ids = if len == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(ids, len) } };
        let text = unsafe { &*tokenizer }.decode(ids, skip_special != 0)?;
        unsafe { *out = give_bytes(text.into_bytes()) };
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_vocab_size(tokenizer: *const Loaded) -> u32 {
    unsafe { &*tokenizer }.vocab_size()
}

/// 1 where most texts are encoded without the `tokenizers` crate, with the same ids.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_is_fast(tokenizer: *const Loaded) -> i32 {
    i32::from(unsafe { &*tokenizer }.is_fast())
}

/// The id of a token, or -1.
/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_id_of(tokenizer: *const Loaded, token: *const u8, len: usize) -> i64 {
    let lookup = || unsafe { text_of(token, len) }.ok().and_then(|t| unsafe { &*tokenizer }.id_of(t));
    catch_unwind(AssertUnwindSafe(lookup)).ok().flatten().map_or(-1, i64::from)
}

/// Trains a byte-level BPE on the texts that `next` gives; `out` gets the tokenizer.json.
/// `special` holds the special tokens, separated by NUL.
/// # Safety
/// As above; `next` must follow `NextText`.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_train_bpe(
    special: *const u8,
    special_len: usize,
    vocab_size: u64,
    min_frequency: u64,
    threads: usize,
    next: NextText,
    user: *mut c_void,
    out: *mut Bytes,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let special = unsafe { text_of(special, special_len) }?;
        let special: Vec<String> = special.split('\0').filter(|t| !t.is_empty()).map(String::from).collect();
        let mut counter = WordCounter::new(threads);
        let mut batch: Vec<String> = Vec::new();
        let mut bytes = 0;
        loop {
            let (mut data, mut len) = (std::ptr::null(), 0);
            let status = unsafe { next(user, &mut data, &mut len) };
            if status < 0 {
                return Err(Failure::Stopped);
            }
            if status > 0 {
                batch.push(unsafe { text_of(data, len) }?.to_owned());
                bytes += len;
            }
            if status == 0 || bytes >= BATCH_BYTES {
                counter.add(&batch)?;
                batch.clear();
                bytes = 0;
            }
            if status == 0 {
                break;
            }
        }
        let frequency = i64::try_from(min_frequency).map_err(|e| e.to_string())?;
        let size = usize::try_from(vocab_size).map_err(|e| e.to_string())?;
        let trained = train::train(counter.into_sorted(), &special, size, frequency)?;
        unsafe { *out = give_bytes(train::to_json(&trained, &special)?.into_bytes()) };
        Ok(())
    })
}

/// # Safety
/// `bytes` must come from this library and not be freed twice.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_free_bytes(bytes: Bytes) {
    if !bytes.data.is_null() {
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes.data, bytes.len)) });
    }
}

/// # Safety
/// `ids` must come from this library and not be freed twice.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_free_ids(ids: Ids) {
    if !ids.data.is_null() {
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(ids.data, ids.len)) });
    }
}
