//! Comparing embeddings.

use musicot_core::Result;
use musicot_core::tch::Tensor;

/// Scales vectors `[.., dim]` to length 1; a zero vector stays zero.
pub(crate) fn unit(x: &Tensor) -> Result<Tensor> {
    let length = x.f_norm_scalaropt_dim(2.0, [-1], true)?;
    Ok(x.f_div(&length.f_clamp_min(1e-12)?)?)
}

/// Cosines `[audio, text]` between embeddings `audio [audio, dim]` and `text [text, dim]`, within [-1, 1].
/// Either side may be audio or text.
///
/// # Errors
/// libtorch refuses different widths.
pub fn score(audio: &Tensor, text: &Tensor) -> Result<Tensor> {
    Ok(unit(audio)?.f_matmul(&unit(text)?.f_transpose(0, 1)?)?)
}

/// Zero-shot classification: for each of the `audio [audio, dim]` embeddings, probabilities `[audio, text]` over the anchors
/// `text [text, dim]`, the softmax of `scale * cosine`.
///
/// # Errors
/// libtorch refuses different widths.
pub fn probabilities(audio: &Tensor, text: &Tensor, scale: f64) -> Result<Tensor> {
    Ok(score(audio, text)?.f_mul_scalar(scale)?.f_softmax(-1, None)?)
}

#[cfg(test)]
mod tests {
    use musicot_core::tch::Device;
    use musicot_core::{CounterRng, tensor};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cosines_and_probabilities_are_in_range(seed in 0_u64..200, rows in 1_i64..6, anchors in 1_i64..6) {
            let rng = CounterRng::new(seed);
            let a = rng.normal(0, &[rows, 7], Device::Cpu).unwrap();
            let t = rng.normal(1, &[anchors, 7], Device::Cpu).unwrap();
            let cosines = tensor::to_vec(&score(&a, &t).unwrap()).unwrap();
            prop_assert!(cosines.iter().all(|c| c.abs() < 1.0 + 1e-5));
            let odds = tensor::to_array(&probabilities(&a, &t, 14.0).unwrap()).unwrap();
            for row in odds.rows() {
                prop_assert!((row.sum() - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_same_vector_scores_one() {
        let x = CounterRng::new(1).normal(0, &[3, 5], Device::Cpu).unwrap();
        let own = score(&x, &(&x * 3.0)).unwrap().diagonal(0, 0, 1);
        assert!(tensor::to_vec(&own).unwrap().iter().all(|c| (c - 1.0).abs() < 1e-6));
        let nothing = Tensor::zeros([1, 5], (x.kind(), x.device()));
        assert_eq!(tensor::to_vec(&score(&nothing, &x).unwrap()).unwrap(), [0.0; 3]);
    }
}
