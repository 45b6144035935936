//! Every transform written again, one row at a time, in plain loops and f64.

pub const MASKED: f32 = f32::NEG_INFINITY;

pub fn softmax(row: &[f32]) -> Vec<f64> {
    let highest = row.iter().copied().fold(MASKED, f32::max);
    let weights: Vec<f64> = row.iter().map(|v| (f64::from(*v) - f64::from(highest)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

pub fn temperature(row: &[f32], temperature: f64) -> Vec<f32> {
    row.iter().map(|v| (f64::from(*v) / temperature) as f32).collect()
}

pub fn repetition(row: &[f32], history: &[i64], penalty: f64) -> Vec<f32> {
    let mut out = row.to_vec();
    for token in 0..row.len() {
        if history.contains(&(token as i64)) {
            let value = f64::from(row[token]);
            out[token] = (if value < 0.0 { value * penalty } else { value / penalty }) as f32;
        }
    }
    out
}

pub fn top_k(row: &[f32], k: usize) -> Vec<f32> {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let threshold = sorted[k.min(row.len()) - 1];
    row.iter().map(|v| if *v < threshold { MASKED } else { *v }).collect()
}

/// `None` where a cumulative probability is too near the limit for f32 and f64 to agree.
pub fn top_p(row: &[f32], p: f64) -> Option<Vec<f32>> {
    let probabilities = softmax(row);
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| row[*a].total_cmp(&row[*b]));
    let (mut out, mut below) = (row.to_vec(), 0.0);
    for &token in &order[..order.len() - 1] {
        below += probabilities[token];
        if (below - (1.0 - p)).abs() < 1e-5 && probabilities[token] > 0.0 {
            return None;
        }
        if below <= 1.0 - p {
            out[token] = MASKED;
        }
    }
    Some(out)
}

/// `None` as for [`top_p`].
pub fn min_p(row: &[f32], fraction: f64) -> Option<Vec<f32>> {
    let probabilities = softmax(row);
    let floor = fraction * probabilities.iter().copied().fold(0.0, f64::max);
    // A likeliest token is its own floor when the fraction is 1: no rounding there.
    let is_near = |p: &f64| (p - floor).abs() < 1e-6 * floor && fraction < 1.0;
    if probabilities.iter().any(is_near) {
        return None;
    }
    let keeps = |p: f64| p >= floor * (1.0 - 1e-9);
    Some(row.iter().zip(probabilities).map(|(v, p)| if keeps(p) { *v } else { MASKED }).collect())
}
