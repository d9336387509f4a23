#!/usr/bin/env python3
"""Peers of the data functions; each prints JSON with the seconds that the function itself took.

pack LENGTHS CAPACITY: first fit as a scan over the open bins, as Bridge had it, but with the bins' sums kept (its own added them up anew).
index LENGTHS SEQ_LENGTH SAMPLES SEED: Megatron-Core's document, sample and shuffle indices: its NumPy functions and its C++ helpers.
"""
import json
import sys
import time
import zlib
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/oracle"))


def pack(lengths, capacity):
    values = lengths.tolist()
    start = time.monotonic()
    sums, bins = [], []
    for row, length in enumerate(values):
        for i, used in enumerate(sums):
            if used + length <= capacity:
                sums[i] += length
                bins[i].append(row)
                break
        else:
            sums.append(length)
            bins.append([row])
    seconds = time.monotonic() - start
    return {"seconds": seconds, "bins": len(bins), "efficiency": sum(values) / len(bins) / capacity}


def index(lengths, seq_length, samples, seed):
    import megatron_cpu  # noqa: F401
    from megatron.core.datasets import helpers
    from megatron.core.datasets.gpt_dataset import _build_document_index, _build_shuffle_index
    tokens = int(lengths.sum(dtype=numpy.int64))
    start = time.monotonic()
    random = numpy.random.RandomState(seed)
    assert samples * seq_length + 1 <= tokens, "one epoch is what is measured"
    documents = _build_document_index(numpy.arange(len(lengths), dtype=numpy.int32), 1, random, False)
    cut = helpers.build_sample_idx(lengths, documents, seq_length, 1, tokens, True, True)
    shuffle = _build_shuffle_index(cut.shape[0] - 1, cut.shape[0] - 1, random)
    seconds = time.monotonic() - start
    wide = [documents.astype(numpy.int32), cut.astype(numpy.int64), shuffle.astype(numpy.int64)]
    return {"seconds": seconds, "crc": [zlib.crc32(array.tobytes()) for array in wide]}


if __name__ == "__main__":
    function, path, *numbers = sys.argv[1:]
    print(json.dumps({"pack": pack, "index": index}[function](numpy.fromfile(path, dtype=numpy.int32), *map(int, numbers))))
