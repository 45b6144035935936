//! A matrix of weights and its products.

use std::ops::Range;
use std::sync::Arc;

use crate::activations::Activations;
use crate::error::{Error, Result, expect_len};
use crate::isa::Isa;
use crate::kind::WeightKind;
use crate::pack::{PANEL, Packed};
use crate::product::{Product, copy};
use crate::threads::Threads;

/// Work that is worth waking another thread for, in bytes of weights times rows of activations: some 80 microseconds of a core that has them in its
/// caches. Waking one takes 10 to 20.
const WORTH_A_THREAD: usize = 1 << 22;

/// Weights `[rows, columns]`, packed for products with a few rows of activations: `y = x W^T`.
///
/// The weights are read from memory once whatever the number of activation rows is, and each row gives the same bytes alone or among
/// others, on one thread or several. For one set of instructions, that is: AVX2 rounds once where plain Rust rounds twice.
///
/// ```
/// use musicot_kernels::{Matrix, Threads, WeightKind};
/// let identity = Matrix::new(&[1.0, 0.0, 0.0, 1.0], 2, 2, WeightKind::Int8)?;
/// let mut y = [0.0; 4];
/// identity.multiply(&[1.0, 2.0, 3.0, 4.0], &mut y, &Threads::one())?;
/// // 1.0 is 127 steps of 1 / 127; activations are rounded to 16 bits.
/// assert!(y.iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(y, x)| (y - x).abs() < 1e-4));
/// # Ok::<(), musicot_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Matrix {
    packed: Arc<Packed>,
    isa: Isa,
}

impl Matrix {
    /// Packs row-major weights.
    ///
    /// # Errors
    /// [`Error::Shape`] for an empty matrix or a slice of another length, [`Error::NotFinite`] where such a weight would have to be quantised.
    pub fn new(weights: &[f32], rows: usize, columns: usize, kind: WeightKind) -> Result<Self> {
        if rows == 0 || columns == 0 {
            return Err(Error::shape("rows and columns", "at least 1", 0));
        }
        expect_len("weights", rows.saturating_mul(columns), weights.len())?;
        Ok(Self { packed: Arc::new(Packed::new(weights, rows, columns, kind)?), isa: Isa::best() })
    }

    /// The same weights for other instructions.
    #[must_use]
    pub fn with_isa(&self, isa: Isa) -> Self {
        Self { packed: Arc::clone(&self.packed), isa }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.packed.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.packed.columns
    }

    /// How the weights are stored.
    pub fn kind(&self) -> WeightKind {
        self.packed.kind
    }

    /// Bytes of weights and scales, which is what a product reads.
    pub fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// `x [batch, columns]` to `y [batch, rows]`. Columns that do not fill the blocks up cost a copy of the activations, and so do
    /// weights of integers.
    ///
    /// # Errors
    /// [`Error::Shape`] when a slice has another length; [`Error::WorkerLost`].
    pub fn multiply(&self, x: &[f32], y: &mut [f32], threads: &Threads) -> Result<()> {
        self.multiply_rows(0..self.rows(), x, y, threads)
    }

    /// The outputs of some rows only, `y [batch, rows.len()]`, the same bytes as among all.
    ///
    /// # Errors
    /// [`Error::Shape`] when a slice has another length or the range is empty or not within the matrix; [`Error::WorkerLost`].
    pub fn multiply_rows(
        &self,
        rows: Range<usize>,
        x: &[f32],
        y: &mut [f32],
        threads: &Threads,
    ) -> Result<()> {
        if rows.is_empty() || rows.end > self.rows() {
            return Err(Error::shape("end of a range of rows", format!("1 to {}", self.rows()), rows.end));
        }
        if x.is_empty() || !x.len().is_multiple_of(self.columns()) {
            return Err(Error::shape("activations", format!("a multiple of {}", self.columns()), x.len()));
        }
        let batch = x.len() / self.columns();
        expect_len("results", batch * rows.len(), y.len())?;
        let x = Activations::new(self.isa, &self.packed, x);
        let work = self.bytes() / self.rows() * rows.len() * batch;
        let shares = threads.count().min(1 + work / WORTH_A_THREAD).min(rows.len().div_ceil(PANEL));
        if shares == 1 {
            let stride = rows.len();
            self.product().run(rows, &x, |row, at, sums| copy(y, row * stride + at, sums));
            return Ok(());
        }
        self.split(rows, x, y, (threads, shares))
    }

    fn product(&self) -> Product<'_> {
        Product { packed: &self.packed, isa: self.isa }
    }

    /// Gives each thread as many neighbouring panels, the calling one the first.
    fn split(
        &self,
        rows: Range<usize>,
        x: Activations<'_>,
        y: &mut [f32],
        (threads, shares): (&Threads, usize),
    ) -> Result<()> {
        let stride = rows.len();
        let x = x.into_owned();
        let share = |index: usize| {
            let (first, panels) = (rows.start / PANEL, rows.end.div_ceil(PANEL) - rows.start / PANEL);
            let at = |index: usize| (first + panels * index / shares) * PANEL;
            at(index).max(rows.start)..at(index + 1).min(rows.end)
        };
        let matrix = self.clone();
        let work = move |own: Range<usize>| {
            let sums = matrix.product().collect(own.clone(), &x);
            (own, sums)
        };
        for (own, sums) in threads.map((0..shares).map(share).collect(), work)? {
            let start = own.start - rows.start;
            for (y, sums) in y.chunks_exact_mut(stride).zip(sums.chunks_exact(own.len())) {
                y[start..start + own.len()].copy_from_slice(sums);
            }
        }
        Ok(())
    }
}
