//! Copies: the longest run of tokens that a generated sequence shares with a corpus.
//!
//! The generated sequence is put into a suffix automaton (Blumer et al., "The smallest automaton recognizing the subwords of a
//! text", 1985), through which every piece of the corpus is then read once: exact, and linear in the tokens of both.

use serde::Serialize;

use crate::{Result, check};

/// A run of equal tokens in two sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SharedRun {
    /// Length of the run in tokens, at least 1.
    pub tokens: usize,
    /// Where it begins in the sequence that was looked up.
    pub start: usize,
    /// Index of the piece of the corpus.
    pub piece: usize,
    /// Where it begins in the piece.
    pub piece_start: usize,
}

impl SharedRun {
    /// Length in seconds at a number of tokens per second.
    pub fn secs(&self, token_rate_hz: f64) -> f64 {
        self.tokens as f64 / token_rate_hz
    }
}

/// The longest run of a sequence that a piece of the corpus also has, anywhere in either; of equally long ones the first in the corpus.
/// `None` when no token is shared. A run does not go on from one piece into the next.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::tokens::longest_shared_run;
/// let run = longest_shared_run(&[9, 1, 2, 3, 9], &[vec![5, 2, 3], vec![1, 2, 3, 4]])?.unwrap();
/// assert_eq!((run.tokens, run.start, run.piece, run.piece_start), (3, 1, 1, 0));
/// assert_eq!(run.secs(25.0), 0.12);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`crate::Error::TooFew`] for a sequence without tokens or a corpus without pieces.
pub fn longest_shared_run<P: AsRef<[i64]>>(sequence: &[i64], corpus: &[P]) -> Result<Option<SharedRun>> {
    check::at_least("tokens", sequence.len(), 1)?;
    check::at_least("pieces of the corpus", corpus.len(), 1)?;
    let automaton = Automaton::new(sequence);
    let mut best: Option<SharedRun> = None;
    for (piece, tokens) in corpus.iter().enumerate() {
        let Some(run) = automaton.longest_in(tokens.as_ref()) else { continue };
        if best.is_none_or(|best| run.tokens > best.tokens) {
            best = Some(SharedRun { piece, ..run });
        }
    }
    Ok(best)
}

/// Each token once, however long it is held: a sequence without its durations. A tone or a pause of some seconds is one token again and
/// again, in every piece; in what is left of them, a long shared run is a copy.
///
/// ```
/// assert_eq!(musicot_eval::tokens::changes(&[3, 3, 3, 7, 3, 3]), [3, 7, 3]);
/// ```
pub fn changes(tokens: &[i64]) -> Vec<i64> {
    let mut changes = tokens.to_vec();
    changes.dedup();
    changes
}

/// All substrings with the same set of end positions.
#[derive(Debug, Clone, Default)]
struct State {
    /// Length of the longest of them.
    longest: usize,
    /// The state of the longest proper suffix that occurs in more places; none for the root.
    suffix: Option<usize>,
    /// Next states by token, in order of token.
    next: Vec<(i64, usize)>,
    /// One past the first end position in the sequence.
    end: usize,
}

impl State {
    fn follow(&self, token: i64) -> Option<usize> {
        let slot = self.next.binary_search_by_key(&token, |(token, _)| *token).ok()?;
        Some(self.next[slot].1)
    }

    fn lead(&mut self, token: i64, to: usize) {
        match self.next.binary_search_by_key(&token, |(token, _)| *token) {
            Ok(slot) => self.next[slot].1 = to,
            Err(slot) => self.next.insert(slot, (token, to)),
        }
    }
}

struct Automaton {
    states: Vec<State>,
}

impl Automaton {
    fn new(sequence: &[i64]) -> Self {
        let mut automaton = Self { states: vec![State::default()] };
        let mut last = 0;
        for (position, token) in sequence.iter().enumerate() {
            last = automaton.extend(last, *token, position + 1);
        }
        automaton
    }

    /// Appends a token to the sequence whose whole is the state `last`, and returns the state of the new whole.
    fn extend(&mut self, last: usize, token: i64, end: usize) -> usize {
        let whole = self.push(State { longest: end, suffix: None, next: Vec::new(), end });
        let mut at = Some(last);
        while let Some(state) = at {
            if self.states[state].follow(token).is_some() {
                break;
            }
            self.states[state].lead(token, whole);
            at = self.states[state].suffix;
        }
        let suffix = match at.and_then(|state| Some((state, self.states[state].follow(token)?))) {
            None => 0,
            Some((state, next)) => self.shortened(state, token, next),
        };
        self.states[whole].suffix = Some(suffix);
        whole
    }

