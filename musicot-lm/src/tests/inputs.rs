//! Vocabulary, tags, conditions, plans.

use ndarray::Array2;
use proptest::prelude::*;

use super::{clap, tiny_config, tiny_model};
use crate::tags::{Key, TagVocab, parse};
use crate::{
    Conditions, Emission, Meaning, MusicLmConfig, MusicVocab, Plan, SectionSpan, Tags, ThoughtCode,
    ThoughtOrder, TokenId, VocabConfig,
};

#[test]
fn every_id_has_one_meaning_and_emissions_do_not_overlap() {
    let vocab = MusicVocab::new(VocabConfig::default()).unwrap();
    let levels = (0..8).map(|level| vocab.emits(Emission::Thought { level }).unwrap());
    let audio = vocab.emits(Emission::Audio { may_end: true }).unwrap();
    let ranges: Vec<_> = levels.chain([audio.clone()]).collect();
    assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "contiguous, so disjoint");
    assert_eq!(audio.end, vocab.size());
    assert!(!vocab.emits(Emission::Audio { may_end: false }).unwrap().contains(&vocab.eos().value()));
    let tags = Tags { tempo_bpm: Some(121.0), key: Some("Bb minor".parse().unwrap()), ..Default::default() };
    let (ids, unknown) = vocab.tags(&tags).unwrap();
    let words: Vec<_> = ids.iter().map(|id| vocab.meaning(*id).unwrap()).collect();
    assert_eq!(words, [Meaning::Tag("tempo 120".to_owned()), Meaning::Tag("key A# minor".to_owned())]);
    assert!(unknown.is_empty());
    assert_eq!(vocab.meaning(vocab.eos()), Some(Meaning::Eos));
    let [label, length] = vocab.section("Chorus", 3).unwrap();
    assert_eq!(vocab.meaning(label), Some(Meaning::SectionLabel("chorus".to_owned())));
    assert_eq!(vocab.meaning(length), Some(Meaning::SectionWindows(3)));
    assert_eq!(vocab.meaning(vocab.lyric(511).unwrap()), Some(Meaning::Lyric(511)));
    assert!(vocab.lyric(512).is_err() && vocab.thought(8, ThoughtCode(0)).is_err());
    assert_eq!(vocab.meaning(TokenId::AUDIO_BOS), Some(Meaning::AudioBos));
}

#[test]
fn absurd_tags_are_errors_or_reported() {
    let vocab = MusicVocab::new(VocabConfig::default()).unwrap();
    for bpm in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        assert!(vocab.tags(&Tags { tempo_bpm: Some(bpm), ..Default::default() }).is_err(), "{bpm}");
    }
    let fast = Tags { tempo_bpm: Some(1e9), style: Some(" JAZZ ".to_owned()), ..Default::default() };
    let (ids, _) = vocab.tags(&fast).unwrap();
    assert_eq!(vocab.meaning(ids[0]), Some(Meaning::Tag("tempo 220".to_owned())));
    assert_eq!(vocab.meaning(ids[1]), Some(Meaning::Tag("style jazz".to_owned())));
    let odd = Tags {
        style: Some("polka".to_owned()),
        instruments: vec!["piano".into(), "piano".into()],
        ..Default::default()
    };
    let (ids, unknown) = vocab.tags(&odd).unwrap();
    assert_eq!((ids.len(), unknown), (1, vec!["style `polka`".to_owned()]));
}

#[test]
fn text_yields_tags() {
    let vocab = TagVocab::default();
    let tempo = |text: &str| parse(text, &vocab).tempo_bpm;
    assert_eq!(tempo("at 128 bpm, fast"), Some(128.0));
    assert_eq!(tempo("128BPM"), Some(128.0));
    assert_eq!(tempo("about 92.5 beats per minute"), Some(92.5));
    assert_eq!(tempo("a very slow waltz"), Some(55.0));
    assert_eq!(tempo("Mid-tempo"), Some(105.0));
    assert_eq!(tempo("9000 bpm"), None);
    assert_eq!(tempo("breakfast"), None);
    let key = |text: &str| parse(text, &vocab).key.map(|key| key.to_string());
    assert_eq!(key("in C minor").as_deref(), Some("C minor"));
    assert_eq!(key("an F# major song").as_deref(), Some("F# major"));
    assert_eq!(key("E-flat major").as_deref(), Some("D# major"));
    assert_eq!(key("a minor detail, G sharp minor").as_deref(), Some("A minor"));
    assert_eq!(key("a major hit").as_deref(), Some("A major"));
    assert_eq!(key("minor"), None);
    let tags = parse("Laid-back bossa nova with vibraphone, upright bass and bass drums; warm", &vocab);
    assert_eq!((tags.style.as_deref(), tags.mood.as_deref()), (Some("latin"), Some("laid-back")));
    assert_eq!(tags.instruments, ["mallets", "bass", "drums"]);
    assert!(parse("", &vocab).is_empty() && parse("🎵🎶🎸", &vocab).is_empty());
}

