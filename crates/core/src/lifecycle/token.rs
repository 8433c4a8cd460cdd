//! Tokens: parts of the work that can be cancelled on their own.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::LifecycleState;
use super::state::StateCell;

/// Set once a token itself was cancelled, with the reason given.
#[derive(Debug, Default)]
pub(super) struct Cancelled(ArcSwapOption<Option<Box<str>>>);

impl Cancelled {
    fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// False when it is set already.
    fn set(&self, reason: Option<&str>) -> bool {
        let reason = Arc::new(reason.map(Into::into));
        self.0.compare_and_swap(&None::<Arc<_>>, Some(reason)).is_none()
    }
}

/// A token. It is cancelled by its name in any thread, with a token above it, or with the lifecycle.
#[derive(Debug)]
pub struct CancellationToken {
    lifecycle: Arc<StateCell>,
    /// Its own flag, then those of the tokens above it. The tokens themselves are not held: they hold this one.
    lineage: Vec<Arc<Cancelled>>,
    children: Children,
}

impl CancellationToken {
    /// A token below those with these flags.
    pub(super) fn below(lifecycle: &Arc<StateCell>, lineage: &[Arc<Cancelled>]) -> Self {
        Self {
            lifecycle: Arc::clone(lifecycle),
            lineage: std::iter::once(Arc::default()).chain(lineage.iter().cloned()).collect(),
            children: Children::default(),
        }
    }

    /// The token of this name below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Arc<Self> {
        self.children.open(name, || Self::below(&self.lifecycle, &self.lineage))
    }

    /// Whether the token, one above it or the lifecycle is cancelled; none once the lifecycle was destroyed. Wait-free:
    /// one load for each of them.
    #[must_use]
    pub fn is_cancelled(&self) -> Option<bool> {
        let state = self.lifecycle.get()?;
        Some(state >= LifecycleState::Draining || self.lineage.iter().any(|token| token.is_set()))
    }

    /// The reason given for the nearest token, from this one upwards, that was itself cancelled.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let nearest = self.lineage.iter().find_map(|token| token.0.load_full())?;
        nearest.as_deref().map(str::to_owned)
    }

    /// False when it is cancelled already.
    pub(super) fn cancel(&self, reason: Option<&str>) -> bool {
        self.is_cancelled() == Some(false) && self.lineage[0].set(reason)
    }
}

/// Tokens by their names.
#[derive(Debug, Default)]
pub(super) struct Children(Mutex<HashMap<Box<str>, Arc<CancellationToken>>>);

impl Children {
    /// Makes every token uncancelled.
    pub(super) fn reset(&self) {
        for token in self.0.lock().values() {
            token.lineage[0].0.store(None);
            token.children.reset();
        }
    }

    pub(super) fn open(
        &self,
        name: &str,
        make: impl FnOnce() -> CancellationToken,
    ) -> Arc<CancellationToken> {
        Arc::clone(self.0.lock().entry(name.into()).or_insert_with(|| Arc::new(make())))
    }
}
