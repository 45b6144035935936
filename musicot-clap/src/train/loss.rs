//! The symmetric contrastive loss, and the loss that keeps what a text tower knows.

use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error, Result, shape};

use crate::similarity::unit;

/// Mean cross-entropy of finding each item's own partner by cosine, from audio to text and from text to audio (Radford et al., 2021).
///
/// `audio` and `text` are unit vectors `[batch, dim]`; `scales` the factors on the cosines in either direction (scalars); `may_match [batch, batch]`
/// (bool, symmetric) marks pairs of items that may describe each other, which are left out of the sums (an item and its own partner never are).
///
/// # Errors
/// [`Error::Shape`] or [`Error::Input`] for shapes or types that do not fit.
///
/// ```
/// use musicot_clap::train::contrastive_loss;
/// use musicot_core::tch::{Device, Kind, Tensor};
/// let same = Tensor::eye(3, (Kind::Float, Device::Cpu));
/// let nothing = Tensor::zeros([3, 3], (Kind::Bool, Device::Cpu));
/// let scale = || Tensor::from(100_f32);
/// let loss = contrastive_loss(&same, &same, (&scale(), &scale()), &nothing)?;
/// assert!(loss.double_value(&[]) < 1e-6);
/// # Ok::<(), musicot_clap::Error>(())
/// ```
pub fn contrastive_loss(
    audio: &Tensor,
    text: &Tensor,
    scales: (&Tensor, &Tensor),
    may_match: &Tensor,
) -> Result<Tensor> {
    shape::expect("audio embeddings", audio, &[shape::ANY, shape::ANY])?;
    shape::expect("text embeddings", text, &audio.size())?;
    let batch = audio.size()[0];
    shape::expect("may_match", may_match, &[batch, batch])?;
    shape::expect_kind("may_match", may_match, Kind::Bool)?;
    if batch == 0 {
        return Err(Error::input("batch", "expected at least one pair, got none"));
    }
    let own = Tensor::f_eye(batch, (Kind::Bool, audio.device()))?;
    let excluded = may_match.f_logical_and(&own.f_logical_not()?)?;
    let cosines = audio.f_matmul(&text.f_transpose(0, 1)?)?;
    let one_way = |cosines: &Tensor, scale: &Tensor| -> Result<Tensor> {
        let logits = cosines.f_mul(scale)?.f_masked_fill(&excluded, f64::NEG_INFINITY)?;
        Ok(logits.f_log_softmax(-1, None)?.f_diagonal(0, 0, 1)?.f_mean(None)?.f_neg()?)
    };
    let there = one_way(&cosines, scales.0)?;
    let back = one_way(&cosines.f_transpose(0, 1)?, scales.1)?;
    Ok(there.f_add(&back)?.f_div_scalar(2.0)?)
}

/// Mean square of the differences between the cosines of `text [batch, dim]` and those of `pooled [batch, hidden]`, each centred within the
/// batch: relational knowledge distillation (Park et al., 2019), from the text tower to the joint space.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Input`] for shapes that do not fit.
///
/// ```
/// use musicot_clap::train::meaning_loss;
/// use musicot_core::tch::{Device, Kind, Tensor};
/// let pooled = Tensor::eye(3, (Kind::Float, Device::Cpu));
/// assert!(meaning_loss(&(&pooled * 2.0), &pooled)?.double_value(&[]) < 1e-12);
/// # Ok::<(), musicot_clap::Error>(())
/// ```
pub fn meaning_loss(text: &Tensor, pooled: &Tensor) -> Result<Tensor> {
    shape::expect("text embeddings", text, &[shape::ANY, shape::ANY])?;
    shape::expect("pooled texts", pooled, &[text.size()[0], shape::ANY])?;
    if text.size()[0] == 0 {
        return Err(Error::input("batch", "expected at least one text, got none"));
    }
    let difference = centred_cosines(text)?.f_sub(&centred_cosines(pooled)?)?;
    Ok(difference.f_square()?.f_mean(None)?)
}

/// Cosines `[batch, batch]` between rows less their mean.
fn centred_cosines(rows: &Tensor) -> Result<Tensor> {
    let rows = unit(&rows.f_sub(&rows.f_mean_dim([0].as_slice(), true, None)?)?)?;
    Ok(rows.f_matmul(&rows.f_transpose(0, 1)?)?)
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;
    use musicot_core::tch::Device;

    use super::*;

    fn random(position: u64) -> Tensor {
        unit(&CounterRng::new(2).normal(position, &[4, 6], Device::Cpu).unwrap()).unwrap()
    }

    #[test]
    fn equals_the_definition_with_pairs_left_out() {
        let (a, t) = (random(0), random(1));
        let mut mask = vec![false; 16];
        (mask[1], mask[4], mask[0]) = (true, true, true);
        let may_match = Tensor::from_slice(&mask).reshape([4, 4]);
        let (there, back) = (Tensor::from(3_f32), Tensor::from(5_f32));
        let loss = contrastive_loss(&a, &t, (&there, &back), &may_match).unwrap().double_value(&[]);
        let cos = |i: i64, j: i64| a.get(i).dot(&t.get(j)).double_value(&[]);
        let mut expected = 0.0;
        for i in 0..4 {
            let kept: Vec<i64> = (0..4).filter(|j| i == *j || !mask[(i * 4 + j) as usize]).collect();
            let there: f64 = kept.iter().map(|j| (3.0 * cos(i, *j)).exp()).sum();
            let back: f64 = kept.iter().map(|j| (5.0 * cos(*j, i)).exp()).sum();
            expected -=
                (((3.0 * cos(i, i)).exp() / there).ln() + ((5.0 * cos(i, i)).exp() / back).ln()) / 8.0;
        }
        assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
    }

    #[test]
    fn is_symmetric_in_its_sides() {
        let (a, t, scale) = (random(0), random(1), Tensor::from(4_f32));
        let none = Tensor::zeros([4, 4], (Kind::Bool, Device::Cpu));
        let one = contrastive_loss(&a, &t, (&scale, &scale), &none).unwrap();
        let other = contrastive_loss(&t, &a, (&scale, &scale), &none).unwrap();
        assert!((one - other).abs().double_value(&[]) < 1e-6);
    }

    #[test]
    fn refuses_other_shapes() {
        let (a, scale) = (random(0), Tensor::from(4_f32));
        let none = Tensor::zeros([3, 3], (Kind::Bool, Device::Cpu));
        assert!(contrastive_loss(&a, &a, (&scale, &scale), &none).is_err());
        assert!(meaning_loss(&a, &a.narrow(0, 0, 3)).is_err());
        assert!(meaning_loss(&a.narrow(0, 0, 0), &a.narrow(0, 0, 0)).is_err());
    }

    #[test]
    fn meaning_is_kept_up_to_turns_scales_and_shifts() {
        let pooled = random(0);
        let turned = pooled.flip([1]) * 3.0 + 1.0;
        assert!(meaning_loss(&turned, &pooled).unwrap().double_value(&[]) < 1e-10);
        // Another geometry: rows 0 and 1 become one.
        let merged = pooled.index_select(0, &Tensor::from_slice(&[0_i64, 0, 2, 3]));
        assert!(meaning_loss(&merged, &pooled).unwrap().double_value(&[]) > 1e-2);
    }
}
