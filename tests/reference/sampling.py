"""Golden fixtures for musicot-sampling, made by the logits processors of transformers.

Usage: python tests/reference/sampling.py   (from the repository root; transformers 5, torch, safetensors)

Writes musicot-sampling/tests/golden/: `cases.json` (each case's chain of processors, in order, and the deviation of the reference's own f32 from
its f64) and `golden.safetensors` with `CASE.logits`, `CASE.null_logits` where guided, `CASE.input_ids`, and what comes out,
`CASE.out`. The versions used are printed into `versions.json`.
"""

import json
import os
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import torch
import transformers
from safetensors.torch import save_file
from transformers.generation import logits_process

ROOT = os.path.join("musicot-sampling", "tests", "golden")
ROWS, VOCAB, HISTORY = 4, 64, 9

CHAINS = {
    "temperature": [{"temperature": 0.65}],
    "temperature_above": [{"temperature": 1.7}],
    "top_k": [{"top_k": 5}],
    "top_k_all": [{"top_k": 200}],
    "top_p": [{"top_p": 0.9}],
    "top_p_small": [{"top_p": 0.05}],
    "min_p": [{"min_p": 0.1}],
    "repetition": [{"repetition_penalty": 1.3}],
    "repetition_below": [{"repetition_penalty": 0.8}],
    "guidance": [{"guidance": 2.3}],
    "usual_order": [{"repetition_penalty": 1.2}, {"temperature": 0.75}, {"top_k": 40}, {"top_p": 0.95}, {"min_p": 0.02}],
    "other_order": [{"min_p": 0.02}, {"repetition_penalty": 1.2}, {"top_p": 0.95}, {"temperature": 1.4}, {"top_k": 10}],
    "guided_chain": [{"guidance": 1.3}, {"temperature": 0.75}, {"top_k": 20}, {"top_p": 0.9}],
}


def processor(link):
    ((name, value),) = link.items()
    return {
        "temperature": logits_process.TemperatureLogitsWarper,
        "top_k": logits_process.TopKLogitsWarper,
        "top_p": logits_process.TopPLogitsWarper,
        "min_p": logits_process.MinPLogitsWarper,
        "repetition_penalty": logits_process.RepetitionPenaltyLogitsProcessor,
        "guidance": logits_process.ClassifierFreeGuidanceLogitsProcessor,
    }[name](value)


def run(chain, logits, null, ids):
    scores = logits if null is None else torch.cat([logits, null])
    for link in chain:
        scores = processor(link)(ids, scores)
    return scores, scores.softmax(-1)


def draw(generator, ties):
    logits = torch.randn(ROWS, VOCAB, generator=generator) * torch.tensor([[0.5], [2.0], [6.0], [2.0]])
    if ties:
        # Values that many tokens share, the last row wholly alike. (Which of them top-p cuts, the reference leaves to an unstable sort.)
        logits = (logits * 2).round() / 2
        logits[-1] = 0.25
    return logits


def main():
    os.makedirs(ROOT, exist_ok=True)
    generator = torch.Generator().manual_seed(17)
    tensors, cases = {}, []
    for ties in (False, True):
        for name, chain in CHAINS.items():
            case = f"{name}_ties" if ties else name
            logits = draw(generator, ties)
            null = draw(generator, ties) if "guidance" in chain[0] else None
            ids = torch.randint(0, VOCAB, (ROWS, HISTORY), generator=generator)
            out, probs = run(chain, logits, null, ids)
            exact, exact_probs = run(chain, logits.double(), None if null is None else null.double(), ids)
            assert torch.equal(out.isinf(), exact.isinf()), f"{case}: f32 and f64 cut at different places"
            noise = float((probs.double() - exact_probs).abs().max())
            cases.append({"name": case, "chain": chain, "noise": noise})
            tensors[f"{case}.logits"], tensors[f"{case}.input_ids"] = logits, ids
            if null is not None:
                tensors[f"{case}.null_logits"] = null
            tensors[f"{case}.out"] = out.contiguous()
    save_file(tensors, os.path.join(ROOT, "golden.safetensors"))
    write("cases.json", cases)
    write("versions.json", {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__})
    print(f"{len(cases)} cases")


def write(name, content):
    with open(os.path.join(ROOT, name), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")


main()
