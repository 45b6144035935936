//! Pictures as files.
#![cfg(feature = "plot")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use musicot_core::plot::{Heatmap, LineChart, Series};

fn plan() -> LineChart {
    let curve = |phase: f64, step: bool, name: &str| Series {
        name: name.to_owned(),
        points: (0..=18)
            .map(|i| (f64::from(i) * 10.0, 0.35 + 0.3 * (f64::from(i) * 0.7 + phase).sin()))
            .collect(),
        step,
    };
    let names = [
        "vocals",
        "bass guitar",
        "drums",
        "electric guitar",
        "piano",
        "strings",
        "a calm and quiet piece",
        "brass",
        "choir",
        "organ",
    ];
    let marks = [
        (0.0, "intro"),
        (20.0, "verse"),
        (60.0, "chorus"),
        (90.0, "verse"),
        (130.0, "chorus"),
        (170.0, "outro"),
    ];
    LineChart {
        title: "Plan: an energetic rock song with a long quiet bridge".to_owned(),
        x_label: "time (s)".to_owned(),
        y_label: "cosine with the phrase".to_owned(),
        series: names.iter().enumerate().map(|(i, n)| curve(i as f64 * 0.9, i % 2 == 0, n)).collect(),
        x_marks: marks.iter().map(|(x, n)| (*x, (*n).to_owned())).collect(),
    }
}

fn map() -> Heatmap {
    let rows = ["vocals", "bass guitar", "drums", "electric guitar", "piano"];
    Heatmap {
        title: "Plan: similarity of each window to a phrase".to_owned(),
        x_label: "window".to_owned(),
        rows: rows.iter().map(|r| (*r).to_owned()).collect(),
        columns: (0..12).map(|i| format!("{} s", i * 10)).collect(),
        values: ndarray::Array2::from_shape_fn((5, 12), |(r, c)| {
            if (r, c) == (2, 3) { f64::NAN } else { 0.4 * ((r * 3 + c) as f64 * 0.6).sin() }
        }),
    }
}

/// Width, height and pixels of an RGB PNG.
fn decode(path: &std::path::Path) -> (u32, u32, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn pictures_are_written_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    // Set to keep the pictures.
    let folder = std::env::var_os("MUSICOT_TEST_PICTURES").map_or(folder.path().to_owned(), Into::into);
    plan().write_svg(folder.join("plan.svg")).unwrap();
    plan().write_png(folder.join("plan.png")).unwrap();
    map().write_svg(folder.join("map.svg")).unwrap();
    map().write_png(folder.join("map.png")).unwrap();

    let svg = std::fs::read_to_string(folder.join("plan.svg")).unwrap();
    for text in ["energetic rock", "time (s)", "cosine", "electric guitar", "outro", "0.5"] {
        assert!(svg.contains(text), "{text}");
    }
    let (width, height, pixels) = decode(&folder.join("plan.png"));
    let head = format!("width=\"{}\" height=\"{}\"", width / 2, height / 2);
    assert!(svg.contains(&head), "{head} in {}", &svg[..200]);
    // The first two colours of the palette must have been drawn, unmixed.
    for color in [[0, 114, 178], [213, 94, 0]] {
        assert!(pixels.chunks(3).filter(|p| *p == color).count() > 500, "{color:?}");
    }
    assert!(std::fs::read_to_string(folder.join("map.svg")).unwrap().contains("bass guitar"));
}

#[test]
fn the_same_chart_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "b.png"] {
        map().write_png(folder.path().join(name)).unwrap();
    }
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(bytes("a.png") == bytes("b.png"));
}

#[test]
fn empty_and_odd_charts_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.png");
    LineChart::default().write_png(&path).unwrap();
    let odd = [
        vec![],
        vec![(f64::NAN, 1.0)],
        vec![(1.0, 1.0)],
        vec![(0.0, 1e299), (1.0, -1e299)],
        vec![(1.0, 2.0), (1.0, 3.0)],
    ];
    for points in odd {
        let series = vec![Series { name: "<&\">".to_owned(), points, step: true }];
        let marks = vec![(f64::INFINITY, "never".to_owned())];
        LineChart { series, x_marks: marks, ..LineChart::default() }.write_png(&path).unwrap();
    }
}

#[test]
fn a_folder_that_is_a_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = plan().write_svg(folder.path().join("file/plan.svg")).unwrap_err();
    assert!(matches!(error, musicot_core::Error::Io { .. }), "{error}");
}
