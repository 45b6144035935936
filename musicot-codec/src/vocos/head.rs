//! Hidden frames to a waveform.

use musicot_core::dsp::Stft;
use musicot_core::nn::Linear;
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error, Scope};

use super::IstftHeadConfig;
use crate::Result;

/// Magnitudes end here.
const LOUDEST: f64 = 100.0;

/// How far a window of a file may be from the one that is meant: as far as bfloat16 rounds.
const WINDOW_TOLERANCE: f64 = 1.0 / 256.0;

#[derive(Debug)]
pub(super) struct IstftHead {
    out: Linear,
    /// What the checkpoint says it was trained with.
    window: Tensor,
    stft: Stft,
}

impl IstftHead {
    /// Parameters `out`, buffer `istft.window [n_fft]`.
    pub fn new(scope: &Scope, config: &IstftHeadConfig) -> Result<Self> {
        let c = config;
        let window = Tensor::f_hann_window_periodic(c.n_fft, true, (Kind::Float, scope.device()))?;
        Ok(Self {
            out: Linear::new(&scope.sub("out"), c.dim, c.n_fft + 2, true)?,
            window: scope.sub("istft").buffer("window", window)?,
            stft: Stft::new(c.n_fft, c.hop_length, c.padding, scope.device())?,
        })
    }

    /// Takes the loaded window, which must be a Hann window, into the inverse transform: a file in half precision holds a rounded one.
    pub fn take_window(&mut self) -> Result<()> {
        let n_fft = self.stft.n_fft();
        let hann = Tensor::f_hann_window_periodic(n_fft, true, (Kind::Float, self.window.device()))?;
        let difference = self.window.f_sub(&hann)?.f_abs()?.f_max()?.f_double_value(&[])?;
        // Not a NaN either.
        if difference <= WINDOW_TOLERANCE {
            return Ok(self.stft.set_window(&self.window)?);
        }
        let reason =
            format!("expected a periodic Hann window of {n_fft} samples, got one that is {difference} off");
        Err(Error::input("head.istft.window", reason).into())
    }

    /// Element type of its parameters.
    pub fn kind(&self) -> Kind {
        self.out.weight().kind()
    }

    /// `[batch, frames, dim]` to samples `[batch, samples]` in f32, as there are no transforms in half precision.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bins = self.stft.bins();
        let x = self.out.forward(x)?.f_to_kind(Kind::Float)?.f_transpose(1, 2)?;
        let magnitude = x.f_narrow(1, 0, bins)?.f_exp()?.f_clamp_max(LOUDEST)?;
        let phase = x.f_narrow(1, bins, bins)?;
        let (real, imaginary) = (magnitude.f_mul(&phase.f_cos()?)?, magnitude.f_mul(&phase.f_sin()?)?);
        Ok(self.stft.inverse(&Tensor::f_complex(&real, &imaginary)?)?)
    }
}
