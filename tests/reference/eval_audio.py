"""Golden values for musicot-eval, made by mir_eval, scipy and librosa; and its agreement with them on whole clips.

Usage, from the repository root (numpy, scipy, librosa, mir_eval, mido):
    python tests/reference/eval_audio.py golden CORPUS   writes musicot-eval/tests/golden/{audio.json,*.i16}
    python tests/reference/eval_audio.py agree CORPUS    runs the example `clip_measures` (or the program CLIP_MEASURES) on 12
                                                         clips and prints the agreement

CORPUS is a folder of the corpus generator: audio/ID.wav (48 kHz mono, 16 bit) and midi/ID.mid. The versions used are written into
the golden file.
"""

import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import librosa
import mido
import mir_eval
import numpy
import scipy

OUT = os.path.join("musicot-eval", "tests", "golden")
EXCERPTS = [("000003", 8.0), ("000016", 14.0), ("000047", 20.0)]
EXCERPT_SECS, EXCERPT_RATE = 6.0, 16000
AGREEMENT = ["%06d" % i for i in range(2, 80, 7)]


def note_times(path, start=0.0, end=1e9):
    """Times of note starts in seconds; starts within 30 ms of the one before are one onset."""
    times, now = [], 0.0
    for message in mido.MidiFile(path):
        now += message.time
        if message.type == "note_on" and message.velocity > 0 and start <= now < end:
            if not times or now - start - times[-1] > 0.03:
                times.append(now - start)
    return times


def chroma(samples, rate):
    """The definition of musicot_eval::chroma, written with numpy alone."""
    n_fft, hop = 2 * round(rate * 8192 / 48000 / 2), round(rate * 0.04)
    padded = numpy.pad(samples.astype(numpy.float64), n_fft // 2)
    window = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(n_fft) / n_fft)
    starts = range(0, len(padded) - n_fft + 1, hop)
    power = numpy.stack([numpy.abs(numpy.fft.rfft(padded[s:s + n_fft] * window)) ** 2 for s in starts])
    power *= (4 / n_fft) ** 2
    hz = numpy.arange(n_fft // 2 + 1) * rate / n_fft
    values = numpy.zeros((len(power), 12))
    for b in numpy.flatnonzero((hz > 55) & (hz < 4200)):
        values[:, int(numpy.round(12 * numpy.log2(hz[b] / 440)) + 9) % 12] += power[:, b]
    active = values.sum(1) > max(values.sum(1).max() * 1e-4, 1e-12)
    return numpy.sqrt(values), active


def shape(samples, rate):
    """Flatness and centroid as librosa computes them on the band, window and active frames of musicot_eval::spectral."""
    n_fft, hop = 2 * round(rate * 2048 / 48000 / 2), round(rate * 0.02)
    magnitude = numpy.abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop)) * 4 / n_fft
    hz = librosa.fft_frequencies(sr=rate, n_fft=n_fft)
    keep = (hz >= 30) & (numpy.arange(len(hz)) < numpy.ceil(16000 * n_fft / rate))
    magnitude, hz = magnitude[keep], hz[keep]
    power = (magnitude ** 2).sum(0)
    active = power > max(power.max() * 1e-4, 1e-12)
    flatness = librosa.feature.spectral_flatness(S=magnitude, amin=1e-12)[0]
    centroid = librosa.feature.spectral_centroid(S=magnitude ** 2, freq=hz)[0]
    return float(flatness[active].mean()), float(centroid[active].mean())


def onsets(samples, rate):
    n_fft = 2 * round(rate * 2048 / 48000 / 2)
    hop = rate // 100
    envelope = librosa.onset.onset_strength(y=samples, sr=rate, hop_length=hop, n_fft=n_fft, n_mels=80)
    return librosa.onset.onset_detect(onset_envelope=envelope, sr=rate, hop_length=hop, units="time").tolist()


def f1(reference, estimate):
    return mir_eval.onset.f_measure(numpy.array(reference), numpy.array(estimate), window=0.05)[0]


