//! The texts of `--help`.

use crate::error::{Error, Result};

/// The help of a command.
pub fn of(command: &str) -> Result<&'static str> {
    Ok(match command {
        "help" | "--help" | "-h" => HELP,
        "setup" => SETUP,
        "demo" => DEMO,
        "test" => TEST,
        "evaluate" => EVALUATE,
        "experiments" => EXPERIMENTS,
        "bench-peers" => BENCH_PEERS,
        "bench-pipeline" => BENCH_PIPELINE,
        "fixtures" => FIXTURES,
        "train-mini" => TRAIN_MINI,
        "package-check" => PACKAGE_CHECK,
        "ci-full" => CI_FULL,
        "info" => INFO,
        other => {
            return Err(Error::Usage(format!("`{other}` is not a command. `cargo xtask help` lists them.")));
        }
    })
}

const HELP: &str = "\
Set-up and chores of musicot. Needs the Rust toolchain, a C++ compiler and Python 3 with pip.

    cargo xtask demo            text in, music out: set-up, build, 30 s of music in out/demo/
    cargo xtask test            the whole test suite

    cargo xtask setup           libtorch at target/libtorch; the others call it themselves
    cargo xtask evaluate        the figures of the embedded model, on pieces held out from training
    cargo xtask experiments     the paper's experiments in the small, and EXPERIMENTS.md
    cargo xtask bench-peers     this repository beside transformers, diffusers, ctranslate2 and others, timed
    cargo xtask bench-pipeline  how fast the embedded model makes music, and in how much memory
    cargo xtask fixtures        the golden files of the tests, made again with Python
    cargo xtask train-mini      every step that makes models/mini, from the corpus on
    cargo xtask package-check   what each crate would upload to a registry
    cargo xtask ci-full         the long checks (`.ci/run` does the short ones)
    cargo xtask info            facts about the workspace, for scripts

`cargo xtask COMMAND --help` tells more. After any of them plain cargo commands work too:

    cargo test -p musicot-rvq
    cargo run --release --example generate -- --help
";

const SETUP: &str = "\
cargo xtask setup [--cpu | --cuda]

Puts libtorch 2.11.0, the one that tch 0.24 accepts, at target/libtorch. The first of these that is there is taken:

    1. target/libtorch itself, if it is whole: nothing is done
    2. the folder that LIBTORCH names: linked
    3. the torch of the python3 on the path: linked
    4. PyPI's torch: downloaded (540 MB); its CPU libraries and headers (0.5 GB) are kept

Nothing outside target/ is changed. An interrupted set-up leaves nothing half-made: run it again. A changed libtorch makes cargo build
the bindings again (about two minutes).

    --cpu     only a libtorch without CUDA will do
    --cuda    only one with CUDA will do; 4. then installs the whole of torch (5 GB) in target/torch-cuda

CXX names the C++ compiler if it is not `c++`. pip's own configuration (index, proxy, certificates) is respected.
";

const DEMO: &str = "\
cargo xtask demo [--prompt TEXT] [--seconds N] [--seed N] [--reference FILE] [--tempo BPM] [--key KEY] [--tags LIST]
                 [--lyrics FILE] [--bundle DIR] [--out DIR] [-- OTHER FLAGS OF generate]

Sets libtorch up, builds the example `generate` and turns a text into music with models/mini. No flag is needed:

    cargo xtask demo
    cargo xtask demo --prompt \"slow sad strings, then drums\" --seconds 20 --seed 7
    cargo xtask demo --tempo 120 --key \"A minor\" --tags \"piano, jazz\" --out out/jazz
    cargo xtask demo --reference my-song.mp3

    --prompt TEXT      what to hear: instruments, style, tempo, mood, sections (calm jazz with piano and bass at 90 bpm,
                       where --tags and --reference say nothing either)
    --seconds N        length of the song (30)
    --seed N           another seed, another song; the same seed, the same song
    --reference FILE   a recording (wav, flac, ogg, mp3, m4a) whose thoughts become part of the plan
    --tempo BPM        beats per minute
    --key KEY          such as C, F#, A minor
    --tags LIST        words with commas between: instruments, style
    --lyrics FILE      a text file
    --bundle DIR       another model than models/mini
    --out DIR          where the results go (out/demo)

Makes song.wav, plan.json (the plan: what each 10 s window shall be), plan.svg and plan.png (its curves over time) and manifest.json
(every setting and seed, to make the song again), and prints the real-time factor: seconds of work for a second of music.
";

const TEST: &str = "\
cargo xtask test [--part NAME]...

Sets libtorch up, then checks

    - what depends on what: no published crate brings the corpus generator or its synthesiser, stages are apart
    - the tests and doctests of every package with every feature (dev profile, which is optimised)
    - each published crate alone: a scratch crate outside the workspace is built against it and run

Its last line is the sum: `N passed, M failed`. It fails when anything failed or when a part tested nothing.

    --part NAME    that part alone: dependencies, tests or alone

For one crate: `cargo test -p musicot-rvq`.
";

const EVALUATE: &str = "\
cargo xtask evaluate [FLAGS OF THE EXAMPLE]

Sets libtorch up, builds the example `evaluate` and prints the figures of models/mini on pieces held out from training: codec round
trip, CLAP, thoughts, language model, diffusion, what each of them loses, generation, and whether prompts are obeyed. `cargo xtask
evaluate -- --help` shows the flags of the example.
";

