#!/usr/bin/env python3
"""The peer of `rialto data tokenize`: JSON lines through Hugging Face's fast tokenizer in worker processes into Megatron-Core's
IndexedDatasetBuilder, as Megatron's own preprocessing script does it. peer_preprocess.py INPUT.jsonl TOKENIZER PREFIX WORKERS"""
import json
import multiprocessing
import os
import sys
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/oracle"))
TOKENIZER = None


def load(folder):
    global TOKENIZER
    from transformers import AutoTokenizer
    TOKENIZER = AutoTokenizer.from_pretrained(folder)


def encode(line):
    return TOKENIZER(json.loads(line)["text"], add_special_tokens=False)["input_ids"] + [TOKENIZER.eos_token_id]


def main(source, tokenizer, prefix, workers):
    import megatron_cpu  # noqa: F401  (so that megatron-core imports without a GPU)
    import numpy
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
    builder = IndexedDatasetBuilder(prefix + ".bin", dtype=numpy.uint16)
    with open(source, encoding="utf-8") as lines, multiprocessing.Pool(int(workers), load, (tokenizer,)) as pool:
        for ids in pool.imap(encode, lines, 32):
            builder.add_document(ids, [len(ids)])
    builder.finalize(prefix + ".idx")


if __name__ == "__main__":
    main(*sys.argv[1:])
