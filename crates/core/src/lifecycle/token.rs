//! A part of the work that may be cancelled by itself, and is with the whole.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::LifecycleState;
use super::state::StateCell;

/// Set once a token was cancelled by itself, with the reason given.
#[derive(Debug, Default)]
pub(super) struct Cancelled(ArcSwapOption<Option<Box<str>>>);

impl Cancelled {
    fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// False when it was set before.
    fn set(&self, reason: Option<&str>) -> bool {
        let reason = Arc::new(reason.map(Into::into));
        self.0.compare_and_swap(&None::<Arc<_>>, Some(reason)).is_none()
    }
}

/// Cancelled by its name in any thread, with a token above it, or with the lifecycle.
#[derive(Debug)]
pub struct CancellationToken {
    lifecycle: Arc<StateCell>,
    /// Of itself, then of those above it. They are not held themselves, as they hold this one.
    lineage: Vec<Arc<Cancelled>>,
    children: Children,
}

impl CancellationToken {
    /// A token below those of this lineage.
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

    /// Whether it, one above it or the lifecycle is cancelled; none once that was destroyed. Wait-free: a load for
    /// each of them.
    #[must_use]
    pub fn is_cancelled(&self) -> Option<bool> {
        let state = self.lifecycle.get()?;
        Some(state >= LifecycleState::Draining || self.lineage.iter().any(|token| token.is_set()))
    }

    /// The reason of the nearest that was cancelled by itself, if it gave one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let nearest = self.lineage.iter().find_map(|token| token.0.load_full())?;
        nearest.as_deref().map(str::to_owned)
    }

    /// False when it was cancelled before.
    pub(super) fn cancel(&self, reason: Option<&str>) -> bool {
        self.is_cancelled() == Some(false) && self.lineage[0].set(reason)
    }
}

/// Tokens by their names.
#[derive(Debug, Default)]
pub(super) struct Children(Mutex<HashMap<Box<str>, Arc<CancellationToken>>>);

impl Children {
    /// None of them is cancelled any more.
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
