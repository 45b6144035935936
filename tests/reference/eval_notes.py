"""Notes of recordings, by an outside transcriber: basic-pitch 0.4 (Bittner et al., ICASSP 2022), whose wheel holds the model.

Usage (librosa, mir_eval, mido, scipy, scikit-learn; and, without the dependencies that a wheel asks for but this does not need,
`pip install --no-deps basic-pitch onnxruntime flatbuffers pretty_midi resampy six importlib_resources`):
    python tests/reference/eval_notes.py transcribe OUT.jsonl FILE.wav...
        writes a line per file: {"file": name, "notes": [{"onset_secs": s, "pitch": midi}, ...]}, as musicot_eval::notes reads them
    python tests/reference/eval_notes.py corpus FOLDER [PIECES]
        transcribes the pieces of a folder of the corpus generator and prints how well that agrees with their scores: the ceiling of
        every figure that is measured with it
    python tests/reference/eval_notes.py stability FOLDER [PIECES]
        transcribes the first 20 s of pieces, and the same with white noise 30 dB below, at 16 kHz, and at half the level, and prints how
        well these agree with the first: what a copy that keeps all notes can be expected to score

Percussion (channel 10) has no pitch and is not in the scores. Transcription is deterministic.
"""

import contextlib
import io
import json
import logging
import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
logging.disable(logging.WARNING)

import librosa
import mido
import mir_eval
import numpy
import soundfile


class Transcriber:
    def __init__(self):
        import basic_pitch
        from basic_pitch.inference import Model

        self.model = Model(os.path.join(os.path.dirname(basic_pitch.__file__), "saved_models", "icassp_2022", "nmp.onnx"))

    def notes(self, path):
        from basic_pitch.inference import predict

        with contextlib.redirect_stdout(io.StringIO()):
            events = predict(path, self.model)[2]
        return sorted((round(float(start), 4), int(pitch)) for start, _, pitch, _, _ in events)


def score(path):
    notes, now = [], 0.0
    for message in mido.MidiFile(path):
        now += message.time
        if message.type == "note_on" and message.velocity > 0 and message.channel != 9:
            notes.append((now, message.note))
    return sorted(notes)


def f1(reference, estimate):
    """Precision, recall and F1 of onsets within 50 ms and pitches within 50 cents."""
    def arrays(notes):
        onsets = numpy.array([onset for onset, _ in notes]).reshape(-1, 1)
        return onsets + [0.0, 0.1], 440.0 * 2 ** ((numpy.array([pitch for _, pitch in notes]) - 69) / 12)

    if not reference or not estimate:
        return (float(not reference and not estimate),) * 3
    return mir_eval.transcription.precision_recall_f1_overlap(*arrays(reference), *arrays(estimate), offset_ratio=None)[:3]


def transcribe(out, *files):
    transcriber = Transcriber()
    with open(out, "w") as lines:
        for file in files:
            notes = [{"onset_secs": onset, "pitch": pitch} for onset, pitch in transcriber.notes(file)]
            lines.write(json.dumps({"file": os.path.basename(file), "notes": notes}) + "\n")


def corpus(folder, pieces="20"):
    transcriber, rows = Transcriber(), []
    names = sorted(os.listdir(os.path.join(folder, "audio")))[: int(pieces)]
    for name in (os.path.splitext(name)[0] for name in names):
        notes = score(os.path.join(folder, "midi", name + ".mid"))
        if not notes:
            continue
        found = transcriber.notes(os.path.join(folder, "audio", name + ".wav"))
        rows.append(f1(notes, found))
        print(name, len(notes), len(found), " ".join("%.3f" % value for value in rows[-1]), flush=True)
    print("mean precision, recall, F1 of %d pieces: %s" % (len(rows), " ".join("%.3f" % v for v in numpy.mean(rows, axis=0))))


def stability(folder, pieces="10"):
    transcriber, rows = Transcriber(), []
    names = sorted(os.listdir(os.path.join(folder, "audio")))
    for name in names[:: max(1, len(names) // int(pieces))][: int(pieces)]:
        samples, rate = librosa.load(os.path.join(folder, "audio", name), sr=None, duration=20.0)
        noise = numpy.random.default_rng(0).normal(0, 10 ** (-30 / 20) * (samples ** 2).mean() ** 0.5, len(samples))
        variants = [(samples, rate), (samples + noise, rate), (librosa.resample(samples, orig_sr=rate, target_sr=16000), 16000),
                    (samples / 2, rate)]
        found = []
        with tempfile.TemporaryDirectory() as scratch:
            for variant, variant_rate in variants:
                path = os.path.join(scratch, "variant.wav")
                soundfile.write(path, variant, variant_rate, subtype="PCM_16")
                found.append(transcriber.notes(path))
        rows.append([f1(found[0], notes)[2] for notes in found[1:]])
        print(name, len(found[0]), " ".join("%.3f" % value for value in rows[-1]), flush=True)
    print("mean F1 with noise, at 16 kHz, at half the level: " + " ".join("%.3f" % v for v in numpy.mean(rows, axis=0)))


if __name__ == "__main__":
    {"transcribe": transcribe, "corpus": corpus, "stability": stability}[sys.argv[1]](*sys.argv[2:])
