//! The one place where errors of the core become errors of JavaScript.
//!
//! They are made with the `SluiceError` of the calling copy and thrown at once; what travels on through
//! Rust only says that an exception is pending.

use std::ffi::CString;
use std::ptr;

use napi::bindgen_prelude::{Env, Result};
use napi::{Error, Status, sys};

use crate::rate_limiter::{ELSEWHERE, HELD, LimiterCall};
use crate::runtime::port::Port;
use crate::runtime::slab::NO_SUCH_HANDLE;
use crate::runtime::thread;

/// Throws a mistake or fault of the core as a `SluiceError`.
#[cold]
#[inline(never)]
pub(crate) fn throw_core(env: sys::napi_env, port: &Port, core: &sluice_core::Error) -> Error {
    throw(env, port, core.code(), &core.to_string())
}

/// As [`throw_core`], for `#[napi]` functions.
pub(crate) fn check<T>(env: &Env, result: sluice_core::Result<T>) -> Result<T> {
    result.map_err(|core| match thread::port_of(env) {
        Ok(port) => throw_core(env.raw(), port, &core),
        Err(error) => error,
    })
}

#[cold]
pub(crate) fn invalid_key(env: sys::napi_env, given: sys::napi_value) -> Error {
    throw_invalid(env, "INVALID_KEY", "key", given, "a non-empty string")
}

pub(crate) fn invalid_peer(env: sys::napi_env, given: sys::napi_value) -> Error {
    throw_invalid(env, "INVALID_KEY", "peer", given, "a non-empty string without lone surrogates")
}

#[cold]
pub(crate) fn invalid_cost(env: sys::napi_env, given: sys::napi_value) -> Error {
    throw_invalid(env, "INVALID_COST", "cost", given, "an integer from 1 to 9007199254740991")
}

#[cold]
pub(crate) fn invalid_address(env: sys::napi_env, given: sys::napi_value) -> Error {
    let accepted = "IPv4 or IPv6 as a string, with or without brackets, port and zone";
    throw_invalid(env, "INVALID_ADDRESS", "address", given, accepted)
}

#[cold]
pub(crate) fn invalid_detail(env: sys::napi_env, given: sys::napi_value) -> Error {
    throw_invalid(env, "INVALID_VALUE", "detail", given, "a string, or undefined for none")
}

/// A synchronous call of a limiter that counts on a server.
fn counts_elsewhere(env: sys::napi_env, port: &Port) {
    let message = "a synchronous call cannot await Redis, where this limiter counts; accepted: consumeAsync, peekAsync, \
                   refundAsync, penalizeAsync, blockAsync, resetAsync";
    throw(env, port, "UNSUPPORTED", message);
}

/// Throws an error of napi itself, unless one is pending. Here, off the path of calls that succeed, a handle is found to
/// stand for a limiter that counts on a server.
#[cold]
pub(crate) fn throw_napi(env: sys::napi_env, port: &Port, error: &Error) {
    let LimiterCall { handle, .. } = port.read();
    if error.reason == NO_SUCH_HANDLE && is_elsewhere(port, handle) {
        counts_elsewhere(env, port);
    } else if error.status != Status::PendingException {
        throw_plain(env, &error.to_string());
    }
}

/// Whether a handle stands for a limiter that counts on a server, whether or not it decides some calls by leases.
fn is_elsewhere(port: &Port, handle: i32) -> bool {
    let is_held = || port.thread().fleets.borrow().get(HELD.wrapping_sub(handle).cast_unsigned()).is_ok();
    handle == ELSEWHERE || is_held()
}

/// An internal error: a panic was caught. Thrown by the call that caused it.
#[cold]
pub(crate) fn throw_fault(env: sys::napi_env) {
    throw_plain(env, "sluice: internal fault; please report it with what was called");
}

fn throw_invalid(
    env: sys::napi_env,
    code: &str,
    what: &str,
    given: sys::napi_value,
    accepted: &str,
) -> Error {
    let message = format!("{what} is {}; accepted: {accepted}", describe(env, given));
    match thread::port_of(&Env::from_raw(env)) {
        Ok(port) => throw(env, port, code, &message),
        Err(error) => error,
    }
}

fn throw(env: sys::napi_env, port: &Port, code: &str, message: &str) -> Error {
    match make_error(env, port, code, message) {
        // SAFETY: the environment runs this thread's callback; `error` is in its scope.
        Some(error) => unsafe { sys::napi_throw(env, error) },
        None => return Error::new(Status::GenericFailure, message.to_owned()),
    };
    Error::new(Status::PendingException, message.to_owned())
}

/// `new SluiceError(code, message)`.
fn make_error(env: sys::napi_env, port: &Port, code: &str, message: &str) -> Option<sys::napi_value> {
    let (mut class, mut error) = (ptr::null_mut(), ptr::null_mut());
    let args = [text(env, code)?, text(env, message)?];
    // SAFETY: the reference was made by this environment and ends with it; all values are in scope.
    let ok = unsafe {
        sys::napi_get_reference_value(env, port.error_class(), &mut class) == sys::Status::napi_ok
            && sys::napi_new_instance(env, class, args.len(), args.as_ptr(), &mut error)
                == sys::Status::napi_ok
    };
    ok.then_some(error)
}

fn text(env: sys::napi_env, text: &str) -> Option<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: the environment runs this thread's callback; the text is valid UTF-8 of this length.
    let status =
        unsafe { sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value) };
    (status == sys::Status::napi_ok).then_some(value)
}

fn throw_plain(env: sys::napi_env, message: &str) {
    let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
    // SAFETY: the environment runs this thread's callback.
    unsafe { sys::napi_throw_error(env, ptr::null(), message.as_ptr()) };
}

/// What was given, for a message: primitives as they are written, the rest by kind.
fn describe(env: sys::napi_env, value: sys::napi_value) -> String {
    let mut kind = sys::ValueType::napi_undefined;
    if value.is_null() {
        return "undefined".to_owned();
    }
    // SAFETY: an argument of the running callback.
    unsafe { sys::napi_typeof(env, value, &mut kind) };
    match kind {
        sys::ValueType::napi_string => {
            let text = printed(env, value);
            if text.chars().count() > 80 {
                format!("{:?}…", text.chars().take(80).collect::<String>())
            } else {
                format!("{text:?}")
            }
        }
        sys::ValueType::napi_number | sys::ValueType::napi_boolean => printed(env, value),
        sys::ValueType::napi_undefined => "undefined".to_owned(),
        sys::ValueType::napi_null => "null".to_owned(),
        sys::ValueType::napi_symbol => "a symbol".to_owned(),
        sys::ValueType::napi_function => "a function".to_owned(),
        sys::ValueType::napi_bigint => "a bigint".to_owned(),
        _ => "an object".to_owned(),
    }
}

/// The first characters of a primitive's text.
fn printed(env: sys::napi_env, value: sys::napi_value) -> String {
    let mut as_text = ptr::null_mut();
    let mut bytes = [0_u8; 400];
    let mut length = 0;
    // SAFETY: a primitive argument of the running callback, whose conversion runs no user code; Node
    // writes at most the buffer's length.
    unsafe {
        if sys::napi_coerce_to_string(env, value, &mut as_text) != sys::Status::napi_ok {
            return String::new();
        }
        sys::napi_get_value_string_utf8(env, as_text, bytes.as_mut_ptr().cast(), bytes.len(), &mut length);
    }
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
