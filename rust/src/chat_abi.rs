//! The C ABI of chat templates, with the status and the buffers of abi.rs.

use crate::abi::{bytes_of, flat, give_bytes, give_ids, guard, text_of, Bytes, Ids};
use crate::chat::ChatTemplate;

/// # Safety
/// As in abi.rs.
#[no_mangle]
pub unsafe extern "C" fn rialto_chat_load(text: *const u8, len: usize, out: *mut *mut ChatTemplate, error: *mut Bytes) -> i32 {
    guard(error, || {
        let template = ChatTemplate::new(unsafe { text_of(text, len) }?)?;
        unsafe { *out = Box::into_raw(Box::new(template)) };
        Ok(())
    })
}

/// # Safety
/// `template` must come from `rialto_chat_load` and not be used afterwards. Null is allowed.
#[no_mangle]
pub unsafe extern "C" fn rialto_chat_free(template: *mut ChatTemplate) {
    if !template.is_null() {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(unsafe { Box::from_raw(template) })));
    }
}

/// The text in `out`; in `spans`, pairs of byte offsets of what the template marks as generated. `now`: seconds of the
/// epoch; negative: there is no clock.
/// # Safety
/// As in abi.rs.
#[no_mangle]
pub unsafe extern "C" fn rialto_chat_render(
    template: *const ChatTemplate,
    context: *const u8,
    context_len: usize,
    now: i64,
    out: *mut Bytes,
    spans: *mut Ids,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let context = unsafe { bytes_of(context, context_len) };
        let rendered = unsafe { &*template }.render(context, (now >= 0).then_some(now))?;
        let places = flat(&rendered.spans)?;
        unsafe {
            *out = give_bytes(rendered.text.into_bytes());
            *spans = give_ids(places);
        }
        Ok(())
    })
}

/// 1 when the template says what the assistant generates.
/// # Safety
/// As in abi.rs.
#[no_mangle]
pub unsafe extern "C" fn rialto_chat_has_markers(template: *const ChatTemplate) -> i32 {
    unsafe { &*template }.has_markers().into()
}
