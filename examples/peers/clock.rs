//! How long calls take.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Outcome, say};

/// Times calls for so long.
pub struct Clock {
    budget: Duration,
}

impl Clock {
    pub fn new(secs: f64) -> Outcome<Self> {
        let budget = Duration::try_from_secs_f64(secs).map_err(|e| format!("--secs {secs}: {e}"))?;
        Ok(Self { budget })
    }

    /// One call to warm up, then calls until the time is over, at least three.
    pub fn timed(&self, variant: &str, units: f64, mut call: impl FnMut() -> Outcome) -> Outcome {
        call()?;
        let (mut secs, started) = (Vec::new(), Instant::now());
        while secs.len() < 3 || started.elapsed() < self.budget {
            let call_started = Instant::now();
            call()?;
            secs.push(call_started.elapsed().as_secs_f64());
        }
        report(variant, units, &secs)
    }

    /// Rounds, each of which gives the seconds of several calls, until the time is over.
    pub fn rounds(&self, variant: &str, mut round: impl FnMut() -> Outcome<Vec<f64>>) -> Outcome {
        let (mut secs, started) = (Vec::new(), Instant::now());
        while secs.is_empty() || started.elapsed() < self.budget {
            secs.extend(round()?);
        }
        report(variant, 1.0, &secs)
    }
}

fn report(variant: &str, units: f64, secs: &[f64]) -> Outcome {
    say(json!({ "variant": variant, "units": units, "secs": secs }))
}
