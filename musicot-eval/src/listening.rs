//! What listeners said: mean opinion scores, and preferences in blind pairs.
//!
//! One listener's ratings are not independent of each other. So each listener counts once, by the mean of their ratings, and the
//! intervals come from resampling listeners: they say what other listeners might have said, of the same pieces.

use std::collections::BTreeMap;

use musicot_core::CounterRng;
use serde::{Deserialize, Serialize};

use crate::statistics::{Interval, bootstrap_mean};
use crate::{Error, Result, check};

/// One listener's rating of one piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    /// Who listened.
    pub listener: String,
    /// What made the piece; hidden from the listener.
    pub system: String,
    /// 1 (bad) to 5 (excellent), the scale of ITU-T P.800.
    pub score: f64,
}

/// The ratings of one system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Opinion {
    /// The system.
    pub system: String,
    /// Mean over listeners of their mean rating, with its 95 % bootstrap interval over listeners.
    pub score: Interval,
    /// Number of listeners; with fewer than about ten the interval is too narrow, with one it has no width.
    pub listeners: usize,
    /// Number of ratings.
    pub ratings: usize,
}

/// The mean opinion score of each system, in alphabetical order.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::CounterRng, listening::{Rating, opinions}};
/// let rating = |listener: &str, score| Rating { listener: listener.into(), system: "plan".into(), score };
/// let ratings = [rating("a", 4.0), rating("a", 5.0), rating("a", 3.0), rating("b", 2.0)];
/// assert_eq!(opinions(&ratings, CounterRng::new(0))?[0].score.mean, 3.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no rating; [`Error::Range`] for a score outside 1..=5.
pub fn opinions(ratings: &[Rating], rng: CounterRng) -> Result<Vec<Opinion>> {
    check::at_least("ratings", ratings.len(), 1)?;
    if let Some(rating) = ratings.iter().find(|rating| !(1.0..=5.0).contains(&rating.score)) {
        return Err(Error::range(
            "score",
            format!("expected 1..=5, got {} by {:?}", rating.score, rating.listener),
        ));
    }
    let mut systems: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for rating in ratings {
        let listeners = systems.entry(&rating.system).or_default();
        listeners.entry(&rating.listener).or_default().push(rating.score);
    }
    let opinion = |(system, listeners): (&str, BTreeMap<&str, Vec<f64>>)| {
        let means: Vec<f64> = listeners.values().map(|scores| mean(scores)).collect();
        Ok(Opinion {
            system: system.to_owned(),
            score: bootstrap_mean(&means, rng.stage(system))?,
            listeners: means.len(),
            ratings: listeners.values().map(Vec::len).sum(),
        })
    };
    systems.into_iter().map(opinion).collect()
}

/// What a listener said to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The first system's piece is better.
    First,
    /// The second's is.
    Second,
    /// Neither; half a vote for each.
    Tie,
}

/// One listener's answer to one pair of pieces by two systems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who listened.
    pub listener: String,
    /// The answer, by system and not by the order of playing.
    pub choice: Choice,
}

/// How often the first of two systems is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Preference {
    /// Mean over listeners of the share of their votes for the first system (0..=1), with its 95 % bootstrap interval over listeners.
    pub share: Interval,
    /// Two-sided p-value of the sign test over listeners: as many or more of those who prefer one system agreeing, if each were as likely to
    /// prefer either; exact. 1 where no listener prefers one.
    pub p: f64,
    /// Number of listeners.
    pub listeners: usize,
    /// Number of votes.
    pub votes: usize,
}

