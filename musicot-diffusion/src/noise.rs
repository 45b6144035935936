//! Starting noise, drawn per absolute latent frame.

use musicot_core::CounterRng;
use musicot_core::tch::{Device, Tensor};

use crate::{Error, Result};

/// Standard normal `[streams, dim, frames]` for the frames `first..first + frames` of a song, one stream per item. A frame's
/// values depend on its stream and its number alone: not on the batch, and not on the window it is rendered in.
///
/// # Errors
/// [`Error::Input`] when there is no stream, dim or frame.
pub fn frame_noise(
    streams: &[CounterRng],
    dim: i64,
    first: usize,
    frames: usize,
    device: Device,
) -> Result<Tensor> {
    if streams.is_empty() || dim <= 0 || frames == 0 {
        let reason =
            format!("expected some of each, got {} streams, {dim} dims, {frames} frames", streams.len());
        return Err(Error::input("noise", reason));
    }
    let mut values = Vec::with_capacity(streams.len() * frames * dim as usize);
    for stream in streams {
        let stream = stream.stage("latent-noise");
        for frame in first..first + frames {
            let mut draws = stream.at(frame as u64);
            values.extend((0..dim).map(|_| draws.normal()));
        }
    }
    let noise = Tensor::f_from_slice(&values)?.f_reshape([streams.len() as i64, frames as i64, dim])?;
    Ok(noise.f_transpose(1, 2)?.f_contiguous()?.f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_does_not_depend_on_its_window_or_batch() {
        let streams = [CounterRng::new(1), CounterRng::new(2)];
        let whole = frame_noise(&streams, 5, 0, 20, Device::Cpu).unwrap();
        let part = frame_noise(&streams[1..], 5, 7, 4, Device::Cpu).unwrap();
        assert!(whole.narrow(0, 1, 1).narrow(2, 7, 4).equal(&part));
        assert!(!whole.get(0).equal(&whole.get(1)));
    }
}
