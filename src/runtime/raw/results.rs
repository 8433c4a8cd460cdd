//! Values for JavaScript.

use std::ptr;

use napi::bindgen_prelude::Result;
use napi::{check_status, sys};

use super::Call;

impl<const N: usize> Call<'_, N> {
    pub(crate) fn int(&self, value: i32) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_create_int32(self.env, value, &mut result) })?;
        Ok(result)
    }

    pub(crate) fn number(&self, value: f64) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_create_double(self.env, value, &mut result) })?;
        Ok(result)
    }

    pub(crate) fn string(&self, text: &str) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback; the text is valid UTF-8 of this length.
        check_status!(unsafe {
            sys::napi_create_string_utf8(self.env, text.as_ptr().cast(), text.len() as isize, &mut result)
        })?;
        Ok(result)
    }

    pub(crate) fn boolean(&self, value: bool) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_get_boolean(self.env, value, &mut result) })?;
        Ok(result)
    }

    pub(crate) fn undefined(&self) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_get_undefined(self.env, &mut result) })?;
        Ok(result)
    }
}