/// Sums up the votes on one pair of systems.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::CounterRng, listening::{Choice, Vote, preference}};
/// let votes: Vec<Vote> =
///     (0..8).map(|i| Vote { listener: i.to_string(), choice: if i < 7 { Choice::First } else { Choice::Tie } }).collect();
/// let found = preference(&votes, CounterRng::new(0))?;
/// assert_eq!(found.share.mean, 7.5 / 8.0);
/// assert!((found.p - 2.0 / 128.0).abs() < 1e-12); // seven of seven agree
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no vote.
pub fn preference(votes: &[Vote], rng: CounterRng) -> Result<Preference> {
    check::at_least("votes", votes.len(), 1)?;
    let mut listeners: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for vote in votes {
        let share = match vote.choice {
            Choice::First => 1.0,
            Choice::Second => 0.0,
            Choice::Tie => 0.5,
        };
        listeners.entry(&vote.listener).or_default().push(share);
    }
    let shares: Vec<f64> = listeners.values().map(|shares| mean(shares)).collect();
    let first = shares.iter().filter(|share| **share > 0.5).count();
    let second = shares.iter().filter(|share| **share < 0.5).count();
    Ok(Preference {
        share: bootstrap_mean(&shares, rng)?,
        p: sign_test(first, second),
        listeners: shares.len(),
        votes: votes.len(),
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Twice the tail of the binomial distribution of equal odds from the greater count on, at most 1.
fn sign_test(a: usize, b: usize) -> f64 {
    let (all, greater) = (a + b, a.max(b));
    // The logarithm of each term: the number of ways over 2^all.
    let mut ways = 0.0;
    let mut tail = 0.0;
    for chosen in (greater..=all).rev() {
        tail += (ways - all as f64 * std::f64::consts::LN_2).exp();
        // From `chosen` of `all` to one less.
        ways += (chosen.max(1) as f64).ln() - ((all - chosen + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rating(listener: &str, system: &str, score: f64) -> Rating {
        Rating { listener: listener.to_owned(), system: system.to_owned(), score }
    }

    fn vote(listener: &str, choice: Choice) -> Vote {
        Vote { listener: listener.to_owned(), choice }
    }

    #[test]
    fn a_listener_who_rates_much_counts_once() {
        let mut ratings = vec![rating("often", "plan", 5.0); 20];
        ratings.extend([rating("once", "plan", 1.0), rating("once", "bare", 2.0)]);
        let found = opinions(&ratings, CounterRng::new(0)).unwrap();
        assert_eq!(found.iter().map(|o| o.system.as_str()).collect::<Vec<_>>(), ["bare", "plan"]);
        assert_eq!((found[1].score.mean, found[1].listeners, found[1].ratings), (3.0, 2, 21));
        assert_eq!((found[1].score.low, found[1].score.high), (1.0, 5.0));
        assert_eq!((found[0].score.low, found[0].score.high), (2.0, 2.0));
    }

    #[test]
    fn ratings_off_the_scale_are_named() {
        assert!(matches!(opinions(&[], CounterRng::new(0)), Err(Error::TooFew { .. })));
        for score in [0.0, 5.5, f64::NAN] {
            let error = opinions(&[rating("x", "plan", score)], CounterRng::new(0)).unwrap_err();
            assert!(error.to_string().contains("by \"x\""), "{error}");
        }
    }

    #[test]
    fn sign_tests_are_exact() {
        assert_eq!(sign_test(0, 0), 1.0);
        assert_eq!(sign_test(1, 0), 1.0);
        assert!((sign_test(5, 0) - 0.0625).abs() < 1e-12);
        // scipy.stats.binomtest(14, 20).pvalue
        assert!((sign_test(14, 6) - 0.11531829833984375).abs() < 1e-12);
        assert!((sign_test(6, 14) - sign_test(14, 6)).abs() < 1e-15);
        // scipy.stats.binomtest(560, 1000).pvalue
        assert!((sign_test(560, 440) - 0.00016504987055045286).abs() < 1e-12);
        assert_eq!(sign_test(500, 500), 1.0);
    }

    #[test]
    fn votes_are_counted_by_listener() {
        let votes = [
            vote("a", Choice::First),
            vote("a", Choice::First),
            vote("a", Choice::Second),
            vote("b", Choice::Second),
            vote("c", Choice::Tie),
        ];
        let found = preference(&votes, CounterRng::new(0)).unwrap();
        assert!((found.share.mean - (2.0 / 3.0 + 0.5) / 3.0).abs() < 1e-12);
        assert_eq!((found.p, found.listeners, found.votes), (1.0, 3, 5));
        assert!(preference(&[], CounterRng::new(0)).is_err());
        assert_eq!(serde_json::to_string(&Choice::First).unwrap(), "\"first\"");
    }

    proptest! {
        #[test]
        fn p_values_are_shares(a in 0_usize..400, b in 0_usize..400) {
            let p = sign_test(a, b);
            prop_assert!(p > 0.0 && p <= 1.0);
            prop_assert!(sign_test(a.max(b) + 1, a.min(b)) <= p + 1e-12);
        }
    }
}