    /// The state of exactly `state`'s longest string and the token: `next` itself, or a copy split off it where `next` holds longer ones.
    fn shortened(&mut self, state: usize, token: i64, next: usize) -> usize {
        let longest = self.states[state].longest + 1;
        if self.states[next].longest == longest {
            return next;
        }
        let copy = self.push(State { longest, ..self.states[next].clone() });
        self.states[next].suffix = Some(copy);
        let mut at = Some(state);
        while let Some(state) = at {
            if self.states[state].follow(token) != Some(next) {
                break;
            }
            self.states[state].lead(token, copy);
            at = self.states[state].suffix;
        }
        copy
    }

    fn push(&mut self, state: State) -> usize {
        self.states.push(state);
        self.states.len() - 1
    }

    /// The longest run that ends anywhere in a piece, as if it were piece 0.
    fn longest_in(&self, piece: &[i64]) -> Option<SharedRun> {
        let (mut state, mut length) = (0, 0);
        let mut best: Option<SharedRun> = None;
        for (position, token) in piece.iter().enumerate() {
            (state, length) = self.step(state, length, *token);
            if length > best.map_or(0, |best| best.tokens) {
                let (start, piece_start) = (self.states[state].end - length, position + 1 - length);
                best = Some(SharedRun { tokens: length, start, piece: 0, piece_start });
            }
        }
        best
    }

    /// The longest suffix of what was read that the sequence holds, after one more token.
    fn step(&self, mut state: usize, mut length: usize, token: i64) -> (usize, usize) {
        loop {
            if let Some(next) = self.states[state].follow(token) {
                return (next, length + 1);
            }
            let Some(suffix) = self.states[state].suffix else { return (0, 0) };
            (state, length) = (suffix, self.states[suffix].longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_sequences_and_strangers() {
        let tokens: Vec<i64> = (0..100).map(|i| i * i % 17).collect();
        let run = longest_shared_run(&tokens, std::slice::from_ref(&tokens)).unwrap().unwrap();
        assert_eq!((run.tokens, run.start, run.piece_start), (100, 0, 0));
        assert_eq!(longest_shared_run(&[1, 2], &[vec![3, 4], vec![]]).unwrap(), None);
        assert!(longest_shared_run(&[], &[vec![1]]).is_err());
        assert!(longest_shared_run::<Vec<i64>>(&[1], &[]).is_err());
    }

    #[test]
    fn runs_do_not_cross_pieces() {
        let run = longest_shared_run(&[1, 2, 3, 4], &[vec![1, 2], vec![3, 4]]).unwrap().unwrap();
        assert_eq!((run.tokens, run.piece), (2, 0));
    }

    #[test]
    fn one_token_forever() {
        let run = longest_shared_run(&[7; 50], &[vec![7; 20], vec![7; 500]]).unwrap().unwrap();
        assert_eq!((run.tokens, run.piece), (50, 1));
    }

    fn slow(sequence: &[i64], corpus: &[Vec<i64>]) -> usize {
        let common = |a: &[i64], b: &[i64]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let starts = |piece: &Vec<i64>| {
            let pairs = (0..sequence.len()).flat_map(|i| (0..piece.len()).map(move |j| (i, j)));
            pairs.map(|(i, j)| common(&sequence[i..], &piece[j..])).max().unwrap_or(0)
        };
        corpus.iter().map(starts).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn as_long_as_the_slow_search_says(
            sequence in prop::collection::vec(0_i64..3, 1..30),
            corpus in prop::collection::vec(prop::collection::vec(0_i64..4, 0..30), 1..4),
        ) {
            let found = longest_shared_run(&sequence, &corpus).unwrap();
            prop_assert_eq!(found.map_or(0, |run| run.tokens), slow(&sequence, &corpus));
            if let Some(run) = found {
                let here = &sequence[run.start..run.start + run.tokens];
                prop_assert_eq!(here, &corpus[run.piece][run.piece_start..run.piece_start + run.tokens]);
            }
        }
    }
}
