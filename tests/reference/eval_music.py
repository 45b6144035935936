"""Golden values for the measures of tempo, key, structure, copies, notes and probes of musicot-eval, and agreement on whole pieces.

Usage, from the repository root (numpy, scipy, librosa, mir_eval, scikit-learn, mido):
    python tests/reference/eval_music.py golden          reads musicot-eval/tests/golden/*.i16, writes music.json beside them
    python tests/reference/eval_music.py agree FOLDER    runs the example `corpus_pieces` (or the program CORPUS_PIECES) on a folder of
                                                         the corpus generator and prints hit rates beside those of librosa

The versions used are written into the golden file. `eval_audio.py` makes the excerpts.
"""

import glob
import itertools
import json
import os
import subprocess
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import librosa
import mir_eval
import numpy
import scipy
import scipy.stats
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from eval_audio import EXCERPT_RATE, OUT, chroma

NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
KEYS = [tonic + " " + mode for mode in ("major", "minor") for tonic in NAMES]
PROFILES = {
    "major": [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
    "minor": [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
}


def log_mel(samples, rate):
    """Levels [frames, 80] of musicot_eval's log-mel frames, by librosa."""
    n_fft, hop = 2 * round(rate * 2048 / 48000 / 2), round(rate * 0.01)
    power = numpy.abs(librosa.stft(samples.astype(numpy.float64), n_fft=n_fft, hop_length=hop, pad_mode="constant") * 4 / n_fft) ** 2
    bank = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=80, fmin=30, fmax=min(16000, rate / 2), norm=None)
    mel = (bank @ power).T
    db = 10 * numpy.log10(numpy.maximum(mel, max(mel.max() * 1e-8, 1e-12)))
    whole = range(-(-n_fft // 2 // hop) + 1, (len(samples) - n_fft // 2) // hop + 1)
    return db, whole


def key_scores(values, active):
    units = values[active] / numpy.linalg.norm(values[active], axis=1, keepdims=True)
    mean = units.mean(0)
    return [numpy.corrcoef(numpy.roll(PROFILES[mode], tonic), mean)[0, 1] for mode in ("major", "minor") for tonic in range(12)]


def tempo_curve(db, whole):
    rise = numpy.zeros(len(db))
    rise[whole] = numpy.maximum(numpy.diff(db, axis=0), 0).mean(1)[numpy.array(whole) - 1]
    window = numpy.exp(-0.5 * (numpy.arange(-6, 7) / 2) ** 2)
    envelope = numpy.convolve(rise, window / window.sum(), "same")
    correlation = librosa.autocorrelate(envelope - envelope.mean())
    correlation /= numpy.arange(len(envelope), 0, -1)
    correlation = correlation[:min(601, len(envelope) // 2) + 1] / correlation[0]
    curve = []
    for bpm in 40 * 2 ** (numpy.arange(int(numpy.log2(6) * 60) + 1) / 60):
        lags = [beats * 6000 / bpm for beats in (1, 2, 3, 4)]
        lags = [lag for lag in lags if int(lag) + 1 < len(correlation)]
        curve.append(numpy.interp(lags, numpy.arange(len(correlation)), correlation).mean() if lags else 0.0)
    return curve


def cepstra(db):
    """Means of the 24 cepstral coefficients over the active frames."""
    level = 10 * numpy.log10((10 ** (db / 10)).sum(1))
    active = db[level > level.max() - 40]
    return scipy.fft.dct(active, type=2, norm="ortho", axis=1)[:, 1:25].mean(0)


def self_similarity(values, active, db):
    """Of stretches of 1 s."""
    units = numpy.where(active[:, None], values / numpy.maximum(numpy.linalg.norm(values, axis=1, keepdims=True), 1e-30), 0)
    total = 0
    for frames, rate in ((units, 25), (db, 100)):
        rows = numpy.stack([frames[t * rate:(t + 1) * rate].mean(0) for t in range(len(frames) // rate)])
        distances = scipy.spatial.distance.cdist(rows, rows, "sqeuclidean")
        total = total + distances / (distances.sum() / (len(rows) * (len(rows) - 1)))
    return numpy.exp(-total / 2)


def excerpts():
    cases = []
    for path in sorted(glob.glob(os.path.join(OUT, "*.i16"))):
        samples = numpy.fromfile(path, "<i2").astype(numpy.float32) / 32768
        (values, active), (db, whole) = chroma(samples, EXCERPT_RATE), log_mel(samples, EXCERPT_RATE)
        rounded = lambda numbers: [float("%.6g" % number) for number in numbers]
        cases.append({
            "file": os.path.basename(path), "sample_rate_hz": EXCERPT_RATE, "keys": rounded(key_scores(values, active)),
            "tempo": rounded(tempo_curve(db, whole)), "cepstra": rounded(cepstra(db)),
            "similarity": [rounded(row) for row in self_similarity(values, active, db)],
        })
    return cases


def notes(rng):
    cases = []
    for count in [1, 4, 12, 30, 60]:
        for spread in [0.5, 2.0]:
            reference = numpy.round(numpy.column_stack([rng.uniform(0, spread, count), rng.integers(60, 64, count)]), 3)
            size = int(rng.integers(1, 2 * count + 1))
            estimate = reference[rng.integers(0, count, size)] + rng.normal(0, 1, (size, 2)) * [0.03, 0.3]
            estimate = numpy.round(numpy.abs(estimate), 3)
            split = lambda rows: (rows[:, :1] + [0.0, 0.1], 440 * 2 ** ((rows[:, 1] - 69) / 12))
            p, r, f, _ = mir_eval.transcription.precision_recall_f1_overlap(*split(reference), *split(estimate), offset_ratio=None)
            cases.append({"reference": reference.tolist(), "estimate": estimate.tolist(), "f1": f, "precision": p, "recall": r})
    return cases


def boundaries(rng):
    cases = []
    for count in [1, 3, 6, 10]:
        for tolerance in [0.5, 3.0]:
            expected = numpy.round(numpy.sort(rng.uniform(1, 59, count)), 2)
            found = numpy.round(numpy.sort(rng.uniform(1, 59, int(rng.integers(1, 12)))), 2)
            intervals = lambda inner: mir_eval.util.boundaries_to_intervals(numpy.concatenate([[0], inner, [60]]))
            p, r, f = mir_eval.segment.detection(intervals(expected), intervals(found), window=tolerance, trim=True)
            cases.append({"expected": expected.tolist(), "found": found.tolist(), "tolerance": tolerance,
                          "f1": f, "precision": p, "recall": r})
    return cases


def paths(rng):
    """Recurrence plots, some with broken and bent diagonals, and their Qmax."""
    cases = []
    for rows, columns, share in [(12, 15, 0.1), (20, 16, 0.3), (25, 25, 0.05), (30, 22, 0.2), (24, 31, 0.5), (18, 40, 0.15)]:
        plot = rng.uniform(size=(rows, columns)) < share
        for start in range(min(rows, columns) - 3):
            if rng.uniform() < 0.75:
                plot[start, min(start + start // 6, columns - 1)] = True
        score = librosa.sequence.rqa(plot.astype(float), gap_onset=5, gap_extend=0.5, knight_moves=True, backtrack=False)
        cases.append({"rows": ["".join(str(int(cell)) for cell in row) for row in plot], "qmax": float(score.max())})
    return cases


def probes(rng):
    labels = rng.integers(0, 3, 60)
    features = numpy.round(rng.normal(0, 1, (60, 6)) * [1, 10, 0.1, 1, 5, 1] + numpy.outer(labels, [1, 8, 0, -1, 0, 0.3]), 3)
    levels = numpy.round(features @ [1, 0.2, 5, 0, 0, -1] + rng.normal(0, 1, 60), 3)
    unseen = numpy.round(rng.normal(0, 1, (12, 6)) * [2, 15, 0.2, 2, 9, 2], 3)
    scaler = StandardScaler().fit(features.astype(numpy.float32).astype(numpy.float64))
    cases = []
    for l2 in [1e-3, 0.02, 1.0]:
        classifier = LogisticRegression(C=1 / (l2 * 60), tol=1e-12, max_iter=100000)
        classifier.fit(scaler.transform(features), labels)
        ridge = Ridge(alpha=l2 * 60).fit(scaler.transform(features), levels)
        scaled = scaler.transform(unseen)
        cases.append({"l2": l2, "probabilities": classifier.predict_proba(scaled).tolist(), "levels": ridge.predict(scaled).tolist()})
    return {"features": features.tolist(), "labels": ["label %d" % label for label in labels], "levels": levels.tolist(),
            "unseen": unseen.tolist(), "cases": cases}


def discoveries(rng):
    cases = [rng.uniform(size=n) ** power for n, power in [(1, 1), (5, 2), (12, 4), (30, 1)]]
    return [{"p": p.tolist(), "adjusted": scipy.stats.false_discovery_control(p).tolist()} for p in cases]


def golden():
    rng = numpy.random.default_rng(11)
    pairs = itertools.product(KEYS, KEYS)
    values = {
        "versions": {m.__name__: m.__version__ for m in (librosa, mir_eval, numpy, scipy, sklearn)},
        "excerpts": excerpts(), "notes": notes(rng), "boundaries": boundaries(rng), "paths": paths(rng), "probes": probes(rng),
        "discoveries": discoveries(rng),
        "mirex": [mir_eval.key.weighted_score(reference, estimate) for reference, estimate in pairs],
    }
    with open(os.path.join(OUT, "music.json"), "w") as file:
        json.dump(values, file)
        file.write("\n")
    print(values["versions"])


def within(bpm, expected, octaves):
    factors = (1, 2, 0.5, 3, 1 / 3) if octaves else (1,)
    return any(abs(bpm / (expected * factor) - 1) <= 0.08 for factor in factors)


def agree(folder):
    program = os.environ.get("CORPUS_PIECES", "cargo run -q -p musicot-eval --example corpus_pieces --")
    output = subprocess.run(program.split() + [folder], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    ours = {row["id"]: row for row in map(json.loads, output.splitlines())}
    rows = []
    for line in open(os.path.join(folder, "manifest.jsonl")):
        piece = json.loads(line)
        samples, rate = librosa.load(os.path.join(folder, piece["audio"]), sr=22050)
        theirs = float(librosa.feature.tempo(y=samples, sr=rate)[0])
        tempo, mine = piece["tags"]["tempo_bpm"], (ours[piece["id"]]["tempo"] or {"bpm": 1.0})["bpm"]
        rows.append([within(bpm, tempo, octaves) for bpm in (mine, theirs) for octaves in (False, True)]
                    + [within(mine, theirs, False), within(mine, theirs, True)])
    print("%d pieces; tempo within 8 %%: ours, with octaves, librosa's, with octaves; ours within 8 %% of librosa's, with octaves" % len(rows))
    print(" ".join("%.3f" % value for value in numpy.mean(rows, axis=0)))


if __name__ == "__main__":
    {"golden": golden, "agree": agree}[sys.argv[1]](*sys.argv[2:])
