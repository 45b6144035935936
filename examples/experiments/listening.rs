//! Experiment 8: a page for blind ratings, and what its listeners said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use musicot::codec::{WavFormat, WavOptions, write_wav};
use musicot::core::AudioBuffer;
use musicot::core::files::write_json;
use musicot_eval::loudness::integrated_lufs;
use serde::Serialize;

use crate::arms::Way;
use crate::asks::{Ask, asks};
use crate::cell::row;
use crate::common::{Outcome, note};
use crate::corpus::caption;
use crate::ratings::{Key, Secret, key_path, sum_up};
use crate::report::Report;
use crate::sampling::cell;
use crate::studio::{Studio, write};
use crate::{Context, inputs, rng};

const PAGE: &str = include_str!("page.html");

/// Where the trials are put into the page.
const TRIALS_MARK: &str = "/*TRIALS*/[]";

const PROMPTS: usize = 8;

/// All clips are brought to this loudness, or to a lower one that no clip has to be cut off for.
const LOUDNESS_LUFS: f64 = -20.0;

const CEILING: f64 = 0.95;

/// A clip below this loudness has nothing to be rated.
const LEAST_LUFS: f64 = -60.0;

/// One question to a listener; `id` is all that the results tell.
#[derive(Debug, Clone, Serialize)]
struct Trial {
    id: String,
    /// Caption of the piece that was asked for.
    prompt: String,
    /// One clip to be rated, or two to be compared.
    clips: Vec<String>,
}

/// A clip and what made it.
struct Clip {
    ablation: &'static str,
    system: &'static str,
    prompt: usize,
    audio: AudioBuffer,
}

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    match context.options.results.is_empty() {
        true => make(context, report),
        false => sum_up(context, report),
    }
}

fn make(context: &Context, report: &mut Report<'_>) -> Outcome {
    let studio = Studio::open(context)?;
    let secs = context.options.secs(20.0);
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS).min(PROMPTS), Some(secs))?;
    let lm = context.stages.lm()?;
    let mut clips = Vec::new();
    for (system, is_dual) in [("dual temperature", true), ("single temperature", false)] {
        let policy = cell(&studio.policy, is_dual, true);
        let way = Way { lm: &lm, policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
        clips.extend(played(&studio, "temperature", system, &asks, &way)?);
    }
    report.part("clips of the plan's ablation", |_| {
        let (with, without) = (inputs::lm(context, "lm-thoughts")?, inputs::lm(context, "lm-none")?);
        for (system, lm, has_thoughts) in [("plan", &with, true), ("no plan", &without, false)] {
            let way =
                Way { lm, policy: studio.policy, secs, given: None, has_thoughts, tells_diffusion: false };
            clips.extend(played(&studio, "plan", system, &asks, &way)?);
        }
        Ok(())
    });
    let (trials, loudness) = page(context, &asks, clips)?;
    let count = |clips: usize| trials.iter().filter(|trial| trial.clips.len() == clips).count();
    report.text(
        "No listener has rated these clips yet, and so no mean opinion score is claimed. The page holds blind pairs (which is better?) and single clips \
         (1, bad, to 5, excellent: the scale of ITU-T P.800), in an order that a seed fixed, under names that say nothing. It works from \
         a file, needs no server, can be used with the keyboard alone, and gives the answers as a JSON file to send back. \
         `experiments listening --results FILE` (once per listener) makes means and intervals of them.",
    );
    report.table(
        "The page: `listening/index.html`",
        ["what", "count"],
        vec![
            row!["pairs", count(2)],
            row!["single clips", count(1)],
            row!["prompts", asks.len()],
            row!["seconds of a clip", secs],
            row!["loudness of every clip, LUFS", loudness],
        ],
    )
}

/// Makes the clips of one system.
fn played(
    studio: &Studio,
    ablation: &'static str,
    system: &'static str,
    asks: &[Ask],
    way: &Way<'_>,
) -> Outcome<Vec<Clip>> {
    note(format_args!("listening: {system} ..."));
    studio.expect(way.lm)?;
    let written = write(way.lm, asks, way.secs, &way.policy, None)?;
    let thoughts = match way.tells_diffusion {
        true => Some(written.plans.iter().map(|plan| studio.thoughts(plan)).collect::<Outcome<Vec<_>>>()?),
        false => None,
    };
    let mut clips = Vec::new();
    studio.render(asks, &written.tokens, thoughts.as_deref(), |prompt, audio| {
        clips.push(Clip { ablation, system, prompt, audio });
        Ok(())
    })?;
    Ok(clips)
}

