//! The nearest of many codewords.
//!
//! Products of 8-bit integers tell which codewords can be the nearest: the rounding of a vector and of a codeword is known, so each score is known up to
//! a radius. The distances of those few that can win are then computed in f32, so that the result is that of computing all of them.

mod pack;
mod portable;
mod query;
mod vnni;

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result, expect_len};
use crate::isa::{Isa, Kind, MulAdd, Work};
use crate::lanes::{Eight, LANES};
use crate::portable::sum_lanes;

use pack::{LIST, Packed};
use query::Query;

/// Vectors that are compared with a list of codewords at once: their sums and the codewords fill the registers.
const MOST: usize = 6;

/// From how many vectors on packing the codewords pays, which takes as long as computing all distances of a few vectors.
const WORTH_PACKING: usize = 8;

/// Longer vectors could overflow 32-bit sums of products of 8-bit integers.
const MOST_DIM: usize = 1 << 15;

/// Codewords `[size, dim]`, for the search of the nearest one. They are packed when many vectors are first compared with them.
///
/// ```
/// use musicot_kernels::Codebook;
/// let book = Codebook::new(&[0.0, 0.0, 3.0, 4.0], 2)?; // two codewords of two values
/// let mut codes = [0; 3];
/// book.nearest(&[0.1, 0.2, 5.0, 5.0, 1.4, 2.0], &mut codes)?;
/// assert_eq!(codes, [0, 1, 0]);
/// # Ok::<(), musicot_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Codebook {
    words: Arc<[f32]>,
    dim: usize,
    packed: OnceLock<Arc<Packed>>,
    isa: Isa,
}

impl Codebook {
    /// Row-major codewords of `dim` values.
    ///
    /// # Errors
    /// [`Error::Shape`] without codewords, for a length that is no multiple of `dim`, and for more than 32768 values; [`Error::NotFinite`].
    pub fn new(words: &[f32], dim: usize) -> Result<Self> {
        if !(1..=MOST_DIM).contains(&dim) {
            return Err(Error::shape("values of a codeword", format!("1 to {MOST_DIM}"), dim));
        }
        let whole = words.len().is_multiple_of(dim) && u32::try_from(words.len() / dim).is_ok();
        if words.is_empty() || !whole {
            return Err(Error::shape("codewords", format!("a multiple of {dim}, above 0"), words.len()));
        }
        if let Some(row) = words.chunks_exact(dim).position(|word| !word.iter().all(|x| x.is_finite())) {
            return Err(Error::NotFinite { row });
        }
        Ok(Self { words: words.into(), dim, packed: OnceLock::new(), isa: Isa::best() })
    }

    /// Whether this machine multiplies 8-bit integers so fast (AVX-512 VNNI) that this search beats a product of f32 matrices.
    pub fn is_fast_here() -> bool {
        matches!(Isa::best().0, Kind::Avx512(_))
    }

    /// The same codewords for other instructions: the same codes, but that plain Rust may choose otherwise among distances that differ by the rounding of f32.
    #[must_use]
    pub fn with_isa(&self, isa: Isa) -> Self {
        Self { isa, ..self.clone() }
    }

    /// Codewords.
    pub fn size(&self) -> usize {
        self.words.len() / self.dim
    }

    /// Values of a codeword.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Codeword `code`, or nothing where there is none.
    pub fn word(&self, code: u32) -> Option<&[f32]> {
        self.words.chunks_exact(self.dim).nth(code as usize)
    }