#[test]
fn keys_read_and_write() {
    for index in 0..Key::COUNT {
        let key = Key::from_index(index).unwrap();
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        assert_eq!(key.index(), index);
    }
    assert_eq!("Cb major".parse::<Key>().unwrap(), "B".parse().unwrap());
    assert_eq!("f#m".parse::<Key>().unwrap().to_string(), "F# minor");
    for wrong in ["", "H major", "C dorian", "major", "🎵 minor"] {
        assert!(wrong.parse::<Key>().is_err(), "{wrong}");
    }
}

#[test]
fn what_is_not_taken_in_is_reported() {
    let model = tiny_model(tiny_config());
    let section = |label: &str| SectionSpan { label: label.to_owned(), windows: 2 };
    let conditions = Conditions {
        sections: vec![section("verse"), section("solo")],
        tags: Tags { mood: Some("odd".to_owned()), ..Default::default() },
        lyrics: "la la".to_owned(),
        ..Default::default()
    };
    let report = model.check_conditions(&conditions).unwrap();
    assert_eq!(report.unknown, ["mood `odd`", "section `solo`"]);
    assert_eq!(report.cut_lyrics, "la la", "there is no tokenizer");
    assert!(
        model.check_conditions(&Conditions { clap: Some(clap(1)), ..Default::default() }).unwrap().is_empty()
    );
    for wrong in [clap(1) * 2.0, clap(1) * f32::NAN, clap(1).slice(ndarray::s![..4]).to_owned()] {
        assert!(model.check_conditions(&Conditions { clap: Some(wrong), ..Default::default() }).is_err());
    }
}

#[test]
fn plans_are_checked() {
    let model = tiny_model(tiny_config());
    assert!(Plan::new(Array2::zeros((2, 3)), model.vocab()).is_ok());
    for wrong in [
        Array2::zeros((0, 3)),
        Array2::zeros((2, 4)),
        Array2::from_elem((1, 3), 7),
        Array2::from_elem((1, 3), -1),
    ] {
        assert!(Plan::new(wrong, model.vocab()).is_err());
    }
}

#[test]
fn configurations_are_checked() {
    assert!(MusicLmConfig::default().validate().is_ok());
    let broken = |change: fn(&mut MusicLmConfig)| {
        let mut config = tiny_config();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert!(broken(|c| c.llama.vocab_size += 1).contains("llama.vocab_size"));
    assert!(broken(|c| c.llama.num_key_value_heads = 3).contains("llama.num_key_value_heads"));
    assert!(broken(|c| c.plan_window_secs = 2.5).contains("plan_window_secs"));
    assert!(broken(|c| c.reach_secs = f64::NAN).contains("reach_secs"));
    assert!(broken(|c| c.vocab.levels = 0).contains("vocab.levels"));
    assert!(broken(|c| c.vocab.tags.styles.push("Rock".to_owned())).contains("vocab.tags.styles"));
    assert!(broken(|c| c.clap_dim = 0).contains("clap_dim"));
    let text = serde_json::to_string(&tiny_config()).unwrap();
    assert_eq!(serde_json::from_str::<MusicLmConfig>(&text).unwrap(), tiny_config());
    assert!(serde_json::from_str::<MusicLmConfig>(r#"{"plans": "none"}"#).is_err());
}

#[test]
fn durations_become_tokens_and_windows() {
    let config = MusicLmConfig::default();
    assert_eq!(config.tokens_for(30.0).unwrap(), 750);
    for wrong in [0.0, -1.0, f64::NAN, 1e9] {
        assert!(config.tokens_for(wrong).is_err(), "{wrong}");
    }
    let windows = |secs: f64| config.windows_for(config.tokens_for(secs).unwrap());
    assert_eq!([windows(0.5), windows(14.9), windows(15.0), windows(30.0)], [1, 1, 2, 3]);
}

proptest! {
    #[test]
    fn orders_visit_each_place_once(windows in 1_usize..9, levels in 1_usize..9) {
        for order in [ThoughtOrder::TimeMajor, ThoughtOrder::LevelMajor] {
            let mut places: Vec<_> = (0..windows * levels).map(|n| order.place(n, windows, levels)).collect();
            places.sort_unstable();
            let all: Vec<_> = (0..windows).flat_map(|w| (0..levels).map(move |l| (w, l))).collect();
            prop_assert_eq!(places, all);
        }
    }

    #[test]
    fn parsing_takes_any_text(text in "\\PC{0,200}") {
        parse(&text, &TagVocab::default());
        let _ = text.parse::<Key>();
    }

    #[test]
    fn ids_mean_what_they_were_made_from(level in 0_usize..3, code in 0_u32..7, token in 0_u32..13) {
        let vocab = MusicVocab::new(tiny_config().vocab).unwrap();
        let thought = vocab.thought(level, ThoughtCode(code)).unwrap();
        prop_assert_eq!(vocab.meaning(thought), Some(Meaning::Thought { level, code: ThoughtCode(code) }));
        let audio = vocab.audio(crate::AudioToken(token)).unwrap();
        prop_assert_eq!(vocab.meaning(audio), Some(Meaning::Audio(crate::AudioToken(token))));
    }
}
