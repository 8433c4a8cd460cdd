//! The floor of the benchmarks: Node-API calls that decide nothing. Calls Node-API directly, without a crate in between,
//! so that only Node-API is measured. Checks a status only where a failure would falsify a number.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// As many lines as the part of a limiter's table has that fills first: 256 KiB.
const LINES: usize = 4_096;

#[repr(align(64))]
struct Line([AtomicU64; 8]);

static TABLE: [Line; LINES] = [const { Line([const { AtomicU64::new(0) }; 8]) }; LINES];

/// The number of code units that a limiter reads of a key without querying its length first.
const BUFFER: usize = 256;
const OK: c_int = 0;

#[repr(C)]
pub struct OpaqueEnv(c_void);
#[repr(C)]
pub struct OpaqueInfo(c_void);
#[repr(C)]
pub struct OpaqueValue(c_void);

type Env = *mut OpaqueEnv;
type Info = *mut OpaqueInfo;
type Value = *mut OpaqueValue;
type Callback = unsafe extern "C" fn(Env, Info) -> Value;

unsafe extern "C" {
    fn napi_create_function(
        env: Env,
        name: *const c_char,
        length: usize,
        callback: Callback,
        data: *mut c_void,
        result: *mut Value,
    ) -> c_int;
    fn napi_set_named_property(env: Env, object: Value, name: *const c_char, value: Value) -> c_int;
    fn napi_get_cb_info(
        env: Env,
        info: Info,
        count: *mut usize,
        arguments: *mut Value,
        this: *mut Value,
        data: *mut *mut c_void,
    ) -> c_int;
    fn napi_get_value_uint32(env: Env, value: Value, result: *mut u32) -> c_int;
    fn napi_create_uint32(env: Env, value: u32, result: *mut Value) -> c_int;
    fn napi_get_value_string_utf16(
        env: Env,
        value: Value,
        buffer: *mut u16,
        size: usize,
        length: *mut usize,
    ) -> c_int;
}

/// `nothing(): undefined`
unsafe extern "C" fn nothing(_env: Env, _info: Info) -> Value {
    ptr::null_mut()
}

/// `number(n): n`, with 32 bits: the cheapest number type of Node-API in both directions.
unsafe extern "C" fn number(env: Env, info: Info) -> Value {
    let mut given = 0;
    // SAFETY: Node.js passes `env` and `info` of the running call.
    unsafe {
        if napi_get_value_uint32(env, first_argument(env, info), &mut given) != OK {
            return ptr::null_mut();
        }
        created(env, given)
    }
}

/// `string(text): number` of code units, at most 255.
unsafe extern "C" fn string(env: Env, info: Info) -> Value {
    let mut buffer = [MaybeUninit::<u16>::uninit(); BUFFER];
    let mut length = 0;
    // SAFETY: as above; Node.js writes at most `BUFFER` code units, including the terminating zero.
    unsafe {
        let text = first_argument(env, info);
        let place = buffer.as_mut_ptr().cast();
        if napi_get_value_string_utf16(env, text, place, BUFFER, &mut length) != OK {
            return ptr::null_mut();
        }
        created(env, length as u32)
    }
}

/// `exchange(text): undefined`: reads the text, multiplies what it read into the number of a line, reads the counter of the
/// processor, and exchanges a word of that line. No limiter that is called by Node-API and lets several threads charge a
/// key does less.
unsafe extern "C" fn exchange(env: Env, info: Info) -> Value {
    let mut buffer = [MaybeUninit::<u16>::uninit(); BUFFER];
    let mut length = 0;
    // SAFETY: as above; the first words of the buffer are written before they are read.
    unsafe {
        buffer.as_mut_ptr().cast::<[u64; 4]>().write_unaligned([0; 4]);
        let text = first_argument(env, info);
        napi_get_value_string_utf16(env, text, buffer.as_mut_ptr().cast(), BUFFER, &mut length);
        let [a, b, c, d] = buffer.as_ptr().cast::<[u64; 4]>().read_unaligned();
        let line = line_of(folded(folded(a | b << 8, c | d << 8), length as u64));
        let word = &TABLE[line].0[4];
        let _ =
            word.compare_exchange(word.load(Ordering::Acquire), ticks(), Ordering::SeqCst, Ordering::Relaxed);
    }
    ptr::null_mut()
}

fn line_of(hash: u64) -> usize {
    hash as usize % LINES
}

/// The two halves of a product with seeds, as one word.
fn folded(first: u64, second: u64) -> u64 {
    let product = u128::from(first ^ 0x9e37_79b9_7f4a_7c15) * u128::from(second ^ 0xd6e8_feb8_6659_fd93);
    (product >> 64) as u64 ^ product as u64
}

/// The counter of the processor, where it takes no call to read it.
fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an instruction of every x86-64 processor.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    1
}

/// `mark(): undefined`, between two sections that callgrind counts.
unsafe extern "C" fn mark(_env: Env, _info: Info) -> Value {
    sluice_benchmark_mark();
    ptr::null_mut()
}

/// Callgrind writes its counts before each call of this function, which it finds by its name.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn sluice_benchmark_mark() {
    // A call of an empty function would be left out.
    std::hint::black_box(());
}

/// # Safety
/// `env` and `info` are those of the running call.
unsafe fn first_argument(env: Env, info: Info) -> Value {
    let mut argument = ptr::null_mut();
    let mut count = 1;
    // SAFETY: `argument` has space for one argument; Node.js fills a missing one with `undefined`.
    unsafe { napi_get_cb_info(env, info, &mut count, &mut argument, ptr::null_mut(), ptr::null_mut()) };
    argument
}

/// # Safety
/// `env` is that of the running call.
unsafe fn created(env: Env, number: u32) -> Value {
    let mut value = ptr::null_mut();
    // SAFETY: by the caller.
    unsafe { napi_create_uint32(env, number, &mut value) };
    value
}

/// # Safety
/// Node.js calls this with the environment and the exports of the module that it loads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: Env, exports: Value) -> Value {
    let functions: [(&CStr, Callback); 5] = [
        (c"nothing", nothing),
        (c"number", number),
        (c"string", string),
        (c"exchange", exchange),
        (c"mark", mark),
    ];
    for (name, callback) in functions {
        let mut function = ptr::null_mut();
        let length = name.count_bytes();
        // SAFETY: by the caller; the name is terminated by a zero.
        unsafe {
            napi_create_function(env, name.as_ptr(), length, callback, ptr::null_mut(), &mut function);
            napi_set_named_property(env, exports, name.as_ptr(), function);
        }
    }
    exports
}
