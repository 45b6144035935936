//! Ranges and round tick values.

/// Larger values are treated as absent: their differences would overflow.
const LARGEST: f64 = 1e300;

pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// A range of values that is never empty, with ticks at round values inside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Covers all drawable values, widened by `margin` (a fraction) at both ends; 0 to 1 where there are none.
    pub fn covering(values: impl Iterator<Item = f64>, margin: f64, ticks: usize) -> Self {
        let bounds = values.filter(|v| is_drawable(*v)).fold(None, |bounds: Option<(f64, f64)>, v| {
            Some(bounds.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
        });
        let (mut low, mut high) = bounds.unwrap_or((0.0, 1.0));
        let smallest = 1e-9 * low.abs().max(high.abs());
        if high - low <= smallest {
            let widen = if low == 0.0 { 0.5 } else { 0.05 * low.abs().max(high.abs()) };
            (low, high) = (low - widen, high + widen);
        } else {
            let widen = margin * (high - low);
            (low, high) = (low - widen, high + widen);
        }
        Self { low, high, ticks: ticks_within(low, high, ticks.max(3)) }
    }

    /// A value with as many digits as tell a fiftieth of the range apart.
    pub fn describe(&self, value: f64) -> String {
        label(value, (self.high - self.low) / 50.0)
    }

    /// Where a value lies, 0 at the low end and 1 at the high one.
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

fn ticks_within(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let step = round_step((high - low) / count as f64);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let ticks = (0..=count + 1).map(|i| (first + i as f64) * step);
    ticks.take_while(|tick| *tick <= (last + 0.5) * step).map(|tick| (tick, label(tick, step))).collect()
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let magnitude = 10_f64.powf(step.log10().floor());
    let multiple = [1.0, 2.0, 5.0].into_iter().find(|m| m * magnitude >= step * (1.0 - 1e-9)).unwrap_or(10.0);
    multiple * magnitude
}

/// A value with as many digits as tell ticks apart.
fn label(value: f64, step: f64) -> String {
    let largest = value.abs().max(step);
    if value == 0.0 || value.abs() < step * 1e-6 {
        return "0".to_owned();
    }
    if !(1e-4..1e5).contains(&largest) {
        let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0) as usize;
        return format!("{value:.digits$e}");
    }
    let digits = (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        let axis = Axis::covering([0.0, 97.0].into_iter(), 0.0, 6);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, l)| l.as_str()).collect();
        assert_eq!(labels, ["0", "20", "40", "60", "80"]);
        let axis = Axis::covering([-0.31, 0.52].into_iter(), 0.0, 6);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, l)| l.as_str()).collect();
        assert_eq!(labels, ["-0.2", "0", "0.2", "0.4"]);
        let axis = Axis::covering([1e-6, 3e-6].into_iter(), 0.0, 4);
        assert_eq!(axis.ticks[0].1, "1.0e-6");
    }

    #[test]
    fn nothing_constant_and_broken_values_have_a_range() {
        for values in [vec![], vec![f64::NAN, f64::INFINITY], vec![0.0], vec![5.0, 5.0], vec![-1e300, 1e300]]
        {
            let axis = Axis::covering(values.clone().into_iter(), 0.04, 5);
            assert!(axis.low < axis.high && !axis.ticks.is_empty(), "{values:?}: {axis:?}");
        }
    }

    proptest! {
        #[test]
        fn ticks_lie_inside_and_rise(a in -1e12_f64..1e12, span in 1e-6_f64..1e12, count in 2_usize..12) {
            let axis = Axis::covering([a, a + span].into_iter(), 0.05, count);
            prop_assert!((1..=count.max(3) + 2).contains(&axis.ticks.len()));
            prop_assert!(axis.ticks.windows(2).all(|pair| pair[0].0 < pair[1].0));
            // A tick may miss the range by the rounding of one division.
            let slack = (axis.high - axis.low) * 1e-6;
            prop_assert!(axis.ticks.iter().all(|t| t.0 >= axis.low - slack && t.0 <= axis.high + slack));
        }
    }
}
