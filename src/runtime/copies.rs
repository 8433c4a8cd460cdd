//! Several copies of the addon in one process share nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use napi_derive::napi;

/// The files of all copies of the addon that this process has loaded, in the order of loading, for a warning. Empty where
/// there is one copy, where the system does not say, in the first copy (a later one warns), and on a second call.
#[napi]
pub fn other_copies_once() -> Vec<String> {
    static IS_REPORTED: AtomicBool = AtomicBool::new(false);
    let copies = loaded_copies();
    let is_first = own_file().is_none_or(|own| copies.first() == Some(&own));
    if is_first || IS_REPORTED.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    copies
}

#[cfg(target_os = "linux")]
fn loaded_copies() -> Vec<String> {
    use std::ffi::{CStr, c_int, c_void};

    unsafe extern "C" fn collect(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
        // SAFETY: the loader passes a valid entry, and the vector below.
        let (name, files) = unsafe { ((*info).dlpi_name, &mut *data.cast::<Vec<String>>()) };
        if !name.is_null() {
            // SAFETY: the loader's names are terminated strings that live while the image is loaded.
            files.push(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
        }
        0
    }

    let mut files: Vec<String> = Vec::new();
    // SAFETY: `collect` matches the signature and `files` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut files).cast()) };
    files.retain(|file| {
        let name = file.rsplit('/').next().unwrap_or_default();
        name.starts_with("sluice.") && name.ends_with(".node")
    });
    files
}

#[cfg(target_os = "linux")]
fn own_file() -> Option<String> {
    use std::ffi::CStr;

    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address of this image will do; the loader fills `info` when it answers non-zero.
    let found = unsafe { libc::dladdr(loaded_copies as *const _, info.as_mut_ptr()) } != 0;
    // SAFETY: zeroed is a valid `Dl_info`, and the loader may have filled it.
    let name = unsafe { info.assume_init() }.dli_fname;
    // SAFETY: a terminated string that lives while this image is loaded.
    (found && !name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
}

#[cfg(not(target_os = "linux"))]
fn loaded_copies() -> Vec<String> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn own_file() -> Option<String> {
    None
}
