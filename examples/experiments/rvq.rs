//! Experiment 1: thoughts after residual quantisation.

use musicot::clap::AudioTextEncoder;
use musicot::core::plot::{Heatmap, LineChart, Panel, Panels, Series};
use musicot::core::tch::{Device, Kind, Tensor};
use musicot::core::tensor;
use musicot::core::train::{Dataset, ProgressBar};
use musicot::rvq::train::RvqTrainConfig;
use musicot::rvq::{RvqConfig, RvqModel, VectorQuantizer};
use musicot::training::{embed_corpus, read_vectors};
use musicot_eval::statistics::{Interval, bootstrap_mean};
use ndarray::Array2;

use crate::cell::row;
use crate::common::{self, Outcome, note};
use crate::corpus::windows;
use crate::report::Report;
use crate::{Context, rng};

const LEVELS: usize = 12;

/// What the tables list of 1 to 12 levels; the pictures have all.
const LISTED: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];

const SIZES: [usize; 5] = [64, 128, 256, 512, 1024];

/// Cosine and squared error after each number of levels, means over pieces.
struct Kept {
    name: String,
    cosine: Vec<Interval>,
    mse: Vec<Interval>,
    train_cosine: f64,
}

/// One of the two, after each number of levels.
type PerLevel = fn(&Kept) -> &Vec<Interval>;

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let options = &context.options;
    let sizes = &SIZES[..options.usual(SIZES.len(), 2)];
    let clap = context.stages.clap()?;
    let train = training_vectors(context, &clap)?;
    note("rvq: embedding held-out windows ...");
    let pieces = windows(context, &clap, 1.0)?;
    let count: i64 = pieces.iter().map(|piece| piece.size()[0]).sum();
    report.text(format!(
        "Residual quantisers of {LEVELS} levels are fitted to the embeddings of {} training windows ({} steps each) and measured on \
         {count} windows of {} held-out pieces, side by side. They encode greedily, so that the first levels of a quantiser of {LEVELS} are a \
         quantiser of fewer. Values are means over pieces, with 95 % bootstrap intervals over pieces. Zero levels, the mean of all training \
         vectors in place of every vector, are the level of ignorance.",
        train.size()[0],
        options.steps(),
        pieces.len()
    ));
    let nothing = measure_mean(&train, &pieces)?;
    let kept =
        sizes.iter().map(|size| fitted(context, *size, &train, &pieces)).collect::<Outcome<Vec<_>>>()?;
    tables(report, &kept, nothing)?;
    pictures(report, &kept, sizes)?;
    report.part("the bundle's own quantiser", |report| own(context, report, &train, &pieces));
    Ok(())
}

/// `--vectors`, or embeddings of training pieces made now.
fn training_vectors(context: &Context, clap: &dyn AudioTextEncoder) -> Outcome<Tensor> {
    if let Some(file) = &context.options.vectors {
        return Ok(read_vectors(file)?);
    }
    note("rvq: embedding training windows ...");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("train.safetensors");
    embed_corpus(&Dataset::open(&context.options.train)?, clap, 5.0, &file, &mut common::recordings)?;
    Ok(read_vectors(&file)?)
}

/// Fits a quantiser with a codebook size.
fn fitted(context: &Context, size: usize, train: &Tensor, pieces: &[Tensor]) -> Outcome<Kept> {
    let mut model = RvqConfig::default();
    (model.dim, model.levels, model.codebook_size, model.beam) = (train.size()[1] as usize, LEVELS, size, 1);
    let steps = context.options.steps() as u64;
    let config = RvqTrainConfig { model, steps, batch: 512, ..RvqTrainConfig::default() };
    let folder = tempfile::tempdir()?;
    let mut bar = ProgressBar::new(&format!("rvq of {size}"), steps, None);
    musicot::rvq::train::train(
        &config,
        folder.path(),
        Device::Cpu,
        train,
        &Tensor::f_cat(pieces, 0)?,
        &mut bar,
    )?;
    let model = RvqModel::load(folder.path().join("model"), Device::Cpu)?;
    measure(&size.to_string(), &model, train, pieces)
}

fn measure(name: &str, model: &dyn VectorQuantizer, train: &Tensor, pieces: &[Tensor]) -> Outcome<Kept> {
    let (mut cosine, mut mse) = (Vec::new(), Vec::new());
    let encoded = pieces.iter().map(|piece| Ok(model.encode(piece)?)).collect::<Outcome<Vec<_>>>()?;
    for level in 1..=model.levels() as i64 {
        let (mut cosines, mut errors) = (Vec::new(), Vec::new());
        for (piece, codes) in pieces.iter().zip(&encoded) {
            let (of_cosine, of_error) = likeness(piece, &model.decode(&codes.f_narrow(1, 0, level)?)?)?;
            cosines.push(of_cosine);
            errors.push(of_error);
        }
        cosine.push(bootstrap_mean(&cosines, rng())?);
        mse.push(bootstrap_mean(&errors, rng())?);
    }
    let train_cosine = likeness(train, &model.decode(&model.encode(train)?)?)?.0;
    Ok(Kept { name: name.to_owned(), cosine, mse, train_cosine })
}

