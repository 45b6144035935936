"""Windows of audio to embeddings, the mel front end included: transformers' CLAP at the published size."""

from harness import main, path, timed

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

WINDOWS, RATE = 4, 48_000


def prepare(folder, quick):
    # The text tower is not timed: one of its layers will do.
    config = transformers.ClapConfig()
    config.text_config.num_hidden_layers = 1
    transformers.ClapModel(config).eval().save_pretrained(folder)
    extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
    extractor.save_pretrained(folder)
    words = tokenizers.ByteLevelBPETokenizer()
    words.train_from_iterator(["music"], special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    words.save_model(folder)
    save_file({"wav": 0.1 * torch.randn(WINDOWS, 10 * RATE)}, path(folder, "io.safetensors"))


def run(folder, args):
    model = transformers.ClapModel.from_pretrained(folder).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    clips = list(load_file(path(folder, "io.safetensors"))["wav"].numpy())

    def embed():
        features = extractor(clips, sampling_rate=RATE, return_tensors="pt")
        return model.get_audio_features(**features)

    timed("transformers", WINDOWS, args.secs, embed)


main(prepare, run)
