//! The quantiser.

use musicot_core::tch::{self, Kind, Tensor};
use musicot_core::{Error, Init, Result, Scope, shape};

use crate::search::{greedy, normalize};
use crate::{Metric, RvqConfig, beam};

/// Vectors to a few small integers each, and back.
///
/// # Implementing
/// Codes are in `0..codebook_size()`. Decoding any number of leading levels must work, and more levels should come
/// closer to the vector. Encoding is deterministic and does not depend on the other vectors of the call.
pub trait VectorQuantizer: Send {
    /// Length of the vectors.
    fn dim(&self) -> usize;

    /// Codes per vector.
    fn levels(&self) -> usize;

    /// Codewords per level.
    fn codebook_size(&self) -> usize;

    /// Vectors `[.., dim]` (floating point) to codes `[.., levels]` (i64).
    ///
    /// # Errors
    /// [`Error::Shape`] for another last axis, [`Error::Input`] for NaN or infinite values.
    fn encode(&self, vectors: &Tensor) -> Result<Tensor>;

    /// Codes `[.., k]` (i64) of the first `k` levels, `1 <= k <= levels`, to vectors `[.., dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for another last axis, [`Error::Input`] for a code out of range.
    fn decode(&self, codes: &Tensor) -> Result<Tensor>;
}

/// A residual vector quantiser (Zeghidour et al., "SoundStream", 2021, section III-C): each level quantises what the
/// levels before it left over, and a vector is decoded as the sum of its codewords.
///
/// A layer: its codebooks live in a caller's [`musicot_core::ParamStore`], as frozen tensors `layers.N.embed`
/// `[codebook_size, dim]`. For a quantiser on its own see [`crate::RvqModel`].
///
/// ```
/// use musicot_rvq::{ResidualVq, RvqConfig, VectorQuantizer, core::{ParamStore, tch::{Device, Kind, Tensor}}};
/// let store = ParamStore::new(Device::Cpu, 0);
/// let config = RvqConfig { dim: 4, levels: 2, codebook_size: 8, ..Default::default() };
/// let rvq = ResidualVq::new(&store.root(), &config)?;
/// let codes = rvq.encode(&Tensor::ones([3, 5, 4], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(codes.size(), [3, 5, 2]);
/// assert_eq!(rvq.decode(&codes.narrow(-1, 0, 1))?.size(), [3, 5, 4]);
/// # Ok::<(), musicot_rvq::Error>(())
/// ```
#[derive(Debug)]
pub struct ResidualVq {
    config: RvqConfig,
    codebooks: Vec<Tensor>,
}

impl ResidualVq {
    /// Makes the codebooks: random (and useless) until a checkpoint or `train::RvqLearner` (feature `train`) fills them.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes out of range; see [`Scope::param`].
    pub fn new(scope: &Scope, config: &RvqConfig) -> Result<Self> {
        config.validate()?;
        let shape = [config.codebook_size as i64, config.dim as i64];
        let mut codebooks = Vec::new();
        for level in 0..config.levels {
            // Vectors of about unit length, then residuals that halve.
            let deviation = 0.5_f64.powi(level as i32) / (config.dim as f64).sqrt();
            let layer = scope.sub("layers").sub(level);
            // A parameter for its seeded start, frozen because no gradient ever trains it.
            let embed = layer.param("embed", &shape, Init::Normal(deviation))?.f_set_requires_grad(false)?;
            codebooks.push(embed);
        }
        let mut made = Self { config: config.clone(), codebooks };
        if config.metric == Metric::Cosine {
            let unit = normalize(&made.codebooks[0].f_to_kind(Kind::Float)?)?;
            made.codebooks[0].f_copy_(&unit)?;
        }
        Ok(made)
    }

    /// The sizes.
    pub fn config(&self) -> &RvqConfig {
        &self.config
    }

    /// The codebooks, `[codebook_size, dim]` each; they share memory with the quantiser.
    pub fn codebooks(&self) -> &[Tensor] {
        &self.codebooks
    }

