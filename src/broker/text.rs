//! Text between JavaScript and an inbox: exact, and read in one pass if it is ASCII.

use napi::bindgen_prelude::{Error, Result, Status};
use napi::{check_status, sys};

/// UTF-8, and whether it is ASCII throughout.
pub(super) type Text = (Vec<u8>, bool);

/// Reads a string of `length` code units. ASCII takes one byte for each; any other text is read a second time.
pub(super) fn read(env: sys::napi_env, value: sys::napi_value, length: usize) -> Result<Text> {
    let text = read_up_to(env, value, length + 1)?;
    if text.len() == length && text.is_ascii() {
        return Ok((text, true));
    }
    // UTF-8 takes at most three bytes for a code unit.
    Ok((read_up_to(env, value, 3 * length + 1)?, false))
}

/// As many whole characters as fit; Node adds a zero.
fn read_up_to(env: sys::napi_env, value: sys::napi_value, room: usize) -> Result<Vec<u8>> {
    let mut bytes = with_room(room)?;
    let mut written = 0;
    // SAFETY: an argument of the running callback; Node writes at most `room` bytes.
    check_status!(unsafe {
        sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), room, &mut written)
    })?;
    if written >= room {
        return Err(Error::new(Status::GenericFailure, "sluice: a text is longer than its given length"));
    }
    // SAFETY: Node wrote so many.
    unsafe { bytes.set_len(written) };
    Ok(bytes)
}

/// An empty vector with capacity for so many bytes.
///
/// # Errors
///
/// If there is no memory for it.
pub(super) fn with_room(bytes: usize) -> Result<Vec<u8>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(bytes).map_err(|_| {
        Error::new(Status::GenericFailure, format!("sluice: no memory for a message of {bytes} bytes"))
    })?;
    Ok(vec)
}

pub(super) fn create(env: sys::napi_env, text: &[u8], is_ascii: bool) -> Result<sys::napi_value> {
    let (mut value, length) = (std::ptr::null_mut(), text.len() as isize);
    // SAFETY: the environment runs this callback. ASCII is also Latin-1; any other text was read as UTF-8.
    check_status!(unsafe {
        if is_ascii {
            sys::napi_create_string_latin1(env, text.as_ptr().cast(), length, &mut value)
        } else {
            sys::napi_create_string_utf8(env, text.as_ptr().cast(), length, &mut value)
        }
    })?;
    Ok(value)
}
