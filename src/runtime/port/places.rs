//! The arrays by which numbers cross beside the arguments of a call. A number in an array costs less than an argument.

use std::cell::{Cell, UnsafeCell};

use napi::sys;

use crate::runtime::seam::Layout;

/// Places of the array of numbers, a `Float64Array`.
pub(crate) const NUMBERS: usize = 16;

/// Places of the array of integers, an `Int32Array`. JavaScript reads and writes them without boxes.
pub(crate) const INTEGERS: usize = 16;

/// What a place of a shared array holds.
pub(crate) trait Place: Copy + 'static {
    /// What JavaScript calls the array.
    const ARRAY: &'static str;
    /// How many places it has.
    const COUNT: usize;
    /// Its type.
    const KIND: sys::napi_typedarray_type;

    /// Where it lies.
    fn array(places: &Places) -> &Cell<*mut Self>;
}

impl Place for f64 {
    const ARRAY: &'static str = "numbers";
    const COUNT: usize = NUMBERS;
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::float64_array;

    fn array(places: &Places) -> &Cell<*mut Self> {
        &places.numbers
    }
}

#[expect(clippy::use_self, reason = "that kinds are numbered by an i32 is chance")]
impl Place for i32 {
    const ARRAY: &'static str = "integers";
    const COUNT: usize = INTEGERS;
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::int32_array;

    fn array(places: &Places) -> &Cell<*mut Self> {
        &places.integers
    }
}

/// Where the arrays of a port lie. Each pointer is to at least `COUNT` places, at all times.
pub(crate) struct Places {
    numbers: Cell<*mut f64>,
    integers: Cell<*mut i32>,
    /// Stands in while JavaScript shares no arrays. It has no handle, so every call by handle fails.
    own: Box<OwnArrays>,
}

struct OwnArrays {
    numbers: UnsafeCell<[f64; NUMBERS]>,
    integers: UnsafeCell<[i32; INTEGERS]>,
}

impl Default for Places {
    fn default() -> Self {
        let own = Box::new(OwnArrays {
            numbers: UnsafeCell::new([-1.0; NUMBERS]),
            integers: UnsafeCell::new([-1; INTEGERS]),
        });
        let places =
            Self { numbers: Cell::new(std::ptr::null_mut()), integers: Cell::new(std::ptr::null_mut()), own };
        places.detach();
        places
    }
}

impl Places {
    /// Shares an array of JavaScript from now on.
    ///
    /// # Safety
    ///
    /// `array` has `COUNT` places or more, which stay where they are until [`detach`](Self::detach) or as long as
    /// `self` is used.
    pub(super) unsafe fn attach<P: Place>(&self, array: *mut P) {
        P::array(self).set(array);
    }

    /// Shares no arrays of JavaScript any more.
    pub(super) fn detach(&self) {
        self.numbers.set(self.own.numbers.get().cast());
        self.integers.set(self.own.integers.get().cast());
    }

    /// Writes a layout where JavaScript reads it after the call.
    #[inline(always)]
    pub(super) fn write<T: Layout>(&self, values: T) {
        const { assert!(T::FIRST + T::LENGTH <= T::Place::COUNT) };
        // SAFETY: `attach` and `detach` keep a pointer to `COUNT` places, which this thread alone uses. A layout consists
        // of places only, so the array's alignment is enough.
        unsafe { T::Place::array(self).get().add(T::FIRST).cast::<T>().write(values) };
    }

    /// Reads a layout that JavaScript wrote before the call.
    #[inline(always)]
    pub(super) fn read<T: Layout>(&self) -> T {
        const { assert!(T::FIRST + T::LENGTH <= T::Place::COUNT) };
        // SAFETY: as in `write`; any bits are a valid layout.
        unsafe { T::Place::array(self).get().add(T::FIRST).cast::<T>().read() }
    }
}
