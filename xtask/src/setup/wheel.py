"""Lists, reads and unpacks wheels (which are zip files); called by xtask with a wheel's path and what to do with it."""

import json
import os
import sys
import zipfile


def unpack(wheel, target):
    """Reads pairs [name in the wheel, path under target] from stdin; prints how many files are done."""
    pairs = json.load(sys.stdin)
    made = set()
    for done, (name, path) in enumerate(pairs, 1):
        path = os.path.join(target, path)
        folder = os.path.dirname(path)
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        with wheel.open(name) as source, open(path, "wb") as copy:
            while block := source.read(1 << 20):
                copy.write(block)
        if done % 100 == 0 or done == len(pairs):
            print(done, flush=True)


def main():
    action, path, *rest = sys.argv[1:]
    try:
        with zipfile.ZipFile(path) as wheel:
            if action == "list":
                print("\n".join(wheel.namelist()))
            elif action == "metadata":
                name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
                sys.stdout.write(wheel.read(name).decode("utf-8", "replace"))
            elif action == "unpack":
                unpack(wheel, rest[0])
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"{type(error).__name__}: {error}")


main()
