mod errors;
mod laws;
mod oracle;
mod transforms;

use musicot_core::tch::Tensor;

/// Rows to a tensor `[batch, vocab]`.
fn logits(rows: &[Vec<f32>]) -> Tensor {
    musicot_core::tch::set_num_threads(1);
    let flat: Vec<f32> = rows.concat();
    Tensor::from_slice(&flat).reshape([rows.len() as i64, rows.first().map_or(0, Vec::len) as i64])
}

/// A tensor `[batch, vocab]` to rows.
fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    let values = musicot_core::tensor::to_vec(tensor).unwrap();
    values.chunks_exact(tensor.size()[1] as usize).map(<[f32]>::to_vec).collect()
}

/// Equality that takes -infinity as equal to itself and every bit of the rest into account.
fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter().map(|row| row.iter().map(|value| value.to_bits()).collect()).collect()
}
