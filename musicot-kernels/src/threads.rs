//! A few threads that wait for work.

use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::error::{Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// The calling thread and some workers, which sleep while there is nothing to do. Dropping it ends them.
///
/// Rows of a matrix are split among them, and only those of matrices that are large enough to pay; a row is computed as it would be
/// alone, so that results do not depend on the number of threads.
#[derive(Debug, Default)]
pub struct Threads {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// `None` once it is to end.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Threads {
    /// No worker: everything runs on the calling thread.
    pub fn one() -> Self {
        Self::default()
    }

    /// `count` threads, the calling one included; at least 1 and at most 256.
    ///
    /// # Errors
    /// [`Error::Shape`] for another count; [`Error::Spawn`] when the system gives no thread.
    pub fn new(count: usize) -> Result<Self> {
        if !(1..=256).contains(&count) {
            return Err(Error::shape("threads", "1 to 256", count));
        }
        Ok(Self { workers: (1..count).map(|_| Worker::start()).collect::<Result<_>>()? })
    }

    /// Threads, the calling one included.
    pub fn count(&self) -> usize {
        1 + self.workers.len()
    }

    /// Hands a job to worker `index`, counted from 0.
    pub(crate) fn send(&self, index: usize, job: Job) -> Result<()> {
        let jobs = self.workers.get(index).and_then(|worker| worker.jobs.as_ref());
        jobs.ok_or(Error::WorkerLost)?.send(job).map_err(|_| Error::WorkerLost)
    }
}

impl Worker {
    fn start() -> Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let work = move || queue.iter().for_each(|job| job());
        let thread = Builder::new().name("musicot-kernels".to_owned()).spawn(work).map_err(Error::Spawn)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        // A worker that panicked has nothing left to say here.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}
