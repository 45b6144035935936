//! Stages in memory: all of them, or one at a time.

use crate::Result;

/// How long a loaded stage stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryMode {
    /// Until the generator is dropped: later songs start at once.
    #[default]
    KeepAll,
    /// While it works: peak memory is that of the largest stage, and every song loads each stage again.
    OneStage,
}

/// A stage that is loaded when it is needed.
pub(crate) struct Slot<T: ?Sized> {
    loaded: Option<Box<T>>,
    load: Option<Box<dyn Fn() -> Result<Box<T>> + Send>>,
}

impl<T: ?Sized> Slot<T> {
    /// A stage that `load` makes.
    pub fn lazy(load: impl Fn() -> Result<Box<T>> + Send + 'static) -> Self {
        Self { loaded: None, load: Some(Box::new(load)) }
    }

    /// A stage that the caller made; it stays in memory.
    pub fn ready(stage: Box<T>) -> Self {
        Self { loaded: Some(stage), load: None }
    }

    /// Runs `work` on the stage.
    pub fn with<R>(&mut self, mode: MemoryMode, work: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        let stage = match (self.loaded.take(), &self.load) {
            (Some(stage), _) => stage,
            (None, Some(load)) => load()?,
            (None, None) => {
                return Err(crate::Error::input(
                    "generator",
                    "has a stage that is neither loaded nor loadable",
                ));
            }
        };
        let outcome = work(&stage);
        if mode == MemoryMode::KeepAll || self.load.is_none() {
            self.loaded = Some(stage);
        }
        outcome
    }
}
