//! The C ABI of chat templates, with the status and the buffers of abi.rs.

use crate::abi::{bytes_of, give_bytes, give_ids, guard, text_of, Bytes, Failure, Ids};
use crate::{chat, Loaded};

/// The text in `out`; in `spans`, pairs of byte offsets of what the template marks as generated. `now`: seconds of the epoch;
/// negative: the clock's.
/// # Safety
/// As in abi.rs.
#[no_mangle]
pub unsafe extern "C" fn rialto_chat_render(
    template: *const u8,
    template_len: usize,
    context: *const u8,
    context_len: usize,
    now: i64,
    out: *mut Bytes,
    spans: *mut Ids,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let template = unsafe { text_of(template, template_len) }?;
        let context = unsafe { text_of(context, context_len) }?;
        let rendered = chat::render(template, context, (now >= 0).then_some(now))?;
        let flat: Result<Vec<u32>, _> = rendered.spans.iter().flat_map(|s| [s.0, s.1]).map(u32::try_from).collect();
        let flat = flat.map_err(|_| Failure::from("a text of 4 GiB or more".to_owned()))?;
        unsafe {
            *out = give_bytes(rendered.text.into_bytes());
            *spans = give_ids(flat);
        }
        Ok(())
    })
}

/// 1 when the template says what the assistant generates.
/// # Safety
/// As in abi.rs.
#[no_mangle]
pub unsafe extern "C" fn rialto_chat_has_markers(template: *const u8, len: usize) -> i32 {
    unsafe { text_of(template, len) }.is_ok_and(chat::has_markers).into()
}

/// Token ids of `text` without the tokenizer's own template, and pairs of byte offsets of `text`, one a token.
/// # Safety
/// As in abi.rs.
#[no_mangle]
pub unsafe extern "C" fn rialto_tok_encode_offsets(
    tokenizer: *const Loaded,
    text: *const u8,
    len: usize,
    ids: *mut Ids,
    offsets: *mut Ids,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let text = unsafe { text_of(text, len) }?;
        let (found, places) = unsafe { &*tokenizer }.encode_offsets(text)?;
        let flat: Result<Vec<u32>, _> = places.iter().flat_map(|s| [s.0, s.1]).map(u32::try_from).collect();
        let flat = flat.map_err(|_| Failure::from("a text of 4 GiB or more".to_owned()))?;
        unsafe {
            *ids = give_ids(found);
            *offsets = give_ids(flat);
        }
        Ok(())
    })
}