    /// The codeword at the smallest Euclidean distance from each of `vectors [codes.len(), dim]`, the first of those whose squared distances
    /// are equal in f32. A vector does not meet the others of a call: alone it gets the same code. One that is not finite gets any.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn nearest(&self, vectors: &[f32], codes: &mut [u32]) -> Result<()> {
        expect_len("vectors", codes.len() * self.dim, vectors.len())?;
        if codes.len() < WORTH_PACKING && self.packed.get().is_none() {
            for (vector, code) in vectors.chunks_exact(self.dim).zip(codes) {
                *code = self.best(vector, 0..self.size());
            }
            return Ok(());
        }
        let packed = self.packed.get_or_init(|| Arc::new(Packed::new(self.isa, &self.words, self.dim)));
        let mut scores = Scores::new(packed, self.isa);
        for (vectors, codes) in vectors.chunks(MOST * self.dim).zip(codes.chunks_mut(MOST)) {
            scores.fill(vectors, self.dim);
            for (row, (vector, code)) in vectors.chunks_exact(self.dim).zip(codes).enumerate() {
                *code = self.best(vector, scores.possible(row, self.size()));
            }
        }
        Ok(())
    }

    /// The nearest of some codewords, of which there is at least one.
    fn best(&self, vector: &[f32], mut possible: impl Iterator<Item = usize>) -> u32 {
        let first = possible.next().unwrap_or_default();
        let Some(second) = possible.next() else { return first as u32 };
        let far = |code: usize| {
            let word = &self.words[code * self.dim..][..self.dim];
            self.isa.run(SquaredDistance(vector, word))
        };
        let mut best = (first, far(first));
        for code in std::iter::once(second).chain(possible) {
            let distance = far(code);
            if distance < best.1 {
                best = (code, distance);
            }
        }
        best.0 as u32
    }
}

/// Of a few vectors: what the score of each codeword is at most, and what the best score is at least.
struct Scores<'b> {
    packed: &'b Packed,
    isa: Isa,
    queries: [Query; MOST],
    /// `[MOST][lists][LIST]`
    most: Vec<f32>,
    least: [f32; MOST],
}

impl<'b> Scores<'b> {
    fn new(packed: &'b Packed, isa: Isa) -> Self {
        let most = vec![0.0; MOST * packed.lists() * LIST];
        Self { packed, isa, queries: std::array::from_fn(|_| Query::default()), most, least: [0.0; MOST] }
    }

    /// At most [`MOST`] vectors.
    fn fill(&mut self, vectors: &[f32], dim: usize) {
        for (query, vector) in self.queries.iter_mut().zip(vectors.chunks_exact(dim)) {
            query.set(self.isa, vector);
        }
        match vectors.len() / dim {
            1 => self.compare::<1>(),
            2 => self.compare::<2>(),
            3 => self.compare::<3>(),
            4 => self.compare::<4>(),
            5 => self.compare::<5>(),
            _ => self.compare::<MOST>(),
        }
    }

    fn compare<const ROWS: usize>(&mut self) {
        let stride = self.packed.lists() * LIST;
        let queries: [&Query; ROWS] = std::array::from_fn(|row| &self.queries[row]);
        self.least.fill(f32::NEG_INFINITY);
        for list in 0..self.packed.lists() {
            let (fours, facts) = self.packed.list(list);
            let (most, least) = match self.isa.0 {
                Kind::Avx512(token) => vnni::scores(token, fours, facts, queries),
                Kind::Avx2(_) | Kind::Portable => portable::scores(fours, facts, queries),
            };
            for (row, (most, least)) in most.iter().zip(least).enumerate() {
                self.most[row * stride + list * LIST..][..LIST].copy_from_slice(most);
                self.least[row] = self.least[row].max(least);
            }
        }
    }

    /// Those of `size` codewords that may be the nearest to vector `row`, in order.
    fn possible(&self, row: usize, size: usize) -> impl Iterator<Item = usize> {
        let stride = self.packed.lists() * LIST;
        let (most, least) = (&self.most[row * stride..][..size], self.least[row]);
        // What has no score because something overflowed is looked at: comparisons are false for it.
        let is_out = move |most: f32| most < least;
        let eights = most.chunks(LANES).enumerate();
        let some = eights.filter(move |(_, most)| !most.iter().fold(true, |all, most| all & is_out(*most)));
        some.flat_map(move |(place, most)| {
            let own = most.iter().enumerate().filter(move |(_, most)| !is_out(**most));
            own.map(move |(lane, _)| place * LANES + lane)
        })
    }
}

struct SquaredDistance<'a>(&'a [f32], &'a [f32]);

impl Work for SquaredDistance<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<M: MulAdd>(self) -> f32 {
        let ((x, x_rest), (y, y_rest)) = (self.0.as_chunks::<LANES>(), self.1.as_chunks::<LANES>());
        let mut sums: Eight = [0.0; LANES];
        for (x, y) in x.iter().zip(y) {
            for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
                let difference = x - y;
                *sum = M::mul_add(difference, difference, *sum);
            }
        }
        let rest = x_rest.iter().zip(y_rest);
        rest.fold(sum_lanes(sums), |sum, (x, y)| M::mul_add(x - y, x - y, sum))
    }
}
