"""What the tests of training data share: the tool that opens ours, Megatron's own datasets, token files for both."""
import collections
import json
import os
import subprocess

import numpy
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

TOOL = os.path.join(os.environ.get("RIALTO_BIN", ""), "data_tool")
EOD = 0


def ask(*requests):
    """The tool's answers."""
    text = json.dumps(requests)
    done = subprocess.run([TOOL], input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Ids:
    """What Megatron's dataset wants of a tokenizer."""
    vocab_size = 1000
    eod = EOD
    unique_identifiers = collections.OrderedDict(kind="ids")


def write_corpus(prefix, draw):
    """Documents of uneven lengths, empty and one-token ones among them, most of them ended by EOD."""
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=numpy.uint16)
    for _ in range(draw.randint(8, 60)):
        length = draw.choice([0, 1, 2, draw.randint(3, 40), draw.randint(20, 200)])
        tokens = [draw.randint(1, 999) for _ in range(length)]
        if tokens and draw.random() < 0.9:
            tokens[-1] = EOD
        builder.add_document(tokens, [len(tokens)])
    builder.finalize(f"{prefix}.idx")


def enough_tokens(lengths, first, last, seq_length):
    return sum(lengths[first:last]) > seq_length


def build_one(prefix, cache, seq_length, random_seed, split, part, size, flags):
    """Megatron's dataset of one part of the split, through its builder (which rounds the split)."""
    config = GPTDatasetConfig(
        random_seed=random_seed, sequence_length=seq_length, blend=([str(prefix)], None), split=split,
        path_to_cache=str(cache), tokenizer=Ids(), reset_position_ids=flags["reset_positions"],
        reset_attention_mask=flags["reset_mask"], eod_mask_loss=flags["eod_mask_loss"])
    config.split_matrix = [bounds if i == part else None for i, bounds in enumerate(config.split_matrix)]
    return BlendedMegatronDatasetBuilder(GPTDataset, [size] * 3, lambda: True, config).build()[part]


def same_sample(ours, theirs, flags):
    assert ours["tokens"] == theirs["tokens"].tolist()
    assert ours["labels"] == theirs["labels"].tolist()
    assert ours["loss_weights"] == theirs["loss_mask"].tolist()
    assert ours["positions"] == theirs["position_ids"].tolist()
    # True in Megatron's mask: may not attend. Ours: causal, inside one document.
    documents = numpy.array(ours["documents"])
    allowed = numpy.tril(documents[:, None] == documents[None, :])
    assert (allowed == ~theirs["attention_mask"][0].numpy()).all()