const EXPERIMENTS: &str = "\
cargo xtask experiments [--compose] [NAME]... [-- FLAGS OF THE EXAMPLE]

Sets libtorch up, builds the example `experiments` and runs the experiments that are named, or all: rvq, analyzability, sampling, plan, robustness, order,
reference, listening, obedience, diffusion. Each writes its report and pictures to out/experiments. Then EXPERIMENTS.md is put together from all reports that are there, and
their pictures go to docs/experiments.

    cargo xtask experiments rvq
    cargo xtask experiments sampling -- --prompts 20
    cargo xtask experiments --compose

    --compose    only puts the reports together

The language models that some experiments compare are made by `cargo xtask train-mini --recipe models/recipe/experiments/recipe.json`; a report
says which are missing and measures the rest.
";

const BENCH_PEERS: &str = "\
cargo xtask bench-peers [--quick] [--python PATH] [--threads N] [--rounds N] [ITEM]...

Times this repository beside what people use in its place, on the same weights (random ones) and inputs: transformers and ctranslate2 (decoding, CLAP),
vector-quantize-pytorch, diffusers (autoencoder, transformer), PyAV and soundfile with soxr, PyTorch (training). Both sides run by turns; the ratio within a round counts.
Prints tables, puts them into BENCHMARKS.md unless --quick is given, and fails when a stated ratio is missed.

    cargo xtask bench-peers --quick
    cargo xtask bench-peers lm-1b --rounds 3

Items: lm-small, lm-1b, clap, clap-text, rvq, codec, diffusion, audio, training. Without any: all of them.

    --quick          smaller cases, two short rounds, and no lm-1b: at most ten minutes on two cores
    --python PATH    a Python that has the packages of benches/peers/requirements.txt; says which are not of the pinned version
    --threads N      threads of both sides [2, or as many as the machine has]
    --rounds N       rounds [5; 2 with --quick]

Without --python an environment is made in target/peers-python. Times mean something on a machine that has nothing else to do.
";

const BENCH_PIPELINE: &str = "\
cargo xtask bench-pipeline [-- FLAGS OF THE EXAMPLE speed]

Measures generation with models/mini: start-up to the first token, real-time factor, first audio of a stream, peak memory, a song of ten minutes,
batches. Prints a table beside the project's goals, and puts it into BENCHMARKS.md.

    cargo xtask bench-pipeline
    cargo xtask bench-pipeline -- --rounds 5 --threads 1

Times mean something on a machine that has nothing else to do.
";

const FIXTURES: &str = "\
cargo xtask fixtures [--only NAME]... [--check] [--python PATH] [-- ARGUMENTS]

Runs the scripts of tests/reference, which ask the reference implementations in Python, and says what changed in the golden files: files that
came, went or differ, and for safetensors which tensors and by how much at most. Fails when a script fails or when all data of
tests together have more than 10 MB. The tests themselves need no Python.

    cargo xtask fixtures --only llama
    cargo xtask fixtures --check --python ~/venv/bin/python

    --only NAME      that script alone (tests/reference/NAME.py); may be given several times
    --check          writes nothing and fails when anything changed
    --python PATH    a Python that has the packages; says which are not of the pinned version
    -- ARGUMENTS     for a script that takes some, such as eval_audio; such scripts are left out otherwise

Without --python an environment with the packages of tests/reference/requirements.txt and requirements-no-deps.txt is made in
target/reference-python: some 500 MB to download, once. Scripts run in a copy, with one thread; what a failed one wrote is dropped. Another processor
or PyTorch build may differ in the last bits of floating-point numbers.
";

const TRAIN_MINI: &str = "\
cargo xtask train-mini [--list] [--from STEP] [--only STEP] [--recipe FILE]

Runs the steps of models/recipe/recipe.json in order: the corpus is composed and rendered, every stage is trained from its file in
models/recipe/, the bundle is put together. Hours on two cores. A step whose result is there is skipped and a step that was
interrupted goes on where it was, so that the same command may be given again at any time.

    --list         shows the steps and which are done
    --from STEP    begins there
    --only STEP    that one
    --recipe FILE  another recipe: models/recipe/experiments/recipe.json has the language models of `cargo xtask experiments`

A step of the recipe: {\"name\": \"codec\", \"program\": \"train\", \"args\": [\"--config\", \"models/recipe/codec.json\", \"--run\",
\"runs/mini/codec\"], \"done\": \"FILE that exists once it is done\"}. The program is `musicot-corpus` or one of the examples; paths are
relative to the root.
";

const PACKAGE_CHECK: &str = "\
cargo xtask package-check

Lists what each published crate would upload and fails when a README or a licence is missing, when weights, audio or fixtures would go
along, or when it is more than 2 MB.
";

const CI_FULL: &str = "\
cargo xtask ci-full

The checks that take too long for every push: clippy on no, each and all features; the tests; those of the
published sizes, which make gigabytes of random weights; examples and benches; documentation as a
host without libtorch builds it; package lists and packages; cargo deny, audit and semver-checks where they are installed.
";

const INFO: &str = "\
cargo xtask info members|published|features|doc-pages

Prints the packages of the workspace, those that are published, every feature that can be on in a build with libtorch (for cargo's
--features; not --all-features, which would also turn on `doc-only`), or the pages that `cargo doc` makes.
";
