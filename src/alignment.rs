//! Semantic tokens and latent frames that run at different rates, such as 25 tokens and the 21.5 frames of Stable Audio's autoencoder.

use std::ops::Range;

use crate::{Error, Result};

/// Latent frames per semantic token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Alignment {
    frames_per_token: f64,
}

impl Alignment {
    /// From any two rates, in the same unit.
    pub fn new(frame_rate: f64, token_rate: f64) -> Result<Self> {
        let frames_per_token = frame_rate / token_rate;
        // Beyond this, one of the rates is a mistake.
        if (1e-3..=1e3).contains(&frames_per_token) {
            return Ok(Self { frames_per_token });
        }
        Err(Error::input("rates", format!("{frame_rate} frames do not go with {token_rate} tokens")))
    }

    /// Frames that cover so many tokens.
    pub fn frames(self, tokens: usize) -> usize {
        let frames = tokens as f64 * self.frames_per_token;
        // A whole number may come out a rounding above itself.
        (frames - 1e-6).ceil().max(0.0) as usize
    }

    /// The first frames, whose tokens are among the first so many of a song that goes on.
    pub fn settled(self, tokens: usize) -> usize {
        let below = self.frames(tokens);
        // The middle of the last of them may lie in the token that follows.
        (0..below).rev().find(|frame| self.place(*frame) < tokens).map_or(0, |last| last + 1)
    }

    /// The token at the middle of each of these frames; frames past the last token have the last.
    pub fn spread(self, tokens: &[i64], frames: Range<usize>) -> Result<Vec<i64>> {
        let Some(last) = tokens.len().checked_sub(1) else {
            return Err(Error::input("semantic tokens", "expected at least one, got none"));
        };
        Ok(frames.map(|frame| tokens[self.place(frame).min(last)]).collect())
    }

    fn place(self, frame: usize) -> usize {
        ((frame as f64 + 0.5) / self.frames_per_token) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_rates_change_nothing() {
        let alignment = Alignment::new(25.0, 25.0).unwrap();
        let tokens: Vec<i64> = (0..750).collect();
        assert_eq!(alignment.frames(750), 750);
        assert_eq!(alignment.spread(&tokens, 0..750).unwrap(), tokens);
    }

    #[test]
    fn frames_of_stable_audio_cover_the_tokens() {
        let alignment = Alignment::new(44_100.0 / 2048.0, 25.0).unwrap();
        assert_eq!(alignment.frames(750), 646);
        let spread = alignment.spread(&(0..750).collect::<Vec<_>>(), 0..646).unwrap();
        // The middle of frame 0 is at 23 ms, within token 0; the next lie 46.4 ms, 1.161 tokens, apart.
        assert_eq!(spread[..8], [0, 1, 2, 4, 5, 6, 7, 8]);
        assert_eq!(spread[645], 749);
    }

    #[test]
    fn absurd_rates_and_no_tokens_are_refused() {
        for (frames, tokens) in
            [(0.0, 25.0), (25.0, 0.0), (f64::NAN, 25.0), (-1.0, 25.0), (25.0, f64::INFINITY)]
        {
            assert!(Alignment::new(frames, tokens).is_err(), "{frames} {tokens}");
        }
        assert!(Alignment::new(1.0, 1.0).unwrap().spread(&[], 0..3).is_err());
    }

    proptest! {
        #[test]
        fn every_frame_has_the_token_that_sounds_in_its_middle(
            frame_rate in 5.0_f64..100.0, token_rate in 5.0_f64..100.0, count in 1_usize..500,
        ) {
            let alignment = Alignment::new(frame_rate, token_rate).unwrap();
            let tokens: Vec<i64> = (0..count as i64).collect();
            let frames = alignment.frames(count);
            let covered = frames as f64 / frame_rate - count as f64 / token_rate;
            prop_assert!((-1e-3..1.0 / frame_rate + 1e-3).contains(&covered));
            for (frame, token) in alignment.spread(&tokens, 0..frames).unwrap().into_iter().enumerate() {
                let middle = (frame as f64 + 0.5) / frame_rate * token_rate;
                let within = token as f64 <= middle + 1e-6 && middle < token as f64 + 1.0 + 1e-6;
                prop_assert!(within || token == count as i64 - 1);
            }
        }

        #[test]
        fn settled_frames_do_not_change_when_more_tokens_come(
            frame_rate in 5.0_f64..100.0, token_rate in 5.0_f64..100.0, count in 1_usize..300, more in 1_usize..300,
        ) {
            let alignment = Alignment::new(frame_rate, token_rate).unwrap();
            let tokens: Vec<i64> = (0..(count + more) as i64).collect();
            let settled = alignment.settled(count);
            let early = alignment.spread(&tokens[..count], 0..settled).unwrap();
            prop_assert_eq!(early, alignment.spread(&tokens, 0..settled).unwrap());
            // Not fewer than can be known: the next frame needs a token that is not there.
            prop_assert!(alignment.spread(&tokens, settled..settled + 1).unwrap()[0] >= count as i64);
        }
    }
}
