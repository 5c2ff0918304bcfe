//! Everything a computation may ask of its surroundings: seed, threads, memory, progress, cancellation.
//!
//! It travels from the edge of the program to the innermost loop, so that nothing inside reaches for a clock,
//! a terminal or a global.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::LearnError;

/// Receives how far a computation is: what it does, units done and units in all (0 when unknown).
pub type ProgressSink = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// The surroundings of a computation. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    /// The only source of randomness.
    pub seed: u64,
    /// Threads to use; results are the same for any number.
    pub threads: usize,
    /// Memory budget in bytes.
    pub mem_bytes: u64,
    folder: Option<Arc<Path>>,
    progress: Option<ProgressSink>,
    cancel: Arc<AtomicBool>,
    ends_in_order: Arc<AtomicBool>,
}

impl Ctx {
    /// A quiet context: no progress, never cancelled, 1 GiB of memory.
    #[must_use]
    pub fn new(seed: u64, threads: usize) -> Self {
        Self {
            seed,
            threads: threads.max(1),
            mem_bytes: 1 << 30,
            folder: None,
            progress: None,
            cancel: Arc::default(),
            ends_in_order: Arc::default(),
        }
    }

    /// The same with a sink for progress.
    #[must_use]
    pub fn with_progress(mut self, sink: ProgressSink) -> Self {
        self.progress = Some(sink);
        self
    }

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same with a folder that inputs lie in: what they are called has nothing to do with where that is, so that a
    /// computation gives the same bytes in any folder.
    #[must_use]
    pub fn with_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// What an input is called: its path, seen from [`Ctx::with_folder`].
    #[must_use]
    pub fn name_of<'a>(&self, path: &'a Path) -> &'a Path {
        self.folder.as_ref().and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path)
    }

    /// The flag that cancels this computation and its clones when set.
    #[must_use]
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// Says that this computation reads a source without an end, and gives the flag that ends it: from now on the
    /// flag of [`Ctx::cancel_flag`], when set, asks the source to end in order, and no longer cancels.
    #[must_use]
    pub fn end_in_order(&self) -> Arc<AtomicBool> {
        self.ends_in_order.store(true, Ordering::Relaxed);
        self.cancel_flag()
    }

    /// Whether [`Ctx::end_in_order`] was called.
    #[must_use]
    pub fn ends_in_order(&self) -> bool {
        self.ends_in_order.load(Ordering::Relaxed)
    }

    /// Says how far `stage` is.
    pub fn progress(&self, stage: &str, done: u64, total: u64) {
        if let Some(sink) = &self.progress {
            sink(stage, done, total);
        }
    }

    /// The same for one thread: what runs inside a piece of work that already has its own.
    #[must_use]
    pub fn single_threaded(&self) -> Self {
        Self { threads: 1, ..self.clone() }
    }

    /// Runs `work` where rayon has [`Ctx::threads`] threads.
    ///
    /// # Errors
    /// [`LearnError::Data`] when the system gives no threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, LearnError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool
            .map_err(|error| LearnError::Data(format!("cannot start {} threads: {error}", self.threads)))?;
        Ok(pool.install(work))
    }

    /// # Errors
    /// [`LearnError::Cancelled`] when someone asked this computation to stop.
    pub fn check(&self) -> Result<(), LearnError> {
        let cancelled = self.cancel.load(Ordering::Relaxed) && !self.ends_in_order();
        if cancelled { Err(LearnError::Cancelled) } else { Ok(()) }
    }
}
