#!/usr/bin/env python3
"""Mel filter banks by librosa, as golden numbers for musicot-core.

    python tests/reference/core_banks.py

writes musicot-core/tests/golden/mel_banks.json. Made with Python 3.11, numpy 2.4.6, librosa 0.11.0.
Each band is given by its first bin that is not zero and the weights from there to its last such bin.
"""

import json
import pathlib

import librosa
import numpy as np

VERSIONS = {"numpy": "2.4.6", "librosa": "0.11.0"}

# Sample rate, samples per frame, bands, lowest and highest frequency, scale, norm.
CASES = [
    (48000, 1024, 64, 50.0, 14000.0, "slaney", "slaney"),
    (48000, 1024, 64, 50.0, 14000.0, "htk", "none"),
    (44100, 2048, 80, 0.0, 22050.0, "slaney", "none"),
    (16000, 400, 40, 20.0, 8000.0, "htk", "slaney"),
    (22050, 511, 20, 0.0, 8000.0, "slaney", "slaney"),
]


def bank(sample_rate_hz, n_fft, bands, min_hz, max_hz, scale, norm):
    weights = librosa.filters.mel(
        sr=sample_rate_hz,
        n_fft=n_fft,
        n_mels=bands,
        fmin=min_hz,
        fmax=max_hz,
        htk=scale == "htk",
        norm=None if norm == "none" else norm,
        dtype=np.float64,
    )
    rows = []
    for row in weights:
        bins = np.flatnonzero(row)
        start, end = (int(bins[0]), int(bins[-1]) + 1) if len(bins) else (0, 0)
        rows.append({"start": start, "weights": [float(f"{w:.9g}") for w in row[start:end]]})
    return {
        "sample_rate_hz": sample_rate_hz,
        "n_fft": n_fft,
        "bands": bands,
        "min_hz": min_hz,
        "max_hz": max_hz,
        "scale": scale,
        "norm": norm,
        "rows": rows,
    }


def main():
    found = {"numpy": np.__version__, "librosa": librosa.__version__}
    if found != VERSIONS:
        raise SystemExit(f"expected {VERSIONS}, found {found}")
    root = pathlib.Path(__file__).resolve().parents[2]
    path = root / "musicot-core" / "tests" / "golden" / "mel_banks.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    banks = ",\n".join(json.dumps(bank(*case)) for case in CASES)
    path.write_text(f'{{"made_with": {json.dumps(found)}, "banks": [\n{banks}\n]}}\n')


if __name__ == "__main__":
    main()
