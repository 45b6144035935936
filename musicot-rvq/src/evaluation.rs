//! How well a quantiser keeps vectors.

use musicot_core::tch::{self, Kind, Tensor};
use musicot_core::{Error, Result, shape, tensor};
use serde::Serialize;

use crate::VectorQuantizer;

/// Figures of a quantiser on given vectors; lists have one value per number of levels decoded (1, 2, .. all).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean cosine between vectors and what is decoded.
    pub cosine: Vec<f64>,
    /// Mean squared error per component.
    pub mse: Vec<f64>,
    /// Codewords in effective use at each level: the exponential of the entropy of the codes, in `1..=codebook_size`.
    pub perplexity: Vec<f64>,
    /// Share of vectors whose full-depth decoding is nearer (by cosine) to its own original than to any other of its gallery.
    pub nearest_own: f64,
}

/// Measures a quantiser on vectors `[rows, dim]`. Originals compete in galleries of `gallery` consecutive rows.
///
/// # Errors
/// [`Error::Input`] for no vectors or an empty gallery; what encoding or decoding raises.
pub fn evaluate(quantizer: &dyn VectorQuantizer, vectors: &Tensor, gallery: usize) -> Result<Evaluation> {
    shape::expect("vectors [rows, dim]", vectors, &[shape::ANY, quantizer.dim() as i64])?;
    if vectors.size()[0] == 0 || gallery == 0 {
        return Err(Error::input("evaluation", "expected at least one vector and a gallery of at least one"));
    }
    tch::no_grad(|| measure(quantizer, vectors, gallery))
}

fn measure(quantizer: &dyn VectorQuantizer, vectors: &Tensor, gallery: usize) -> Result<Evaluation> {
    let codes = quantizer.encode(vectors)?;
    let mut report = Evaluation { cosine: vec![], mse: vec![], perplexity: vec![], nearest_own: 0.0 };
    for level in 0..quantizer.levels() as i64 {
        let decoded = quantizer.decode(&codes.f_narrow(1, 0, level + 1)?)?;
        let cosine = Tensor::f_cosine_similarity(vectors, &decoded, 1, 1e-12)?;
        report.cosine.push(mean(&cosine)?);
        report.mse.push(mean(&vectors.f_sub(&decoded)?.f_square()?)?);
        let ids = tensor::to_ids(&codes.f_select(1, level)?)?;
        report.perplexity.push(perplexity(&ids, quantizer.codebook_size()));
    }
    report.nearest_own = nearest_own(vectors, &quantizer.decode(&codes)?, gallery as i64)?;
    Ok(report)
}

fn mean(values: &Tensor) -> Result<f64> {
    Ok(values.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?)
}

fn perplexity(codes: &[i64], codebook_size: usize) -> f64 {
    let mut counts = vec![0_usize; codebook_size];
    codes.iter().for_each(|code| counts[*code as usize] += 1);
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / codes.len() as f64);
    shares.map(|share| -share * share.ln()).sum::<f64>().exp()
}

fn nearest_own(originals: &Tensor, decoded: &Tensor, gallery: i64) -> Result<f64> {
    let rows = originals.size()[0];
    let (mut own, mut start) = (0, 0);
    while start < rows {
        let count = gallery.min(rows - start);
        let originals = crate::search::normalize(&originals.f_narrow(0, start, count)?)?;
        let found =
            decoded.f_narrow(0, start, count)?.f_matmul(&originals.f_transpose(0, 1)?)?.f_argmax(1, false)?;
        let wanted = Tensor::f_arange(count, (Kind::Int64, found.device()))?;
        own += found.f_eq_tensor(&wanted)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        start += count;
    }
    Ok(own as f64 / rows as f64)
}
