//! The four pictures of a long clip: the whole, and a window from each third.

use musicot_core::tch::Tensor;
use musicot_core::{Error, Result};

/// First frames of the three windows by default: the middle of each third of the frames at which a window may start. (Published training and
/// the reference draw them.)
pub(super) fn middles(frames: i64, window: i64) -> [i64; 3] {
    let places = frames - window + 1;
    let mut start = 0;
    [0, 1, 2].map(|third| {
        let count = places / 3 + i64::from(third < places % 3);
        // A third without a place starts at the beginning, as in the reference.
        let middle = if count > 0 { start + (count - 1) / 2 } else { 0 };
        start += count;
        middle
    })
}

/// `[frames, bands]` to `[4, window, bands]`: all frames shrunk by linear interpolation, then the windows at `starts`.
pub(super) fn pictures(mel: &Tensor, window: i64, starts: [i64; 3]) -> Result<Tensor> {
    let (frames, bands) = mel.size2()?;
    let last = frames - window;
    if starts.iter().any(|start| !(0..=last).contains(start)) {
        return Err(Error::input("crop", format!("expected frames of 0..={last}, got {starts:?}")));
    }
    let whole = mel.f_unsqueeze(0)?.f_unsqueeze(0)?;
    let shrunk =
        whole.f_upsample_bilinear2d([window, bands], false, None, None)?.f_reshape([window, bands])?;
    let mut all = vec![shrunk];
    for start in starts {
        all.push(mel.f_narrow(0, start, window)?);
    }
    Ok(Tensor::f_stack(&all, 0)?)
}

#[cfg(test)]
mod tests {
    use musicot_core::tch::{Device, Kind};

    use super::*;

    #[test]
    fn windows_start_in_the_middle_of_each_third() {
        assert_eq!(middles(19, 10), [1, 5, 8]); // 10 places: 0..4, 4..7, 7..10
        assert_eq!(middles(11, 10), [0, 1, 0]); // 2 places: one each for the first two
        assert_eq!(middles(10, 10), [0, 0, 0]);
    }

    #[test]
    fn pictures_are_the_whole_and_the_windows() {
        let mel = Tensor::arange(8, (Kind::Float, Device::Cpu)).unsqueeze(-1).repeat([1, 2]);
        let all = pictures(&mel, 4, [0, 2, 4]).unwrap();
        assert_eq!(all.size(), [4, 4, 2]);
        let column = |picture: i64| Vec::<f32>::try_from(all.get(picture).select(1, 1)).unwrap();
        assert_eq!(column(0), [0.5, 2.5, 4.5, 6.5]);
        assert_eq!((column(1)[0], column(2)[0], column(3)[3]), (0.0, 2.0, 7.0));
        assert!(pictures(&mel, 4, [0, 2, 5]).unwrap_err().to_string().contains("0..=4"));
    }
}
