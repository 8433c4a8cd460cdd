//! The shapes of payloads, shared by all brokers of the process.

use napi_derive::napi;
use sluice_core::Shapes;

static SHAPES: Shapes = Shapes::new();

/// The number of a shape, given as JSON of its keys; left out where no more are kept.
#[napi]
pub fn payload_shape_number(text: String) -> Option<u32> {
    SHAPES.number(&text)
}

/// The shape that has this number.
#[napi]
pub fn payload_shape(number: u32) -> Option<String> {
    SHAPES.text(number)
}
