"""Steps of decoding, a song and its unconditional branch: transformers with its cache, and ctranslate2."""

import json
import os
import time

from harness import main, path, report

import tokenizers
import torch
import transformers

ROWS, CONTEXT, STEPS = 2, 600, 60
SMALL = dict(hidden_size=384, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=6, num_key_value_heads=2)
# TinyLlama's shape with the vocabulary of a music model.
LARGE = dict(hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4)


def prepare(folder, quick):
    is_large = os.path.basename(folder.rstrip("/")) == "lm-1b"
    sizes = LARGE if is_large else SMALL
    config = transformers.LlamaConfig(
        vocab_size=8192, max_position_embeddings=2048, bos_token_id=None, eos_token_id=None, **sizes)
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16 if is_large else torch.float32)
    model.save_pretrained(folder)
    # ctranslate2 works on words.
    words = {f"t{index}": index for index in range(config.vocab_size)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="t0"))
    named = dict(unk_token="t0", bos_token="t1", eos_token="t2")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    with open(path(folder, "case.json"), "w") as file:
        json.dump({"rows": ROWS, "context": CONTEXT, "steps": STEPS}, file)


def run(folder, args):
    is_large = os.path.basename(folder.rstrip("/")) == "lm-1b"
    for name, kind in [("bfloat16", torch.bfloat16)] if is_large else [("float32", torch.float32), ("bfloat16", torch.bfloat16)]:
        with_transformers("transformers " + name, folder, kind, args.secs)
    with_ctranslate2(folder, args)


def with_transformers(variant, folder, kind, budget):
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=kind).eval()
    ids = torch.randint(0, 8192, (ROWS, CONTEXT))
    secs, end = [], time.perf_counter() + budget
    while not secs or time.perf_counter() < end:
        cache = transformers.DynamicCache(config=model.config)
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        for step in range(STEPS):
            start = time.perf_counter()
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            out = model(token, past_key_values=cache, use_cache=True)
            if step >= 5:
                secs.append(time.perf_counter() - start)
    report(variant, 1, secs)


def with_ctranslate2(folder, args):
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    converted = folder.rstrip("/") + "-ctranslate2"
    TransformersConverter(folder).convert(converted, quantization="int8", force=True)
    generator = ctranslate2.Generator(converted, device="cpu", compute_type="int8", intra_threads=args.threads, inter_threads=1)
    prompts = [[f"t{index * 7 % 8192}" for index in range(CONTEXT)]] * ROWS

    def generate(count):
        start = time.perf_counter()
        generator.generate_batch(prompts, max_length=count, min_length=count, beam_size=1, include_prompt_in_result=False)
        return time.perf_counter() - start

    # The difference of two lengths leaves out the prompt.
    generate(2)
    secs, end = [], time.perf_counter() + args.secs
    while len(secs) < 3 or time.perf_counter() < end:
        secs.append((generate(4 + STEPS) - generate(4)) / STEPS)
    report("ctranslate2 int8", 1, secs)


main(prepare, run)
