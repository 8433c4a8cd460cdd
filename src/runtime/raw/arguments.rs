//! Arguments that are numbers, arrays or objects.

use std::ffi::c_void;
use std::ptr;
use std::slice;

use napi::bindgen_prelude::Result;
use napi::{Error, Status, check_status, sys};

use super::Call;
use crate::runtime::error;
use crate::runtime::numbers::integer;
use crate::runtime::port::Place;
use crate::runtime::seam::Layout;

/// The largest integer a JavaScript number counts exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

impl<const N: usize> Call<'_, N> {
    pub(crate) fn u32(&self, index: usize) -> Result<u32> {
        let mut value = 0;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_value_uint32(self.env, self.args[index], &mut value) })?;
        Ok(value)
    }

    pub(crate) fn f64(&self, index: usize) -> Result<f64> {
        let mut value = 0.0;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_value_double(self.env, self.args[index], &mut value) })?;
        Ok(value)
    }

    /// A cost: an integer from 1 to 2^53 - 1.
    pub(crate) fn cost(&self, index: usize) -> Result<u64> {
        match self.f64(index) {
            Ok(cost) if (1.0..=MAX_SAFE_INTEGER).contains(&cost) && cost.fract() == 0.0 => Ok(integer(cost)),
            _ => Err(error::invalid_cost(self.env, self.args[index])),
        }
    }

    /// The memory of a typed array of at least `length` places, kept for the life of the port.
    pub(crate) fn pinned<P: Place>(&self, index: usize, length: usize) -> Result<*mut P> {
        let data = self.typed_array(index, P::KIND, length)?;
        self.reference(index, true)?;
        Ok(data.cast())
    }

    /// Runs `body` on the memory of a `Uint8Array` of at least `length` bytes. It runs no JavaScript.
    pub(crate) fn with_bytes<R>(
        &self,
        index: usize,
        length: usize,
        body: impl FnOnce(&mut [u8]) -> Result<R>,
    ) -> Result<R> {
        let data = self.typed_array(index, sys::TypedarrayType::uint8_array, length)?;
        if length == 0 {
            return body(&mut []);
        }
        // SAFETY: the array has so many bytes, an argument keeps it, and no JavaScript runs while `body` does.
        body(unsafe { slice::from_raw_parts_mut(data.cast(), length) })
    }

    /// Writes layouts one behind the other into a `Float64Array` with room for `most`.
    pub(crate) fn with_layouts<L: Layout<Place = f64>>(
        &self,
        index: usize,
        layouts: impl Iterator<Item = L>,
        most: usize,
    ) -> Result<()> {
        let array: *mut L = self.typed_array(index, f64::KIND, most * L::LENGTH)?.cast();
        for (at, layout) in layouts.take(most).enumerate() {
            // SAFETY: the array has room for `most` layouts, which consist of its numbers only; an argument keeps it.
            unsafe { array.add(at).write(layout) };
        }
        Ok(())
    }

    fn typed_array(
        &self,
        index: usize,
        kind: sys::napi_typedarray_type,
        length: usize,
    ) -> Result<*mut c_void> {
        let (mut found_kind, mut found, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: an argument of the running callback.
        check_status!(unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                self.args[index],
                &mut found_kind,
                &mut found,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        })?;
        if found_kind != kind || found < length {
            return Err(Error::new(Status::InvalidArg, "sluice: a longer typed array is needed"));
        }
        Ok(data)
    }

    /// A reference to an argument, which ends with the port. It keeps its value only where `keeps` says so.
    pub(crate) fn reference(&self, index: usize, keeps: bool) -> Result<sys::napi_ref> {
        let (mut reference, count) = (ptr::null_mut(), u32::from(keeps));
        // SAFETY: an argument of the running callback.
        check_status!(unsafe {
            sys::napi_create_reference(self.env, self.args[index], count, &mut reference)
        })?;
        self.port.hold(reference);
        Ok(reference)
    }
}
