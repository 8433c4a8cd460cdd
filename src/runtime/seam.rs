//! What JavaScript and Rust both have to know, declared once: layouts of numbers, codes, options, raw functions.
//!
//! `npm run build` asks the built addon for these declarations ([`describe`]) and writes `lib/runtime/layouts.js` and the
//! types of the raw functions from them. Nothing on the other side is numbered by hand.

use std::fmt::Write;
use std::sync::Mutex;

use napi::bindgen_prelude::{Error, Result, Status};
use sluice_core::runtime::options::{Accepts, Field};

use crate::runtime::port::Place;

/// Numbers that cross beside the arguments of a call, at fixed places of a shared array.
///
/// # Safety
///
/// The type is `repr(C)` and consists of `Place`s only, so it has no padding and any bits are a valid value. [`layout!`]
/// makes such types.
pub(crate) unsafe trait Layout: Copy {
    /// What each of its places holds: `f64` in the array of numbers, `i32` in that of integers.
    type Place: Place;
    /// Where it begins in the array.
    const FIRST: usize;
    /// Its description for JavaScript.
    const DESCRIPTION: LayoutDescription;
    /// How many places it has.
    const LENGTH: usize = size_of::<Self>() / size_of::<Self::Place>();
}

/// A layout as JavaScript sees it.
pub(crate) struct LayoutDescription {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    /// What its array is called.
    pub(crate) places: &'static str,
    pub(crate) first: usize,
    /// How many places it has.
    pub(crate) length: usize,
    /// Name, place relative to `first`, unit.
    pub(crate) slots: &'static [(&'static str, usize, &'static str)],
}

