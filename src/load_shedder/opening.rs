//! Calls that are not made for every request.

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{LoadShedderConfig, LoadShedderOptions, LoadShedderStats};

use super::SHEDDERS;
use super::event_loop::UvLoop;
use crate::runtime::numbers::{ceil_ms, double};
use crate::runtime::options::Given;
use crate::runtime::{error, instances, thread};

/// Sums over all threads, by the codes of `PRIORITIES`, and the state now. Times are milliseconds.
#[napi(object)]
pub struct NativeLoadShedderStats {
    pub admitted: Vec<f64>,
    pub shed: Vec<f64>,
    pub laps: f64,
    pub lap_time_ms: f64,
    pub longest_ms: f64,
    pub threads: f64,
    pub behind: f64,
    pub delay_ms: f64,
}

impl From<LoadShedderStats> for NativeLoadShedderStats {
    fn from(stats: LoadShedderStats) -> Self {
        Self {
            admitted: stats.admitted.into_iter().map(double).collect(),
            shed: stats.shed.into_iter().map(double).collect(),
            laps: double(stats.laps),
            lap_time_ms: ceil_ms(stats.lap_time),
            longest_ms: ceil_ms(stats.longest),
            threads: double(stats.threads),
            behind: double(stats.behind),
            delay_ms: ceil_ms(stats.delay),
        }
    }
}

/// Attaches to a shedder or creates it; the handle is this thread's.
#[napi]
pub fn open_load_shedder(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| LoadShedderOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(LoadShedderConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let shedder = instances::open(&env, &SHEDDERS, &name, config, reconfigures)?;
    Ok(thread::current()?.shedders.borrow_mut().hold(shedder))
}

/// Whether libuv tells of this thread's loop; JavaScript counts its turns where it does not. Only Node.js is asked: what
/// other runtimes export under the names of libuv may end the process.
#[napi]
pub fn tells_of_turns(env: Env) -> Result<bool> {
    Ok(thread::current()?.event_loop.get_or_init(|| UvLoop::of(&env)).is_some())
}

/// A JavaScript object that stands for the shedder was collected.
#[napi]
pub fn release_load_shedder(handle: u32) -> Result<()> {
    thread::current()?.shedders.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_load_shedder(name: String) -> bool {
    SHEDDERS.destroy(&name)
}

/// Replaces the given options, which JavaScript has checked, in all threads.
#[napi]
pub fn reconfigure_load_shedder(env: Env, handle: u32, options: Object<'_>) -> Result<()> {
    let shedder = std::sync::Arc::clone(thread::current()?.shedders.borrow().get(handle)?.shedder());
    error::check(&env, shedder.reconfigure_with(&Given(options)))
}

#[napi]
pub fn load_shedder_stats(env: Env, handle: u32) -> Result<NativeLoadShedderStats> {
    let shedder = std::sync::Arc::clone(thread::current()?.shedders.borrow().get(handle)?.shedder());
    let stats = error::check(&env, shedder.stats(clock::now()))?;
    Ok(stats.into())
}

/// Throws once the shedder is destroyed. Counts nothing.
#[napi]
pub fn check_load_shedder(env: Env, handle: u32) -> Result<()> {
    let shedder = std::sync::Arc::clone(thread::current()?.shedders.borrow().get(handle)?.shedder());
    error::check(&env, shedder.check_open())
}
