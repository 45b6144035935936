//! Exact search for the nearest codeword.

use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Error, Result, tensor};
use musicot_kernels::{Codebook, at_once};

/// Values of the score matrix held at once (64 MiB).
pub(crate) const CHUNK_VALUES: i64 = 1 << 24;

/// Rows that pass through all levels together: they stay in the caches of a core, and a codebook is read once for all of them.
const TOGETHER: usize = 96;

/// Multiplications that are worth starting another thread for: a tenth of a millisecond.
const WORTH_A_THREAD: usize = 1 << 24;

/// Index of the nearest codeword (Euclidean) per row, `[rows]` i64; the lowest index among equals.
///
/// `vectors` is `[rows, dim]` and `codebook` `[size, dim]`, both f32. Distances that differ by less than their f32 rounding count as equal.
#[cfg(any(feature = "train", test))]
pub(crate) fn nearest(vectors: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    Ok(greedy(vectors, std::slice::from_ref(codebook))?.f_squeeze_dim(1)?)
}

/// Codes `[rows, levels]` i64 of f32 rows `[rows, dim]`: each level's is the [`nearest`] to what the levels before it left over.
pub(crate) fn greedy(rows: &Tensor, codebooks: &[Tensor]) -> Result<Tensor> {
    if rows.device() == Device::Cpu
        && Codebook::is_fast_here()
        && let Some(books) = books(codebooks)?
    {
        return by_integers(rows, &books);
    }
    let mut residual = rows.shallow_clone();
    let mut codes = Vec::new();
    for codebook in codebooks {
        let level = by_products(&residual, codebook)?;
        residual = residual.f_sub(&codebook.f_index_select(0, &level)?)?;
        codes.push(level);
    }
    Ok(Tensor::f_stack(&codes, 1)?)
}

/// Nothing for codebooks that this search is not made for: very long vectors, values that are not finite.
fn books(codebooks: &[Tensor]) -> Result<Option<Vec<Codebook>>> {
    let book = |codebook: &Tensor| -> Result<Option<Codebook>> {
        let dim = codebook.size().last().map_or(0, |dim| *dim as usize);
        Ok(Codebook::new(&tensor::to_vec(codebook)?, dim).ok())
    };
    codebooks.iter().map(book).collect()
}

/// The rows are shared out among as many threads as libtorch has.
fn by_integers(rows: &Tensor, books: &[Codebook]) -> Result<Tensor> {
    let (count, dim) = (rows.size()[0], books.first().map_or(1, Codebook::dim));
    let mut values = tensor::to_vec(rows)?;
    let mut codes = vec![0_i64; count as usize * books.len()];
    let work: usize = books.iter().map(|book| book.size() * dim * count as usize).sum();
    let threads = (1 + work / WORTH_A_THREAD).min(tch::get_num_threads().max(1) as usize);
    let share = (count as usize).div_ceil(threads).max(1);
    let shares = values.chunks_mut(share * dim).zip(codes.chunks_mut(share * books.len()));
    at_once(shares, |(rows, codes)| descend(rows, books, codes))
        .map_err(|e| Error::input("vectors", e.to_string()))?;
    Ok(Tensor::f_from_slice(&codes)?.f_reshape([count, books.len() as i64])?)
}

/// Codes `[rows][levels]`; of the rows is left what no level holds.
fn descend(rows: &mut [f32], books: &[Codebook], codes: &mut [i64]) -> musicot_kernels::Result<()> {
    let dim = books.first().map_or(1, Codebook::dim);
    let mut found = [0; TOGETHER];
    for (rows, codes) in rows.chunks_mut(TOGETHER * dim).zip(codes.chunks_mut(TOGETHER * books.len())) {
        let found = &mut found[..rows.len() / dim];
        for (level, book) in books.iter().enumerate() {
            book.nearest(rows, found)?;
            for (row, (own, code)) in rows.chunks_exact_mut(dim).zip(&*found).enumerate() {
                codes[row * books.len() + level] = i64::from(*code);
                let word = book.word(*code).unwrap_or_default();
                own.iter_mut().zip(word).for_each(|(left, word)| *left -= word);
            }
        }
    }
    Ok(())
}

/// As `|x - e|^2 = |x|^2 - 2 (x.e - |e|^2 / 2)`, the nearest codeword has the largest `x.e - |e|^2 / 2`: one matrix product.
fn by_products(vectors: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    let bias =
        codebook.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?.f_mul_scalar(-0.5)?;
    let transposed = codebook.f_transpose(0, 1)?;
    let (rows, size) = (vectors.size()[0], codebook.size()[0]);
    let step = (CHUNK_VALUES / size).max(1);
    let mut found = Vec::new();
    let mut start = 0;
    // At least once, so that no rows give an empty result and not an empty list.
    while start == 0 || start < rows {
        let chunk = vectors.f_narrow(0, start, step.min(rows - start))?;
        // The indices of `max` along rows come a third sooner than those of `argmax`.
        found.push(bias.f_addmm(&chunk, &transposed)?.f_max_dim(1, false)?.1);
        start += step;
    }
    Ok(Tensor::f_cat(&found, 0)?)
}

/// Rows divided by their length; rows of zeros stay zeros.
pub(crate) fn normalize(vectors: &Tensor) -> Result<Tensor> {
    let squares = vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)?;
    // Clamped before the root, whose gradient at 0 is infinite.
    Ok(vectors.f_div(&squares.f_clamp_min(1e-24)?.f_sqrt()?)?)
}
