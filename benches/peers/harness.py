"""What the scripts of this folder share: their command line, and how calls are timed.

Each script has two commands: `prepare DIR` writes a case (weights in a published layout, inputs) that both sides read, `run DIR` times the peer on it and
prints a line of JSON per variant: {"variant": NAME, "units": UNITS_PER_CALL, "secs": [SECONDS_OF_A_CALL, ..]}. The other side is examples/peers.
"""

import argparse
import json
import os
import sys
import time

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)


def main(prepare, run):
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["prepare", "run"])
    parser.add_argument("dir")
    parser.add_argument("--secs", type=float, default=3.0, help="time of each variant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="prepare: a smaller case")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import torch

        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        torch.set_grad_enabled(False)
    except ImportError:
        pass  # the scripts that need it say so themselves
    if args.command == "prepare":
        os.makedirs(args.dir, exist_ok=True)
        prepare(args.dir, args.quick)
    else:
        run(args.dir, args)


def report(variant, units, secs):
    print(json.dumps({"variant": variant, "units": units, "secs": secs}), flush=True)


def timed(variant, units, budget, call):
    """One call to warm up, then calls until the time is over, at least three."""
    call()
    secs, end = [], time.perf_counter() + budget
    while len(secs) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        secs.append(time.perf_counter() - start)
    report(variant, units, secs)


def path(*parts):
    return os.path.join(*parts)
