//! Longest common passages of held-out pieces with a corpus that they do not come from, against copies of known length from it.
//!
//! `cargo run -p musicot-eval --example corpus_copies -- FOLDER CORPUS [PIECES]`

mod common;

use std::path::Path;

use common::{Result, figure, pieces, wav};
use musicot_eval::Table;
use musicot_eval::chroma::Chroma;
use musicot_eval::copies::closest_piece;
use musicot_eval::core::AudioBuffer;
use musicot_eval::significance::empirical_p;

const CLIP_SECS: usize = 30;
const COPIED_SECS: [usize; 4] = [5, 8, 12, 20];

fn main() -> Result<()> {
    musicot_eval::tch::set_num_threads(1);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, corpus, ..] = &args[..] else {
        return Err("usage: corpus_copies FOLDER CORPUS [PIECES]".into());
    };
    let count = args.get(2).map_or(Ok(40), |count| count.parse())?;
    let clips = |folder: &str| -> Result<Vec<AudioBuffer>> {
        let folder = Path::new(folder);
        pieces(folder)?.iter().take(count).map(|piece| clip(&wav(&folder.join(&piece.audio))?)).collect()
    };
    let (strangers, corpus) = (clips(folder)?, clips(corpus)?);
    let chromas = corpus.iter().map(Chroma::of).collect::<musicot_eval::Result<Vec<_>>>()?;
    let longest = |audio: &AudioBuffer| Ok(closest_piece(&Chroma::of(audio)?, &chromas)?);
    let found = strangers.iter().map(longest).collect::<Result<Vec<_>>>()?;
    let null: Vec<f64> = found.iter().map(|(_, passage)| passage.secs).collect();
    let mut table = Table::new(["Copied", "Longest passage [95 %]", "p <= 0.05", "Right piece"]);
    table.row(["nothing".to_owned(), figure(&null)?, "-".to_owned(), "-".to_owned()])?;
    for secs in COPIED_SECS {
        let (mut lengths, mut hits, mut right) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (stranger, piece)) in strangers.iter().zip(&corpus).enumerate() {
            let (closest, passage) = longest(&spliced(stranger, piece, secs)?)?;
            lengths.push(passage.secs);
            hits.push(f64::from(empirical_p(passage.secs, &null)? <= 0.05));
            right.push(f64::from(closest == index));
        }
        table.row([format!("{secs} s"), figure(&lengths)?, figure(&hits)?, figure(&right)?])?;
    }
    print!("{table}");
    Ok(())
}

fn clip(audio: &AudioBuffer) -> Result<AudioBuffer> {
    let length = audio.frames().min(CLIP_SECS * audio.sample_rate_hz() as usize);
    Ok(AudioBuffer::mono(
        audio.samples().row(0).iter().copied().take(length).collect(),
        audio.sample_rate_hz(),
    )?)
}

/// A stranger whose seconds from the fifth on are those of another piece.
fn spliced(stranger: &AudioBuffer, piece: &AudioBuffer, secs: usize) -> Result<AudioBuffer> {
    let rate = stranger.sample_rate_hz() as usize;
    let mut samples = stranger.samples().row(0).to_vec();
    let copied = samples.iter_mut().zip(piece.samples().row(0)).skip(5 * rate).take(secs * rate);
    copied.for_each(|(to, from)| *to = *from);
    Ok(AudioBuffer::mono(samples, stranger.sample_rate_hz())?)
}
