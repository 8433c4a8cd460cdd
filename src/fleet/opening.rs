//! Opening a limiter of the fleet, and the options of its scope.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::{Error, RateLimiter};
use sluice_fleet::{
    AccountOptions, FleetConfig, FleetLimiter, FleetOptions, Mode, OnError, Server, TlsOptions, Urls,
};

use super::{FLEETS, differences};
use crate::runtime::numbers::integer;
use crate::runtime::{error, instances, thread};

/// The scope of a limiter, whose shape JavaScript has checked.
#[napi(object)]
pub struct NativeScope {
    /// What errors call it.
    pub option: String,
    /// Of `url`, `nodes` and `sentinels` with `master`, one is there.
    pub url: Option<String>,
    pub nodes: Option<Vec<String>>,
    pub sentinels: Option<Vec<String>>,
    pub master: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub database: Option<f64>,
    pub tls: Option<NativeTls>,
    pub mode: String,
    pub on_error: String,
    pub timeout_ms: f64,
    pub prefix: String,
}

/// How a connection is encrypted. Certificates and keys are PEM.
#[napi(object)]
pub struct NativeTls {
    /// Whether it is whatever the url says.
    pub is_asked_for: bool,
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
    pub servername: Option<String>,
    /// The authorities that are trusted without `ca`.
    pub roots: Option<String>,
}

impl From<NativeTls> for TlsOptions {
    fn from(tls: NativeTls) -> Self {
        let NativeTls { is_asked_for, ca, cert, key, servername, roots } = tls;
        Self { is_asked_for, ca, cert, key, servername, roots: roots.map(Into::into) }
    }
}

impl NativeScope {
    /// The server that it names.
    pub(crate) fn server(self) -> std::result::Result<Server, Error> {
        let urls = match (self.nodes, self.sentinels) {
            (Some(nodes), _) => Urls::Nodes(nodes),
            (None, Some(sentinels)) => Urls::Sentinels(sentinels, self.master.unwrap_or_default()),
            (None, None) => Urls::One(self.url.unwrap_or_default()),
        };
        let Self { username, password, database, tls, .. } = self;
        let account = AccountOptions { username, password, database, tls: tls.map(Into::into) };
        Server::new(&format!("{}.redis", self.option), &urls, account)
    }
}

impl TryFrom<NativeScope> for FleetOptions {
    type Error = Error;

    fn try_from(scope: NativeScope) -> std::result::Result<Self, Error> {
        let option = |name: &str| format!("{}.{name}", scope.option);
        let on_error = on_error_of(&scope)?;
        let mode = one_of(&option("mode"), &scope.mode, &Mode::TEXTS)?;
        let (timeout_ms, prefix) = (integer(scope.timeout_ms), scope.prefix.clone());
        Ok(Self { server: scope.server()?, mode, timeout_ms, on_error, prefix })
    }
}

/// What decides where the server does not answer.
pub(crate) fn on_error_of(scope: &NativeScope) -> std::result::Result<OnError, Error> {
    one_of(&format!("{}.onError", scope.option), &scope.on_error, &OnError::TEXTS)
}

/// The value of a text.
fn one_of<T: Copy>(option: &str, given: &str, texts: &[(&'static str, T)]) -> std::result::Result<T, Error> {
    let found = texts.iter().find(|(text, _)| *text == given);
    found.map(|(_, value)| *value).ok_or_else(|| Error::InvalidOption {
        option: option.to_owned(),
        given: given.to_owned(),
        accepted: texts.iter().map(|(text, _)| format!("{text:?}")).collect::<Vec<_>>().join(", "),
    })
}

/// The scope in words that hold no credentials: limiters of one name agree in them.
#[napi]
pub fn describe_scope(env: Env, scope: NativeScope) -> Result<String> {
    error::check(&env, FleetOptions::try_from(scope).map(|options| options.to_string()))
}

/// The counts in the fleet of a limiter of this process, found or made; the handle is this thread's. The caller holds the
/// lock of all that opens and ends limiters.
pub(crate) fn open(env: &Env, name: &str, options: FleetOptions, local: Arc<RateLimiter>) -> Result<u32> {
    differences::listen();
    hold(instances::open(env, &FLEETS, name, Some(FleetConfig { options, local }), None)?)
}

/// As [`open`], of a limiter that exists; `None` where it counts in this process.
pub(crate) fn attach(name: &str) -> Result<Option<u32>> {
    FLEETS.get_if_set(name).map(hold).transpose()
}

fn hold(fleet: Arc<FleetLimiter>) -> Result<u32> {
    Ok(thread::current()?.fleets.borrow_mut().hold(fleet))
}

/// Ends the counts of a limiter; pending calls are answered.
pub(crate) fn destroy(name: &str) -> bool {
    FLEETS.destroy(name)
}

/// Whether calls are decided by units that this process holds.
#[napi]
pub fn is_leased(handle: u32) -> Result<bool> {
    Ok(thread::current()?.fleets.borrow().get(handle)?.fleet().is_leased())
}

/// A JavaScript object that stands for the limiter was collected.
#[napi]
pub fn release_fleet(handle: u32) -> Result<()> {
    thread::current()?.fleets.borrow_mut().release(handle);
    Ok(())
}