/// Writes clips, page and key; returns the trials and the loudness of all clips.
fn page(context: &Context, asks: &[Ask], clips: Vec<Clip>) -> Outcome<(Vec<Trial>, f64)> {
    let folder = context.options.out.join("listening");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    forget(&folder)?;
    let (clips, loudness) = matched(clips)?;
    let names = rng().stage("names").permutation(0, clips.len());
    let name = |clip: usize| format!("clip-{:03}.wav", names[clip] + 1);
    for (index, clip) in clips.iter().enumerate() {
        let options = WavOptions { format: WavFormat::Int16, ..WavOptions::default() };
        write_wav(folder.join(name(index)), &clip.audio, options)?;
    }
    let (mut trials, mut secrets) = (Vec::new(), Vec::new());
    for (index, clip) in clips.iter().enumerate() {
        let is_partner = |other: &Clip| {
            (other.ablation, other.prompt) == (clip.ablation, clip.prompt) && other.system != clip.system
        };
        let partner = clips.iter().skip(index + 1).position(is_partner).map(|place| index + 1 + place);
        for group in [Some(vec![index]), partner.map(|partner| sides(index, partner))].into_iter().flatten() {
            trials.push((
                caption(&asks[clip.prompt].record)?.to_owned(),
                group.iter().map(|c| name(*c)).collect(),
            ));
            let systems = group.iter().map(|clip| clips[*clip].system.to_owned()).collect();
            secrets.push(Secret { ablation: clip.ablation.to_owned(), systems });
        }
    }
    let (trials, key) = shuffled(trials, &secrets);
    write_json(key_path(context), &key)?;
    let shown = PAGE.replacen(TRIALS_MARK, &serde_json::to_string(&trials)?.replace('<', "\\u003c"), 1);
    let index = folder.join("index.html");
    fs::write(&index, shown).map_err(|e| format!("{}: {e}", index.display()))?;
    Ok((trials, loudness))
}

/// Removes the clips of an earlier run, which no page would name.
fn forget(folder: &Path) -> Outcome {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry?.path();
        let is_clip = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("clip-"));
        if is_clip && path.extension().is_some_and(|extension| extension == "wav") {
            fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
}

/// Which of two clips is heard first.
fn sides(one: usize, other: usize) -> Vec<usize> {
    match rng().stage("sides").item(one as u64).at(other as u64).below(2) {
        0 => vec![one, other],
        _ => vec![other, one],
    }
}

/// Trials in an order that says nothing, named by their place.
fn shuffled(trials: Vec<(String, Vec<String>)>, secrets: &[Secret]) -> (Vec<Trial>, Key) {
    let order = rng().stage("order").permutation(0, trials.len());
    let mut key = BTreeMap::new();
    let place = |(place, index): (usize, usize)| {
        let id = format!("t{:03}", place + 1);
        key.insert(id.clone(), secrets[index].clone());
        let (prompt, clips) = trials[index].clone();
        Trial { id, prompt, clips }
    };
    let trials = order.into_iter().enumerate().map(place).collect();
    (trials, Key { trials: key })
}

/// All clips at one loudness; those that are silent are left out with their prompts' others.
fn matched(clips: Vec<Clip>) -> Outcome<(Vec<Clip>, f64)> {
    let mut heard = Vec::new();
    for clip in clips {
        let lufs = integrated_lufs(&clip.audio)?;
        if lufs > LEAST_LUFS {
            heard.push((clip, lufs));
        }
    }
    let peak =
        |audio: &AudioBuffer| audio.samples().iter().fold(0.0_f64, |most, s| most.max(f64::from(s.abs())));
    let possible = heard.iter().map(|(clip, lufs)| lufs + 20.0 * (CEILING / peak(&clip.audio)).log10());
    let target = possible.fold(LOUDNESS_LUFS, f64::min);
    let scaled = heard.into_iter().map(|(clip, lufs)| {
        let gain = 10_f64.powf((target - lufs) / 20.0) as f32;
        let rate = clip.audio.sample_rate_hz();
        let samples = clip.audio.samples().mapv(|sample| sample * gain);
        Ok(Clip { audio: AudioBuffer::new(samples, rate)?, ..clip })
    });
    Ok((scaled.collect::<Outcome<Vec<_>>>()?, target))
}
