"""Windows of audio to embeddings, the mel front end included, and captions to embeddings: transformers' CLAP at the published size."""

import json
import os

from harness import main, path, timed

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

WINDOWS, RATE = 4, 48_000

# As long as people write them, and of different lengths.
CAPTIONS = [
    "a solo violin",
    "calm jazz with piano and bass at 90 bpm",
    "fast rock with a distorted guitar and loud drums",
    "strings",
    "a slow and sad tune for a lonely trumpet, with soft chords of an organ behind it",
    "funk",
    "electronic music with a deep bass, a bright lead and a beat that goes on and on, in E minor, 128 bpm",
    "a choir that sings without words",
]
TEXTS = 32


def is_of_texts(folder):
    return os.path.basename(folder.rstrip("/")) == "clap-text"


def prepare(folder, quick):
    config = transformers.ClapConfig()
    # The tower that is not timed has one layer.
    if is_of_texts(folder):
        config.audio_config.depths, config.audio_config.num_attention_heads = [1], [4]
        config.audio_config.hidden_size = config.audio_config.patch_embeds_hidden_size
    else:
        config.text_config.num_hidden_layers = 1
    transformers.ClapModel(config).eval().save_pretrained(folder)
    extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
    extractor.save_pretrained(folder)
    words = tokenizers.ByteLevelBPETokenizer()
    words.train_from_iterator(CAPTIONS, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    words.save_model(folder)
    if is_of_texts(folder):
        with open(path(folder, "texts.json"), "w") as file:
            json.dump([CAPTIONS[number % len(CAPTIONS)] for number in range(TEXTS)], file)
    else:
        save_file({"wav": 0.1 * torch.randn(WINDOWS, 10 * RATE)}, path(folder, "io.safetensors"))


def run(folder, args):
    model = transformers.ClapModel.from_pretrained(folder).eval()
    (run_texts if is_of_texts(folder) else run_windows)(model, folder, args)


def run_texts(model, folder, args):
    tokenizer = transformers.RobertaTokenizerFast.from_pretrained(folder)
    with open(path(folder, "texts.json")) as file:
        texts = json.load(file)

    def embed():
        return model.get_text_features(**tokenizer(texts, padding=True, return_tensors="pt"))

    timed("transformers", len(texts), args.secs, embed)


def run_windows(model, folder, args):
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    clips = list(load_file(path(folder, "io.safetensors"))["wav"].numpy())

    def embed():
        features = extractor(clips, sampling_rate=RATE, return_tensors="pt")
        return model.get_audio_features(**features)

    timed("transformers", WINDOWS, args.secs, embed)


main(prepare, run)
