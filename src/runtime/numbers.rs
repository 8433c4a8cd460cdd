//! Numbers of JavaScript and of the core: doubles and milliseconds there, integers and nanoseconds here. The other
//! modules convert between them by these functions only.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "each function says what is exact and what becomes of the rest"
)]

use sluice_core::runtime::clock::{self, MS};

/// An integer type of the core.
pub(crate) trait Integer {
    fn to_double(self) -> f64;

    fn from_double(double: f64) -> Self;
}

macro_rules! integers {
    ($($Type:ty)*) => {
        $(
            impl Integer for $Type {
                #[inline]
                fn to_double(self) -> f64 {
                    self as f64
                }

                #[inline]
                fn from_double(double: f64) -> Self {
                    double as Self
                }
            }
        )*
    };
}

integers! { i64 u32 u64 usize }

/// The integer as JavaScript gets it: exact up to 2^53, beyond that the nearest double.
#[inline]
pub(crate) fn double(integer: impl Integer) -> f64 {
    integer.to_double()
}

/// A double that JavaScript has checked to be an integer: exact where the type holds it. Any other is truncated
/// toward zero; one out of range becomes the nearest value of the type, and NaN becomes 0.
#[inline]
pub(crate) fn integer<T: Integer>(double: f64) -> T {
    T::from_double(double)
}

/// An integer that JavaScript has checked to be positive.
#[inline]
pub(crate) fn natural(integer: i32) -> u64 {
    u64::from(integer.cast_unsigned())
}

/// The last 32 bits: exact below 2^31.
#[inline]
pub(crate) fn last_bits(integer: u64) -> i32 {
    integer as i32
}

/// Bits of the second of two [`parts`]. With as many more in the first, both are positive and fit V8's integers where
/// it compresses pointers.
const PART: u32 = 27;

/// An integer below 2^54 in two parts.
#[inline]
pub(crate) fn parts(integer: u64) -> [i32; 2] {
    [last_bits(integer >> PART), last_bits(integer & ((1 << PART) - 1))]
}

/// The inverse of [`parts`].
#[inline]
pub(crate) fn of_parts([first, second]: [i32; 2]) -> u64 {
    natural(first) << PART | natural(second)
}

/// Milliseconds, with fractions. Nanoseconds since 1970 are more than a double counts: in one division, whole
/// milliseconds would not come out whole, and what is due at one of them would be early or late.
#[inline]
pub(crate) fn in_ms(nanos: u64) -> f64 {
    double(nanos / MS) + double(nanos % MS) / double(MS)
}

/// The inverse of [`in_ms`]; exact for whole milliseconds.
#[inline]
pub(crate) fn from_ms(ms: f64) -> u64 {
    from_whole_ms(ms) + integer::<u64>(ms.fract() * double(MS))
}

/// Whole milliseconds, rounded up: a reported wait is never too short. Exact, as 2^64 nanoseconds are fewer than
/// 2^53 milliseconds.
#[inline]
pub(crate) fn ceil_ms(nanos: u64) -> f64 {
    double(clock::ceil_ms(nanos))
}

/// Nanoseconds from milliseconds, whose fraction is dropped. Exact; the caller has checked that the result is less than
/// 2^64, which is 584 years.
#[inline]
pub(crate) fn from_whole_ms(ms: f64) -> u64 {
    integer::<u64>(ms) * MS
}
