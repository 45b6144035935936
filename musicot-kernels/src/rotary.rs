//! Rotary position embeddings (Su et al., 2021), in the split-halves layout of LLaMA.

use crate::error::{Error, Result};
use crate::isa::{Isa, MulAdd, Work};

/// Cosines and sines of one position, one of each for every pair of a head's values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Turn {
    pub(crate) cos: Vec<f32>,
    pub(crate) sin: Vec<f32>,
}

impl Turn {
    /// The turn by `position` times each of the frequencies, in radians.
    pub fn new(position: f32, frequencies: &[f32]) -> Self {
        let (sin, cos) = frequencies.iter().map(|frequency| (position * frequency).sin_cos()).unzip();
        Self { cos, sin }
    }

    /// Pairs of a head.
    pub fn pairs(&self) -> usize {
        self.cos.len()
    }

    /// Turns the pairs `(i, i + pairs)` of each head of `heads [.., 2 * pairs]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when it does not divide into heads.
    pub fn apply(&self, isa: Isa, heads: &mut [f32]) -> Result<()> {
        let head = 2 * self.pairs();
        if head == 0 || !heads.len().is_multiple_of(head) {
            return Err(Error::shape("heads", format!("a multiple of {head}"), heads.len()));
        }
        isa.run(Turning { turn: self, heads });
        Ok(())
    }
}

struct Turning<'a> {
    turn: &'a Turn,
    heads: &'a mut [f32],
}

impl Work for Turning<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let pairs = self.turn.pairs();
        for head in self.heads.chunks_exact_mut(2 * pairs) {
            let (low, high) = head.split_at_mut(pairs);
            let turns = self.turn.cos.iter().zip(&self.turn.sin);
            for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(turns) {
                (*low, *high) = turned::<M>((*low, *high), (*cos, *sin));
            }
        }
    }
}

#[inline(always)]
pub(crate) fn turned<M: MulAdd>((low, high): (f32, f32), (cos, sin): (f32, f32)) -> (f32, f32) {
    (M::mul_add(low, cos, -(high * sin)), M::mul_add(high, cos, low * sin))
}
