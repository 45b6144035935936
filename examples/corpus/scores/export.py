#!/usr/bin/env python3
"""Turns public-domain scores (MusicXML) into MIDI files with their provenance, for `musicot-corpus --scores`.

Needs music21 (pip install music21). Two kinds of source:

  export.py --out DIR --source FOLDER --licence CC0-1.0 --origin "OpenScore String Quartets"
      every MusicXML file below FOLDER; you state the licence that its collection is published under
  export.py --out DIR
      the files of music21's own corpus whose rights element says that they are in the public domain or CC0

A file whose own rights element says otherwise is skipped in both. Whether the COMPOSITIONS of a collection are in
the public domain where you are is for you to check. For each movement: NAME.mid (one track per part,
quarter = 960 ticks, no repeats) and NAME.json (title, composer, licence, origin, file).
"""

import argparse
import json
import pathlib
import re
import sys

import music21

TICKS_PER_BEAT = 960
MOST_PARTS = 8
FREE = re.compile(r"public domain|CC0|CC-0|publicdomain", re.IGNORECASE)


def rights(score):
    """The text of a score's rights statement, or an empty string."""
    return str(score.metadata.copyright or "") if score.metadata else ""


def is_free(statement, licence):
    """Whether a statement allows free use; an empty one is covered by the collection's licence, if one is stated."""
    return bool(FREE.search(statement)) if statement.strip(" ©") else licence is not None


def movements(score):
    """The movements of a score: where all parts of a measure end in a final bar line, a new one begins."""
    parts = [part for part in score.parts]
    measures = [list(part.getElementsByClass("Measure")) for part in parts]
    cuts = [0]
    for index, measure in enumerate(measures[0] if measures else []):
        bar = measure.rightBarline
        if bar is not None and bar.type == "final":
            cuts.append(index + 1)
    if measures and cuts[-1] < len(measures[0]):
        cuts.append(len(measures[0]))
    for first, end in zip(cuts, cuts[1:]):
        yield [bars[first:end] for bars in measures]


def flat_notes(bars):
    """(start, length, key) in ticks of all notes in some measures of a part, ties joined."""
    notes, held = [], {}
    origin = bars[0].offset
    for bar in bars:
        offset = bar.offset - origin
        for item in bar.flatten().notes:
            if item.duration.isGrace or not hasattr(item, "pitches"):
                continue
            start = max(0, round((offset + float(item.offset)) * TICKS_PER_BEAT))
            length = round(float(item.quarterLength) * TICKS_PER_BEAT)
            members = item.notes if item.isChord else [item]
            for note in members:
                key, tie = note.pitch.midi, note.tie.type if note.tie else None
                if tie in ("stop", "continue") and key in held:
                    notes[held[key]][1] = start + length - notes[held[key]][0]
                else:
                    notes.append([start, max(length, 1), key])
                if tie in ("start", "continue"):
                    held.setdefault(key, len(notes) - 1)
                else:
                    held.pop(key, None)
    return sorted(map(tuple, notes))


def metres(bars):
    """(tick, numerator, denominator) at every change; the first is that in force at the first bar."""
    origin = bars[0].offset
    first = bars[0].getContextByClass("TimeSignature")
    found = [(0, first.numerator, first.denominator)] if first else [(0, 4, 4)]
    for bar in bars:
        sign = bar.timeSignature
        now = (sign.numerator, sign.denominator) if sign else found[-1][1:]
        if now != found[-1][1:]:
            found.append((round(float(bar.offset - origin) * TICKS_PER_BEAT), *now))
    return found


def tempo(bars):
    """Quarter notes per minute at the beginning, or 100."""
    for bar in bars[:4]:
        for mark in bar.recurse().getElementsByClass("MetronomeMark"):
            if mark.getQuarterBPM():
                return mark.getQuarterBPM()
    return 100.0


def variable(number):
    """A number of at least 0 as MIDI's variable-length bytes."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(0x80 | number & 0x7F)
    return bytes(reversed(out))


def track(events):
    """A track chunk of (tick, bytes)."""
    data, now = b"", 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        data += variable(tick - now) + message
        now = tick
    data += b"\x00\xff\x2f\x00"
    return b"MTrk" + len(data).to_bytes(4, "big") + data


def midi(movement):
    """A format 1 file of a movement, or None when a part of it is empty or there are too many."""
    voices = [flat_notes(bars) for bars in movement if bars]
    voices = [voice for voice in voices if len(voice) > 8]
    if not 1 <= len(voices) <= MOST_PARTS:
        return None
    micros = round(60e6 / tempo(movement[0]))
    head = [(0, b"\xff\x51\x03" + micros.to_bytes(3, "big"))]
    for tick, upper, lower in metres(movement[0]):
        head.append((tick, bytes([0xFF, 0x58, 4, upper, lower.bit_length() - 1, 24, 8])))
    chunks = [track(head)]
    for channel, voice in enumerate(voices):
        # Releases first where a note begins as another ends.
        offs = [(start + length, bytes([0x80 | channel, key, 0])) for start, length, key in voice]
        ons = [(start, bytes([0x90 | channel, key, 80])) for start, length, key in voice]
        chunks.append(track(offs + ons))
    header = (1).to_bytes(2, "big") + len(chunks).to_bytes(2, "big") + TICKS_PER_BEAT.to_bytes(2, "big")
    return b"MThd" + (6).to_bytes(4, "big") + header + b"".join(chunks)


def name_of(path, number):
    """A plain file name."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", path.stem).strip("-").lower()
    return f"{path.parent.name[:24].lower()}-{stem}-{number}" if stem.startswith("movement") else f"{stem}-{number}"


def export(path, out, licence, origin):
    """Writes the movements of one score; the number written."""
    score = music21.converter.parse(path)
    statement = rights(score)
    if not is_free(statement, licence):
        print(f"skipped {path.name}: its rights are {statement or 'not stated'!r}", file=sys.stderr)
        return 0
    data = score.metadata
    written = 0
    for number, movement in enumerate(movements(score), 1):
        content = midi(movement)
        if content is None:
            continue
        name = re.sub(r"[^a-z0-9-]+", "-", name_of(path, number))
        (out / f"{name}.mid").write_bytes(content)
        source = {
            "title": f"{data.title or data.movementName or path.stem}, {number}" if data else path.stem,
            "composer": (data.composer if data else None) or "unknown",
            "licence": statement if FREE.search(statement) else licence,
            "origin": origin,
            "file": path.name,
        }
        (out / f"{name}.json").write_text(json.dumps(source, ensure_ascii=False, indent=1) + "\n")
        written += 1
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path)
    parser.add_argument("--licence")
    parser.add_argument("--origin")
    options = parser.parse_args()
    if options.source and not (options.licence and options.origin):
        parser.error("--source needs --licence and --origin: what the collection is published under, and its name")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.source:
        files = sorted(p for p in options.source.rglob("*") if p.suffix in (".mxl", ".musicxml", ".xml"))
        origin = options.origin
    else:
        files = sorted(p for p in map(pathlib.Path, music21.corpus.getPaths()) if p.suffix in (".mxl", ".xml"))
        origin = f"music21 {music21.__version__} corpus"
    total = 0
    for path in files:
        try:
            total += export(path, options.out, options.licence, origin)
        except Exception as error:  # One broken file of a collection stops nothing.
            print(f"skipped {path.name}: {error}", file=sys.stderr)
    print(f"{total} movements of {len(files)} files in {options.out}")


if __name__ == "__main__":
    main()
