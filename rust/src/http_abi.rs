//! The C ABI of the HTTP client and of SHA-256. Statuses and buffers are those of `abi`.

use crate::abi::{bytes_of, guard, text_of, Bytes, Failure};
use crate::http::{self, Client};
use sha2::{Digest, Sha256};
use std::ffi::c_void;

/// The status line's number and the headers, "name: value" lines. Negative: stop.
pub type OnHead = unsafe extern "C" fn(user: *mut c_void, status: u16, headers: *const u8, len: usize) -> i32;
/// The next bytes of the body. Negative: stop.
pub type OnBody = unsafe extern "C" fn(user: *mut c_void, data: *const u8, len: usize) -> i32;

/// # Safety
/// Pointers must be valid for their lengths; `out` and `error` writable. So for every function below.
#[no_mangle]
pub unsafe extern "C" fn rialto_http_new(
    user_agent: *const u8,
    user_agent_len: usize,
    authorities: *const u8,
    authorities_len: usize,
    out: *mut *mut Client,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let agent = unsafe { text_of(user_agent, user_agent_len) }?;
        let client = Client::new(agent, unsafe { bytes_of(authorities, authorities_len) })?;
        unsafe { *out = Box::into_raw(Box::new(client)) };
        Ok(())
    })
}

/// # Safety
/// `client` must come from `rialto_http_new` and not be used afterwards. Null is allowed.
#[no_mangle]
pub unsafe extern "C" fn rialto_http_free(client: *mut Client) {
    if !client.is_null() {
        drop(unsafe { Box::from_raw(client) });
    }
}

/// # Safety
/// As above; the callbacks must not unwind.
#[no_mangle]
pub unsafe extern "C" fn rialto_http_fetch(
    client: *const Client,
    head: i32,
    url: *const u8,
    url_len: usize,
    headers: *const u8,
    headers_len: usize,
    on_head: OnHead,
    on_body: OnBody,
    user: *mut c_void,
    error: *mut Bytes,
) -> i32 {
    guard(error, || {
        let url = unsafe { text_of(url, url_len) }?;
        let headers = unsafe { text_of(headers, headers_len) }?;
        let result = unsafe { &*client }.fetch(
            head != 0,
            url,
            headers,
            |status, lines| unsafe { on_head(user, status, lines.as_ptr(), lines.len()) } >= 0,
            |bytes| unsafe { on_body(user, bytes.as_ptr(), bytes.len()) } >= 0,
        );
        result.map_err(|failure| match failure {
            http::Failure::Message(message) => Failure::Message(message),
            http::Failure::Stopped => Failure::Stopped,
        })
    })
}

#[no_mangle]
pub extern "C" fn rialto_sha256_new() -> *mut Sha256 {
    Box::into_raw(Box::new(Sha256::new()))
}

/// # Safety
/// As above; `hash` must come from `rialto_sha256_new`.
#[no_mangle]
pub unsafe extern "C" fn rialto_sha256_update(hash: *mut Sha256, data: *const u8, len: usize) {
    unsafe { &mut *hash }.update(unsafe { bytes_of(data, len) });
}

/// 64 hexadecimal digits of everything so far.
/// # Safety
/// As above; `out` has room for 64 bytes.
#[no_mangle]
pub unsafe extern "C" fn rialto_sha256_hex(hash: *const Sha256, out: *mut u8) {
    let digest = unsafe { &*hash }.clone().finalize();
    for (i, byte) in digest.iter().enumerate() {
        for (half, digit) in [byte >> 4, byte & 15].into_iter().enumerate() {
            unsafe { *out.add(2 * i + half) = b"0123456789abcdef"[usize::from(digit)] };
        }
    }
}

/// # Safety
/// `hash` must come from `rialto_sha256_new` and not be used afterwards. Null is allowed.
#[no_mangle]
pub unsafe extern "C" fn rialto_sha256_free(hash: *mut Sha256) {
    if !hash.is_null() {
        drop(unsafe { Box::from_raw(hash) });
    }
}
