//! A few threads that wait for work.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// How long a thread looks for what comes next before it sleeps: the products of a layer follow one another faster than a thread wakes up.
const ALERT: Duration = Duration::from_micros(50);

/// The calling thread and some workers, which sleep while there is nothing to do, after 50 microseconds of waiting for more. Dropping it ends them.
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

    /// Calls `work` with every item, and returns what it gave in the order of the items. Items are dealt out in turn, the first to the calling thread.
    ///
    /// # Errors
    /// [`Error::WorkerLost`] when `work` panicked on another thread; the items are lost too.
    pub fn map<T: Send + 'static, R: Send + 'static>(
        &self,
        items: Vec<T>,
        work: impl Fn(T) -> R + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        let count = items.len();
        let mut hands: Vec<Vec<(usize, T)>> = (0..self.count().min(count)).map(|_| Vec::new()).collect();
        for (place, item) in items.into_iter().enumerate() {
            hands[place % self.count()].push((place, item));
        }
        let (work, (done, results)) = (Arc::new(work), channel());
        let mut hands = hands.into_iter();
        let own = hands.next().unwrap_or_default();
        for (index, hand) in hands.enumerate() {
            let (work, done) = (Arc::clone(&work), done.clone());
            let job = move || {
                for (place, item) in hand {
                    // Nobody waits any more: then nobody misses it.
                    let _unsent = done.send((place, work(item)));
                }
            };
            self.send(index, Box::new(job))?;
        }
        drop(done);
        let mut all: Vec<(usize, R)> = own.into_iter().map(|(place, item)| (place, work(item))).collect();
        all.extend(std::iter::from_fn(|| next(&results)));
        if all.len() < count {
            return Err(Error::WorkerLost);
        }
        all.sort_unstable_by_key(|(place, _)| *place);
        Ok(all.into_iter().map(|(_, result)| result).collect())
    }

    /// Hands a job to worker `index`, counted from 0.
    pub(crate) fn send(&self, index: usize, job: Job) -> Result<()> {
        let jobs = self.workers.get(index).and_then(|worker| worker.jobs.as_ref());
        jobs.ok_or(Error::WorkerLost)?.send(job).map_err(|_| Error::WorkerLost)
    }
}

/// Calls `work` with all parts at once, which may borrow: the first on the calling thread, each other on a thread that is started for it. Of several errors the
/// one of the earliest part is returned, when all have ended.
///
/// # Errors
/// What `work` returns; [`Error::Spawn`] when the system gives no thread, [`Error::WorkerLost`] when `work` panicked on one.
pub fn at_once<T: Send, E: From<Error> + Send>(
    parts: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (mut parts, work) = (parts.into_iter(), &work);
    let own = parts.next();
    std::thread::scope(|scope| {
        let others: Vec<_> =
            parts.map(|part| Builder::new().spawn_scoped(scope, move || work(part))).collect();
        let own = own.map_or(Ok(()), work);
        let results = others.into_iter().map(|other| match other {
            Ok(other) => other.join().unwrap_or_else(|_| Err(Error::WorkerLost.into())),
            Err(error) => Err(Error::Spawn(error).into()),
        });
        results.fold(own, Result::and)
    })
}

impl Worker {
    fn start() -> Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let work = move || {
            while let Some(job) = next(&queue) {
                job();
            }
        };
        let thread = Builder::new().name("musicot-kernels".to_owned()).spawn(work).map_err(Error::Spawn)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

/// The next of what comes; `None` when nothing will.
fn next<T>(queue: &Receiver<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        match queue.try_recv() {
            Ok(next) => return Some(next),
            Err(TryRecvError::Empty) if started.elapsed() < ALERT => std::hint::spin_loop(),
            Err(TryRecvError::Empty) => return queue.recv().ok(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        // A worker that panicked has nothing left to say here.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for threads in [1, 2, 5] {
            let threads = Threads::new(threads).unwrap();
            for count in [0, 1, 2, 7] {
                let squares = threads.map((0..count).collect(), |item: u32| item * item).unwrap();
                assert_eq!(squares, (0..count).map(|item| item * item).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn parts_run_at_once_and_the_earliest_error_counts() {
        let mut values = [1, 2, 3, 4, 5];
        at_once(values.chunks_mut(2), |part| -> Result<()> {
            part.iter_mut().for_each(|value| *value *= 10);
            Ok(())
        })
        .unwrap();
        assert_eq!(values, [10, 20, 30, 40, 50]);
        assert!(at_once(Vec::<u8>::new(), |_| -> Result<()> { Err(Error::WorkerLost) }).is_ok());
        let fails = |part: usize| match part {
            0 => Ok(()),
            part => Err(Error::shape("part", "0", part)),
        };
        let error = at_once([0, 2, 1], fails).unwrap_err();
        assert!(error.to_string().contains('2'), "{error}");
        let lost = at_once([0, 1], |part| -> Result<()> {
            assert_ne!(part, 1, "the second part is another thread's");
            Ok(())
        });
        assert!(matches!(lost, Err(Error::WorkerLost)));
    }

    #[test]
    fn a_lost_worker_is_told() {
        let threads = Threads::new(2).unwrap();
        let work = |item: u32| assert!(item != 1, "the second item is the worker's");
        assert!(matches!(threads.map(vec![0, 1, 2], work), Err(Error::WorkerLost)));
        assert!(matches!(threads.map(vec![0, 2], work), Err(Error::WorkerLost)));
    }
}