def excerpts(corpus):
    cases = []
    for name, start in EXCERPTS:
        samples, _ = librosa.load(os.path.join(corpus, "audio", name + ".wav"), sr=EXCERPT_RATE, offset=start, duration=EXCERPT_SECS)
        pcm = numpy.clip(numpy.round(samples * 32768), -32768, 32767).astype("<i2")
        pcm.tofile(os.path.join(OUT, name + ".i16"))
        samples = pcm.astype(numpy.float32) / 32768
        values, active = chroma(samples, EXCERPT_RATE)
        flatness, centroid = shape(samples, EXCERPT_RATE)
        cases.append({
            "file": name + ".i16", "sample_rate_hz": EXCERPT_RATE,
            "librosa_onsets": [round(t, 4) for t in onsets(samples, EXCERPT_RATE)],
            "notes": [round(t, 4) for t in note_times(os.path.join(corpus, "midi", name + ".mid"), start, start + EXCERPT_SECS)],
            "chroma": [[int(t)] + [float("%.6g" % v) for v in values[t]] for t in range(5, len(values), 29)],
            "active": int(active.sum()), "flatness": flatness, "centroid_hz": centroid,
        })
    return cases


def matching(rng):
    cases = []
    for count in [1, 2, 5, 10, 20, 40]:
        for tolerance in [0.01, 0.05, 0.1]:
            reference = numpy.round(numpy.sort(rng.uniform(0, 2, count)), 4)
            estimate = numpy.round(numpy.sort(rng.uniform(0, 2, int(rng.integers(1, 2 * count + 1)))), 4)
            f, p, r = mir_eval.onset.f_measure(reference, estimate, window=tolerance)
            cases.append({"reference": reference.tolist(), "estimate": estimate.tolist(), "tolerance": tolerance,
                          "f1": f, "precision": p, "recall": r})
    return cases


def frechet(rng):
    cases = []
    for items, dim in [(30, 4), (12, 6), (50, 10)]:
        a = numpy.round(rng.normal(0, 1, (items, dim)), 3)
        b = numpy.round(rng.normal(0.3, 1.5, (items, dim)) @ rng.normal(0, 1, (dim, dim)), 3)
        first, second = numpy.cov(a, rowvar=False), numpy.cov(b, rowvar=False)
        root = scipy.linalg.sqrtm(first @ second)
        distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + numpy.trace(first + second - 2 * root.real)
        cases.append({"a": a.tolist(), "b": b.tolist(), "distance": float(distance)})
    return cases


def golden(corpus):
    os.makedirs(OUT, exist_ok=True)
    rng = numpy.random.default_rng(7)
    values = {
        "versions": {m.__name__: m.__version__ for m in (librosa, mir_eval, numpy, scipy)},
        "excerpts": excerpts(corpus), "matching": matching(rng), "frechet": frechet(rng),
    }
    with open(os.path.join(OUT, "audio.json"), "w") as file:
        json.dump(values, file)
        file.write("\n")
    print(values["versions"])


def agree(corpus):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name in AGREEMENT:
            samples, rate = librosa.load(os.path.join(corpus, "audio", name + ".wav"), sr=None)
            files.append(os.path.join(folder, name + ".i16"))
            (samples * 32768).astype("<i2").tofile(files[-1])
        program = os.environ.get("CLIP_MEASURES", "cargo run -q -p musicot-eval --example clip_measures --")
        command = program.split() + [str(rate)] + files
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for name, line in zip(AGREEMENT, output.splitlines()):
            ours = json.loads(line)
            samples, rate = librosa.load(os.path.join(corpus, "audio", name + ".wav"), sr=None)
            theirs = librosa.onset.onset_detect(y=samples, sr=rate, hop_length=rate // 100, units="time")
            notes = numpy.array(note_times(os.path.join(corpus, "midi", name + ".mid")))
            mine = numpy.array(ours["onsets_secs"])
            nearest = [notes[numpy.abs(notes - t).argmin()] - t for t in mine]
            flatness, centroid = shape(samples, rate)
            rows.append([f1(theirs, mine), f1(notes, mine), f1(notes, theirs), numpy.median(nearest),
                         ours["stats"]["flatness"] / flatness, ours["stats"]["centroid_hz"] / centroid])
            print(name, len(mine), len(theirs), len(notes), " ".join("%.3f" % v for v in rows[-1]))
    print("mean: F1 ours/librosa, ours/notes, librosa/notes, median note - ours in s, flatness and centroid ours/librosa")
    print(" ".join("%.4f" % v for v in numpy.mean(rows, axis=0)))


if __name__ == "__main__":
    {"golden": golden, "agree": agree}[sys.argv[1]](sys.argv[2])
