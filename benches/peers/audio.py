"""Files to 48 kHz mono: PyAV, and soundfile with soxr. Units are seconds of audio."""

from harness import main, path, timed

import av
import numpy
import soundfile
import soxr

SECS, FROM, TO = 60, 44_100, 48_000
KINDS = ["flac", "ogg", "mp3", "m4a"]


def prepare(folder, quick):
    time = numpy.arange(SECS * FROM) / FROM
    rng = numpy.random.default_rng(0)
    tones = sum(numpy.sin(2 * numpy.pi * hz * time * (1 + 0.001 * numpy.sin(time))) for hz in (110, 277, 523, 1318))
    left = 0.1 * tones * (1 + numpy.sin(7 * time)) + 0.01 * rng.normal(size=time.size)
    stereo = numpy.stack([left, numpy.roll(left, 300)], 1).astype(numpy.float32)
    for kind in ("flac", "ogg", "mp3"):
        with soundfile.SoundFile(path(folder, "song." + kind), "w", FROM, 2) as file:
            # libsndfile's encoder of ogg overflows the stack on long blocks.
            for start in range(0, len(stereo), FROM):
                file.write(stereo[start:start + FROM])
    with av.open(path(folder, "song.m4a"), "w") as file:
        stream = file.add_stream("aac", rate=FROM, layout="stereo")
        for start in range(0, len(stereo) - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(
                numpy.ascontiguousarray(stereo[start:start + 1024].T), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = FROM, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def with_pyav(name):
    resampler = av.AudioResampler(format="flt", layout="mono", rate=TO)
    with av.open(name) as file:
        parts = [part.to_ndarray() for frame in file.decode(audio=0) for part in resampler.resample(frame)]
        parts += [part.to_ndarray() for part in resampler.resample(None)]
    return numpy.concatenate(parts, 1)


def with_soxr(name):
    samples, rate = soundfile.read(name, dtype="float32")
    return soxr.resample(samples.mean(1), rate, TO, quality="HQ")


def run(folder, args):
    for kind in KINDS:
        name = path(folder, "song." + kind)
        timed(f"PyAV, {kind}", SECS, args.secs, lambda: with_pyav(name))
        if kind != "m4a":
            timed(f"soundfile + soxr, {kind}", SECS, args.secs, lambda: with_soxr(name))


main(prepare, run)
