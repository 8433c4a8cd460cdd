//! Raw Node-API callbacks: arguments in, a number or text out, nothing allocated on the way.

mod answer;
mod arguments;
mod results;
mod text;

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::bindgen_prelude::{Env, Object, Result};
use napi::{Error, Status, check_status, sys};

pub(crate) use self::answer::{Admission, Answer, CONSTANTS, DONE, IN_NUMBERS, Leave, Left};
pub(crate) use self::text::{KEYS_AT_ONCE, TextBuffer};
use crate::runtime::error;
use crate::runtime::port::Port;
use crate::runtime::seam;
use crate::runtime::slab::{Held, Slab};

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The exports of the module that is being loaded.
pub(crate) struct Exports<'a> {
    env: sys::napi_env,
    object: sys::napi_value,
    port: &'a Port,
}

impl<'a> Exports<'a> {
    pub(crate) fn new(env: &Env, object: &Object<'_>, port: &'a Port) -> Self {
        Self { env: env.raw(), object: napi::JsValue::raw(object), port }
    }

    /// Adds a function whose calls reach `callback` with this port. Its signature is as TypeScript has it:
    /// `name(argument: type): result`; what JavaScript passes is not checked against it here.
    pub(crate) fn function(&self, signature: &'static str, callback: Callback) -> Result<()> {
        seam::register_function(signature);
        let name = signature.split('(').next().unwrap_or(signature);
        let c_name = CString::new(name).map_err(|_| Error::from_status(Status::InvalidArg))?;
        let mut function = ptr::null_mut();
        let port = (&raw const *self.port).cast_mut().cast::<c_void>();
        // SAFETY: the environment is loading us; the port outlives every JavaScript call of its thread.
        check_status!(unsafe {
            sys::napi_create_function(
                self.env,
                c_name.as_ptr(),
                name.len() as isize,
                Some(callback),
                port,
                &mut function,
            )
        })?;
        // SAFETY: both values belong to this environment and live in its current scope.
        check_status!(unsafe {
            sys::napi_set_named_property(self.env, self.object, c_name.as_ptr(), function)
        })
    }
}

/// One call with `N` arguments; missing ones are `undefined`.
pub(crate) struct Call<'a, const N: usize> {
    pub(crate) env: sys::napi_env,
    pub(crate) args: [sys::napi_value; N],
    pub(crate) port: &'a Port,
}

impl<const N: usize> Call<'_, N> {
    /// Runs `body` and gives its value to JavaScript: errors are thrown, a panic becomes an error.
    ///
    /// Only for use inside a callback that [`Exports::function`] registered.
    #[inline(always)]
    pub(crate) fn answer(
        env: sys::napi_env,
        info: sys::napi_callback_info,
        body: impl FnOnce(&Call<'_, N>) -> Result<sys::napi_value>,
    ) -> sys::napi_value {
        let mut args = [ptr::null_mut(); N];
        let mut count = N;
        let mut data = ptr::null_mut();
        // A call without arguments asks for none, which costs less.
        let (count, to): (*mut usize, *mut sys::napi_value) =
            if N == 0 { (ptr::null_mut(), ptr::null_mut()) } else { (&raw mut count, args.as_mut_ptr()) };
        // SAFETY: Node passes `env` and `info` of the running callback; `args` has room for `count`.
        let status = unsafe { sys::napi_get_cb_info(env, info, count, to, ptr::null_mut(), &mut data) };
        if status != sys::Status::napi_ok || data.is_null() {
            error::throw_fault(env);
            return ptr::null_mut();
        }
        // SAFETY: `Exports::function` passed a port, which lives as long as its thread runs JavaScript.
        let port = unsafe { &*data.cast::<Port>() };
        let call = Call { env, args, port };
        // Errors are thrown inside, so that no more than a value comes out: what comes out is copied.
        let value = catch_unwind(AssertUnwindSafe(|| {
            body(&call).unwrap_or_else(|error| {
                error::throw_napi(env, port, &error);
                ptr::null_mut()
            })
        }));
        value.unwrap_or_else(|_| {
            error::throw_fault(env);
            ptr::null_mut()
        })
    }

    /// As [`answer`](Self::answer), for calls that are made for every request: the answer lies among the integers, and
    /// JavaScript gets `undefined`, which costs nothing.
    #[inline(always)]
    pub(crate) fn quick<L: Leave>(
        env: sys::napi_env,
        info: sys::napi_callback_info,
        body: impl FnOnce(&Call<'_, N>) -> Result<L>,
    ) -> sys::napi_value {
        Self::answer(env, info, |call| {
            body(call)?.leave(call.port);
            Ok(ptr::null_mut())
        })
    }

    /// Runs `body` on an instance of this thread, by the handle of argument 0. The borrow of the thread's
    /// handles ends before JavaScript runs again.
    pub(crate) fn on<H: Held, R>(
        &self,
        slab: &RefCell<Slab<H>>,
        body: impl FnOnce(&H::Instance) -> R,
    ) -> Result<R> {
        let handle = self.u32(0)?;
        Ok(body(slab.borrow().get(handle)?.instance()))
    }

    /// A core error, to be thrown.
    pub(crate) fn check<T>(&self, result: sluice_core::Result<T>) -> Result<T> {
        result.map_err(|core| error::throw_core(self.env, self.port, &core))
    }
}