/// Declares a [`Layout`], of numbers; of integers where `: i32` follows its name. A slot is one place, or `[n]` of them.
macro_rules! layout {
    (
        @of $Place:ident
        $(#[doc = $doc:literal])*
        $visibility:vis struct $Name:ident = $name:literal from $first:expr => {
            $($(#[doc = $slot_doc:literal])* $slot:ident $([$width:expr])?,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        $visibility struct $Name {
            $($(#[doc = $slot_doc])* $visibility $slot: layout!(@type $Place $($width)?),)*
        }

        // SAFETY: `repr(C)`, and every field is a `Place` or an array of them.
        unsafe impl $crate::runtime::seam::Layout for $Name {
            type Place = $Place;
            const FIRST: usize = $first;
            const DESCRIPTION: $crate::runtime::seam::LayoutDescription =
                $crate::runtime::seam::LayoutDescription {
                    name: $name,
                    doc: concat!($($doc),*),
                    places: <$Place as $crate::runtime::port::Place>::ARRAY,
                    first: $first,
                    length: size_of::<$Name>() / size_of::<$Place>(),
                    slots: &[$((
                        stringify!($slot),
                        std::mem::offset_of!($Name, $slot) / size_of::<$Place>(),
                        concat!($($slot_doc),*),
                    ),)*],
                };
        }
    };
    (@type $Place:ident) => { $Place };
    (@type $Place:ident $width:expr) => { [$Place; $width] };
    ($(#[doc = $doc:literal])* $visibility:vis struct $Name:ident: $Place:ident $($rest:tt)*) => {
        layout! { @of $Place $(#[doc = $doc])* $visibility struct $Name $($rest)* }
    };
    ($($layout:tt)*) => { layout! { @of f64 $($layout)* } };
}
pub(crate) use layout;

/// An enumeration that crosses as a small integer.
pub(crate) trait Coded: Copy + Sized + 'static {
    /// Its description for JavaScript.
    const DESCRIPTION: CodesDescription;
    /// Every value, in the order of their codes.
    const ALL: &'static [Self];
    /// The integer of the value.
    fn code(self) -> u32;

    /// The text of the value in JavaScript.
    fn text(self) -> &'static str {
        Self::DESCRIPTION.texts[self.code() as usize]
    }

    /// The value behind an integer. Another integer is an error: JavaScript and Rust are of different versions then.
    fn from_code(code: u32) -> Result<Self> {
        Self::ALL.get(code as usize).copied().ok_or_else(|| {
            let message = format!("sluice: {code} is not a code of {}", Self::DESCRIPTION.name);
            Error::new(Status::InvalidArg, message)
        })
    }
}

/// An enumeration as JavaScript sees it.
pub(crate) struct CodesDescription {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) texts: &'static [&'static str],
}

/// Declares the codes of an enumeration: 0 for the first value, and so on. A value that is missing does not compile.
macro_rules! codes {
    (
        $(#[doc = $doc:literal])*
        $Type:ty = $name:literal { $($Value:ident = $text:literal,)* }
    ) => {
        impl $crate::runtime::seam::Coded for $Type {
            const DESCRIPTION: $crate::runtime::seam::CodesDescription =
                $crate::runtime::seam::CodesDescription {
                    name: $name,
                    doc: concat!($($doc),*),
                    texts: &[$($text),*],
                };
            const ALL: &'static [Self] = &[$(Self::$Value),*];

            fn code(self) -> u32 {
                #[repr(u32)]
                enum Code { $($Value),* }
                match self {
                    $(Self::$Value => Code::$Value as u32,)*
                }
            }
        }
    };
}
pub(crate) use codes;

/// Signatures of the raw functions, as TypeScript has them, in the order of their registration.
static FUNCTIONS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Remembers a raw function for [`describe`]. Every thread that loads the addon registers the same ones.
pub(crate) fn register_function(signature: &'static str) {
    let mut functions = FUNCTIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !functions.contains(&signature) {
        functions.push(signature);
    }
}

/// What JavaScript has to know of a component.
pub(crate) struct Declarations {
    pub(crate) layouts: &'static [LayoutDescription],
    pub(crate) codes: &'static [CodesDescription],
    /// What messages call the owner of options, and the options.
    pub(crate) options: &'static [(&'static str, &'static [Field])],
}

/// A number that both sides know.
pub(crate) type Constant = (&'static str, i64, &'static str);

/// All declarations as JSON.
pub(crate) fn describe(components: &[&Declarations], constants: &[Constant]) -> String {
    let constants = list(constants, |(name, value, doc)| {
        format!("{{\"name\":{name:?},\"value\":{value},\"doc\":{doc:?}}}")
    });
    let layouts = list(components.iter().flat_map(|component| component.layouts), describe_layout);
    let codes = list(components.iter().flat_map(|component| component.codes), |codes| {
        let CodesDescription { name, doc, texts } = codes;
        format!("{{\"name\":{name:?},\"doc\":{:?},\"texts\":{texts:?}}}", doc.trim())
    });
    let options = list(components.iter().flat_map(|component| component.options), |(owner, fields)| {
        format!("{{\"owner\":{owner:?},\"fields\":{}}}", list(*fields, describe_field))
    });
    let functions = FUNCTIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    format!(
        "{{\"constants\":{constants},\"layouts\":{layouts},\"codes\":{codes},\"options\":{options},\"functions\":{:?}}}",
        functions.as_slice()
    )
}

fn describe_layout(layout: &LayoutDescription) -> String {
    let LayoutDescription { name, doc, places, first, length, slots } = layout;
    let slots = list(*slots, |(name, at, doc)| {
        format!("{{\"name\":{name:?},\"index\":{},\"doc\":{:?}}}", first + at, doc.trim())
    });
    format!(
        "{{\"name\":{name:?},\"doc\":{:?},\"places\":{places:?},\"length\":{length},\"slots\":{slots}}}",
        doc.trim()
    )
}

fn describe_field(field: &Field) -> String {
    let Field { name, accepts, default, is_required, .. } = field;
    let mut text = format!("{{\"name\":{name:?},\"required\":{is_required}");
    if let Some(default) = default {
        let _ = write!(text, ",\"default\":{default:?}");
    }
    let _ = match accepts {
        Accepts::Integer { least, most } => {
            write!(text, ",\"accepts\":\"integer\",\"least\":{least},\"most\":{most}")
        }
        Accepts::Duration { least } => write!(text, ",\"accepts\":\"duration\",\"least\":{least}"),
        Accepts::Number { least, most, is_above, words } => write!(
            text,
            ",\"accepts\":\"number\",\"least\":{least},\"most\":{most:e},\"isAbove\":{is_above},\"words\":{words:?}"
        ),
        Accepts::Boolean => write!(text, ",\"accepts\":\"boolean\""),
        Accepts::OneOf(choices) => write!(text, ",\"accepts\":\"oneOf\",\"choices\":{choices:?}"),
        Accepts::Texts => write!(text, ",\"accepts\":\"texts\""),
        _ => write!(text, ",\"accepts\":\"other\""),
    };
    text.push('}');
    text
}

fn list<'a, T: 'a>(items: impl IntoIterator<Item = &'a T>, item: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.into_iter().map(item).collect::<Vec<_>>().join(","))
}