    /// Mean squared error per component after 0, 1, .. all levels (`levels + 1` values) over vectors `[.., dim]`. The first value is
    /// the mean square of the vectors themselves, of their directions under [`Metric::Cosine`].
    ///
    /// # Errors
    /// See [`VectorQuantizer::encode`]; [`Error::Input`] when there are no vectors.
    pub fn error_per_level(&self, vectors: &Tensor) -> Result<Vec<f64>> {
        shape::expect_finite("vectors", vectors)?;
        tch::no_grad(|| {
            let (rows, _) = self.rows(vectors)?;
            if rows.size()[0] == 0 {
                return Err(Error::input("vectors", "expected at least one"));
            }
            let codes = self.encode_rows(&rows)?;
            let mut errors = vec![mean_square(&rows)?];
            let mut residual = rows;
            for (level, codebook) in (0..).zip(&self.codebooks) {
                residual = residual.f_sub(&codebook.f_index_select(0, &codes.f_select(1, level)?)?)?;
                errors.push(mean_square(&residual)?);
            }
            Ok(errors)
        })
    }

    /// Vectors `[.., dim]` as f32 rows `[rows, dim]` (of unit length for the cosine metric), and their leading sizes.
    pub(crate) fn rows(&self, vectors: &Tensor) -> Result<(Tensor, Vec<i64>)> {
        let dim = self.config.dim as i64;
        let lead = leading("vectors", vectors, &format!("[.., {dim}]"), |last| last == dim)?;
        if !vectors.is_floating_point() {
            return Err(Error::input(
                "vectors",
                format!("expected floating point, got {:?}", vectors.kind()),
            ));
        }
        let count = lead.iter().product::<i64>();
        let rows = vectors.f_to_kind(Kind::Float)?.f_reshape([count, dim])?;
        let rows = if self.config.metric == Metric::Cosine { normalize(&rows)? } else { rows };
        Ok((rows, lead))
    }

    /// Codes `[rows, levels]` of f32 rows `[rows, dim]`.
    fn encode_rows(&self, rows: &Tensor) -> Result<Tensor> {
        let codebooks: Vec<Tensor> =
            self.codebooks.iter().map(|c| c.f_to_kind(Kind::Float)).collect::<Result<_, _>>()?;
        let greedy = greedy(rows, &codebooks)?;
        // The nearest codeword of a single level cannot be improved on.
        let is_final = self.config.beam == 1 || codebooks.len() == 1;
        if is_final { Ok(greedy) } else { beam::improve(rows, &codebooks, &greedy, self.config.beam) }
    }

    /// Another handle on the same codebooks.
    #[cfg(feature = "train")]
    pub(crate) fn handle(&self) -> Self {
        let codebooks = self.codebooks.iter().map(Tensor::shallow_clone).collect();
        Self { config: self.config.clone(), codebooks }
    }
}

impl VectorQuantizer for ResidualVq {
    fn dim(&self) -> usize {
        self.config.dim
    }

    fn levels(&self) -> usize {
        self.config.levels
    }

    fn codebook_size(&self) -> usize {
        self.config.codebook_size
    }

    fn encode(&self, vectors: &Tensor) -> Result<Tensor> {
        shape::expect_finite("vectors", vectors)?;
        tch::no_grad(|| {
            let (rows, lead) = self.rows(vectors)?;
            Ok(self.encode_rows(&rows)?.f_reshape(with_last(&lead, self.config.levels))?)
        })
    }

    fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        let levels = self.config.levels as i64;
        let lead = leading("codes", codes, &format!("[.., 1 to {levels}]"), |k| (1..=levels).contains(&k))?;
        shape::expect_ids("codes", codes, self.config.codebook_size as i64)?;
        let depth = codes.size()[lead.len()];
        let rows = codes.f_reshape([lead.iter().product(), depth])?;
        let mut sum: Option<Tensor> = None;
        for (level, codebook) in (0..depth).zip(&self.codebooks) {
            let words = codebook.f_index_select(0, &rows.f_select(1, level)?)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&words)?,
                None => words,
            });
        }
        let sum = sum.ok_or_else(|| Error::input("codes", "expected at least one level"))?;
        Ok(sum.f_reshape(with_last(&lead, self.config.dim))?)
    }
}

fn mean_square(values: &Tensor) -> Result<f64> {
    Ok(values.f_to_kind(Kind::Double)?.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?)
}

/// The sizes before the last axis, whose size must pass `fits`.
fn leading(what: &str, tensor: &Tensor, expected: &str, fits: impl Fn(i64) -> bool) -> Result<Vec<i64>> {
    let actual = tensor.size();
    match actual.split_last() {
        Some((last, lead)) if fits(*last) => Ok(lead.to_vec()),
        _ => Err(Error::Shape { what: what.to_owned(), expected: expected.to_owned(), actual }),
    }
}

pub(crate) fn with_last(lead: &[i64], last: usize) -> Vec<i64> {
    lead.iter().copied().chain([last as i64]).collect()
}
