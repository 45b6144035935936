//! How much of a training goes into its data.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static SPENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs `work`, which reads or makes what a micro-batch is made of, and counts its time: [`super::fit`] logs the share of loading in all time since
/// the line before, as `loading_share`. On the CPU nothing else is computed meanwhile; a GPU may still be at work on the step before. Calls are not
/// nested, or their time would count twice.
pub fn loading<R>(work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let made = work();
    SPENT.set(SPENT.get() + started.elapsed());
    made
}

/// What was counted on this thread since the last call.
pub(super) fn take_spent() -> Duration {
    SPENT.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_until_it_is_taken() {
        let _ = take_spent();
        assert_eq!(loading(|| 7), 7);
        loading(|| std::thread::sleep(Duration::from_millis(2)));
        loading(|| std::thread::sleep(Duration::from_millis(3)));
        assert!(take_spent() >= Duration::from_millis(5));
        assert_eq!(take_spent(), Duration::ZERO);
    }
}
