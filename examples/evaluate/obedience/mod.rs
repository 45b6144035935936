//! Whether the whole pipeline does what a plain prompt says.

mod asked;
mod prompts;
mod sanity;
mod solo;
mod stems;

use musicot::{Generator, Quiet, Song};

use crate::Context;
use crate::common::{Outcome, note};
use crate::report::Measured;

/// Generated clips and what is told of them while they are made.
struct Studio {
    generator: Generator,
    sanity: sanity::Sanity,
}

impl Studio {
    /// A clip of a prompt alone; `number` is its seed and, from 0, its place among `total`.
    fn play(&mut self, prompt: &str, secs: f64, number: usize, total: usize) -> Outcome<Song> {
        note(format_args!("obedience: clip {} of {total}: {prompt}", number + 1));
        let request = self.generator.request(prompt).duration_secs(secs).seed(number as u64);
        let song = self.generator.generate(&request, &mut Quiet)?;
        self.sanity.push(&song.audio)?;
        Ok(song)
    }
}

pub fn figures(context: &Context) -> Outcome<Measured> {
    let generator = context.stages.generator()?;
    let mut studio = Studio { generator, sanity: sanity::Sanity::default() };
    let mut found = Measured::default();
    found.add("solo instruments", solo::figures(context, &mut studio));
    found.add("tempo and key", asked::figures(context, &mut studio));
    found.add("seams", sanity::long_clips(context, &mut studio));
    found.add("loudness, clipping and silence", studio.sanity.figures());
    Ok(found)
}