/// The mean of the training vectors in place of each vector.
fn measure_mean(train: &Tensor, pieces: &[Tensor]) -> Outcome<(Interval, Interval)> {
    let mean = train.f_mean_dim([0].as_slice(), true, Kind::Float)?;
    let found =
        pieces.iter().map(|piece| likeness(piece, &mean.f_expand_as(piece)?)).collect::<Outcome<Vec<_>>>()?;
    let (cosines, errors): (Vec<f64>, Vec<f64>) = found.into_iter().unzip();
    Ok((bootstrap_mean(&cosines, rng())?, bootstrap_mean(&errors, rng())?))
}

/// Mean cosine and mean squared error of vectors.
fn likeness(vectors: &Tensor, decoded: &Tensor) -> Outcome<(f64, f64)> {
    let cosine = Tensor::f_cosine_similarity(vectors, decoded, 1, 1e-12)?;
    let mean =
        |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len().max(1) as f64;
    let error = vectors.f_sub(decoded)?.f_square()?;
    Ok((mean(&tensor::to_vec(&cosine)?), mean(&tensor::to_vec(&error)?)))
}

fn tables(report: &mut Report<'_>, kept: &[Kept], nothing: (Interval, Interval)) -> Outcome {
    let parts: [(&str, PerLevel, Interval); 2] = [
        ("cosine with the original", |kept| &kept.cosine, nothing.0),
        ("mean squared error per component", |kept| &kept.mse, nothing.1),
    ];
    for (what, of, least) in parts {
        let headings = std::iter::once("levels".to_owned())
            .chain(kept.iter().map(|kept| format!("{} codes", kept.name)));
        let mut rows = vec![row!["0"; ..kept.iter().map(|_| least)]];
        for level in LISTED {
            rows.push(row![level; ..kept.iter().map(|kept| of(kept)[level - 1])]);
        }
        report.table(format!("Thoughts of held-out windows: {what}"), headings, rows)?;
    }
    let rows = kept.iter().map(|kept| {
        let bits = kept.name.parse::<f64>().unwrap_or(1.0).log2() * LEVELS as f64;
        row![kept.name.clone(), bits, kept.train_cosine, kept.cosine[LEVELS - 1]]
    });
    report.table(
        format!("{LEVELS} levels on what they were fitted to, and on held-out windows"),
        ["codes", "bits of a thought", "cosine, training", "cosine, held-out"],
        rows.collect(),
    )
}

fn pictures(report: &mut Report<'_>, kept: &[Kept], sizes: &[usize]) -> Outcome {
    let chart = |title: &str, of: PerLevel| {
        let series = |kept: &Kept| Series {
            name: format!("{} codes", kept.name),
            points: of(kept).iter().enumerate().map(|(level, of)| ((level + 1) as f64, of.mean)).collect(),
            step: false,
        };
        let series = kept.iter().map(series).collect();
        let (title, x_label) = (title.to_owned(), "levels".to_owned());
        Panel::Lines(LineChart { title, x_label, series, ..LineChart::default() })
    };
    let panels = vec![
        chart("Cosine with the original", |kept| &kept.cosine),
        chart("Mean squared error", |kept| &kept.mse),
    ];
    let caption = "Thoughts of held-out windows after quantisation, by levels and codebook size";
    report.picture("curves", caption, |path| Panels { columns: 2, panels }.write_svg(path))?;
    let values = Array2::from_shape_fn((kept.len(), LEVELS), |(size, level)| kept[size].cosine[level].mean);
    let map = Heatmap {
        title: "Cosine with the original".to_owned(),
        x_label: "levels".to_owned(),
        rows: sizes.iter().map(|size| format!("{size} codes")).collect(),
        columns: (1..=LEVELS).map(|level| level.to_string()).collect(),
        values,
    };
    report.picture("map", "The same cosines as a map", |path| map.write_svg(path))
}

fn own(context: &Context, report: &mut Report<'_>, train: &Tensor, pieces: &[Tensor]) -> Outcome {
    let rvq = context.stages.rvq()?;
    let kept = measure("own", &rvq, train, pieces)?;
    let rows = kept.cosine.iter().zip(&kept.mse).enumerate();
    report.table(
        format!(
            "The bundle's quantiser, {} levels of {} codes, with its own search (beam {})",
            rvq.levels(),
            rvq.codebook_size(),
            rvq.config().beam
        ),
        ["levels decoded", "cosine", "mean squared error"],
        rows.map(|(level, (cosine, mse))| row![(level + 1).to_string(), *cosine, *mse]).collect(),
    )
}
