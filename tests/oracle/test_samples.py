"""Which samples training reads: indices, splits, blends and every sample against Megatron-Core's datasets, live."""
import collections
import json
import random

import numpy
import pytest
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

from megatron_data import EOD, Ids, ask, build_one, enough_tokens, same_sample, write_corpus


def test_indices_and_samples_are_megatrons(tmp_path, seed, full):
    """Random corpora, splits, seeds and numbers of samples (one epoch to several, the last one separate or not)."""
    draw = random.Random(seed)
    epochs_seen, separate_seen, compared = collections.Counter(), collections.Counter(), 0
    for case in range(200 if full else 40):
        prefix = tmp_path / f"c{case}"
        write_corpus(prefix, draw)
        corpus = IndexedDataset(str(prefix))  # its arrays die with it
        lengths = corpus.sequence_lengths.tolist()
        seq_length = draw.choice([2, 7, 16, 33])
        random_seed = draw.choice([0, 1234, draw.randrange(2**32)])
        split = draw.choice(["1", "9999,8,2", "5,3,2", "0.6, 0.4", "1,0,1"])
        [ranges] = ask({"do": "split", "split": split, "documents": len(lengths)})
        sizes = [draw.choice([None, 1, draw.randint(1, 50), draw.randint(50, 900)]) for _ in range(3)]
        sizes = [n if a < b and enough_tokens(lengths, a, b, seq_length) else None for n, (a, b) in zip(sizes, ranges)]
        flags = {name: draw.random() < 0.4 for name in ("eod_mask_loss", "reset_positions", "reset_mask")}
        for part, (first, last) in enumerate(ranges):
            if not enough_tokens(lengths, first, last, seq_length):
                continue
            # one part at a time: Megatron builds empty or too small parts wrongly or not at all
            theirs = build_one(prefix, tmp_path / f"cache{case}-{part}", seq_length, random_seed, split, part, sizes[part], flags)
            numbers = sorted({0, len(theirs) - 1, draw.randrange(len(theirs)), draw.randrange(len(theirs))})
            [ours] = ask({"do": "indices", "prefix": str(prefix), "seq_length": seq_length, "num_samples": sizes[part] or 0,
                          "seed": random_seed, "first": first, "last": last, "eod": EOD, "samples": numbers, **flags})
            assert "error" not in ours, ours
            assert ours["document"] == theirs.document_index.tolist()
            assert ours["sample"] == theirs.sample_index.reshape(-1).tolist()
            assert ours["shuffle"] == theirs.shuffle_index.tolist()
            for number, sample in zip(numbers, ours["samples"]):
                same_sample(sample, theirs[number], flags)
            epochs = len(theirs.document_index) // (last - first)
            epochs_seen[min(epochs, 3)] += 1
            before_last = ((epochs - 1) * sum(lengths[first:last]) - 1) // seq_length
            separate_seen[epochs > 1 and sorted(ours["shuffle"][:before_last]) == list(range(before_last))] += 1
            compared += 1
    assert compared >= 40 and min(epochs_seen[1], epochs_seen[2], epochs_seen[3]) > 0, (compared, epochs_seen)
    assert separate_seen[True] > 0 and separate_seen[False] > 0


@pytest.mark.parametrize("split", ["9999,8,2", "1,1,1", "1", "50,50,0", "0.5,0.25,0.25", "969, 30, 1", "7,0,3", "1,2"])
def test_splits_round_as_megatrons(split):
    from megatron.core.datasets.blended_megatron_dataset_config import convert_split_vector_to_split_matrix, parse_and_normalize_split
    matrix = convert_split_vector_to_split_matrix(parse_and_normalize_split(split))
    counts = [*range(1, 40), 99, 1000, 12345, 10**6 + 1]
    for count, ranges in zip(counts, ask(*({"do": "split", "split": split, "documents": n} for n in counts))):
        for bounds, (first, last) in zip(matrix, ranges):
            if bounds is None:
                assert first == last
            else:
                assert [first, last] == [int(round(bound * float(count))) for bound in bounds]


# ---- blends ----

@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Six token files of 40 to 60 documents."""
    folder, draw = tmp_path_factory.mktemp("corpora"), random.Random(11)
    for name in "abcdef":
        builder = IndexedDatasetBuilder(f"{folder / name}.bin", dtype=numpy.uint16)
        for _ in range(draw.randint(40, 60)):
            tokens = [draw.randint(1, 999) for _ in range(draw.choice([0, 1, draw.randint(3, 60), draw.randint(20, 150)]))]
            builder.add_document(tokens + [EOD], [len(tokens) + 1])
        builder.finalize(f"{folder / name}.idx")
    return folder


def megatrons_blend(cache, part, size, flags, **options):
    config = GPTDatasetConfig(path_to_cache=str(cache), tokenizer=Ids(), reset_position_ids=flags["reset_position_ids"],
                              reset_attention_mask=flags["reset_attention_mask"], eod_mask_loss=flags["eod_mask_loss"], **options)
    if config.split_matrix:
        config.split_matrix = [bounds if i == part else None for i, bounds in enumerate(config.split_matrix)]
    sizes = [0, 0, 0]
    sizes[part] = size
    return BlendedMegatronDatasetBuilder(GPTDataset, sizes, lambda: True, config).build()[part]


BLENDS = {
    "weights": dict(blend=(["a", "b", "c"], [30.0, 69.5, 0.5]), split="60,30,10"),
    "one_with_a_weight": dict(blend=(["a"], [1.0]), split="9,1,0"),
    "no_weights": dict(blend=(["a", "b", "c"], None), split="7,2,1"),
    "per_split": dict(blend_per_split=[(["a", "b", "c", "d"], [0.1, 0.2, 0.3, 0.4]), (["e"], [3.0]), (["f", "a"], None)]),
}


def as_setting(blend, corpora):
    if isinstance(blend, list):
        return "dataset.blend_per_split=" + json.dumps([[as_paths(p, corpora), w] for p, w in blend])
    return "dataset.blend=" + json.dumps([as_paths(blend[0], corpora), blend[1]])


def as_paths(names, corpora):
    return [str(corpora / name) for name in names]


@pytest.mark.parametrize("kind", BLENDS)
def test_blends_are_megatrons(tmp_path, corpora, kind, seed, monkeypatch):
    """1,000 random sample numbers of each kind of blend, over its parts: tokens, labels, masks, positions and both indices of the blend, with
    our indices in memory, written into a cache, and read from it."""
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)  # its cache asks for a rank, and there is one process
    draw, seen = random.Random(f"{kind} {seed}"), set()
    parts = range(2) if kind == "one_with_a_weight" else range(3)
    for part in parts:
        options = dict(BLENDS[kind])
        flags = {name: draw.random() < 0.5 for name in ("eod_mask_loss", "reset_position_ids", "reset_attention_mask")}
        weighted = options["blend"][1] if "blend" in options else options["blend_per_split"][part][1]
        seq_length, random_seed = draw.choice([8, 21]), draw.randrange(2**32)
        size = draw.randint(1500, 4000) if weighted else draw.choice([5, 11])
        settings = [as_setting(options.get("blend") or options["blend_per_split"], corpora), f"dataset.random_seed={random_seed}"]
        settings += [f"dataset.{name}={str(on).lower()}" for name, on in flags.items()]
        if "split" in options:
            settings.append(f"dataset.split={options['split']}")
        if "blend" in options:
            options["blend"] = (as_paths(options["blend"][0], corpora), options["blend"][1])
        else:
            options["blend_per_split"] = [(as_paths(p, corpora), w) for p, w in options["blend_per_split"]]
        theirs = megatrons_blend(tmp_path / f"theirs{part}", part, size, flags, random_seed=random_seed,
                                 sequence_length=seq_length, **options)
        numbers = [draw.randrange(len(theirs)) for _ in range(1000 // len(parts) + 1)]
        request = {"do": "open", "part": part, "seq_length": seq_length, "eod": EOD, "num_samples": size, "samples": numbers}
        cached = settings + [f"dataset.path_to_cache={tmp_path / 'ours'}"]
        ours, written, mapped = ask({**request, "set": settings}, {**request, "set": cached}, {**request, "set": cached})
        assert "error" not in ours, ours
        assert ours == written == mapped
        assert ours["size"] == len(theirs)
        if hasattr(theirs, "dataset_index"):
            assert ours["source_index"] == theirs.dataset_index.tolist()
            assert ours["sample_index"] == theirs.dataset_sample_index.tolist()
            seen.add("blend")
        for number, sample in zip(numbers, ours["samples"]):
            same_sample(sample, theirs[number], flags)
    assert "blend" in seen


def test_blending_indices_are_megatrons(seed, full):
    """Weights from equal to very uneven, sources from one to hundreds; the sum of the weights in NumPy's order."""
    from megatron.core.datasets import helpers
    from megatron.core.datasets.utils import normalize
    draw = random.Random(seed)
    for count in [1, 2, 3, 7, 8, 9, 16, 127, 128, 129, 300, 1100]:
        weights = [draw.choice([1.0, draw.random(), draw.random() ** 8 + 1e-9]) for _ in range(count)]
        assert ask({"do": "normalized", "weights": weights}) == [normalize(weights)]
        size = draw.randint(1, 3000 if full else 900)
        sources, samples = numpy.zeros(size, dtype=numpy.int16), numpy.zeros(size, dtype=numpy.int64)
        helpers.build_blending_indices(sources, samples, normalize(weights), count, size, False)
        assert ask({"do": "blending", "weights": weights, "size": size}) == [[sources.tolist(), samples.tolist()]]
        sizes = [draw.randint(1, 2000 // count + 1) for _ in range(count)]
        sources, samples = numpy.zeros(sum(sizes), dtype=numpy.int16), numpy.zeros(sum(sizes), dtype=numpy.int64)
        helpers.build_exhaustive_blending_indices(sources, samples, sizes, count)
        assert ask({"do": "blending", "sizes": sizes}) == [[sources.tolist(), samples.tolist()]]


def test_words_of_a_blend_are_megatrons(tmp_path, corpora):
    """data_path as a list, and the two kinds of files, give what the same blend gives."""
    from megatron.core.datasets.utils import get_blend_from_list
    a, b = corpora / "a", corpora / "b"
    words = ["30", str(a), "70", str(b)]
    assert get_blend_from_list(words) == ([str(a), str(b)], [30.0, 70.0])
    (tmp_path / "words").write_text(f"30 {a}\n70  {b}\n")
    (tmp_path / "parts.json").write_text(json.dumps({"train": f"30 {a} 70 {b}", "valid": words, "test": None}))
    base = {"do": "open", "part": 0, "seq_length": 8, "eod": EOD, "num_samples": 100, "samples": [0, 50, 99]}
    ways = [["dataset.split='1,0,0'", way] for way in
            (f"dataset.blend=[[{a}, {b}], [30, 70]]", f"dataset.data_path=['30', {a}, '70', {b}]",
             f"dataset.data_args_path={tmp_path / 'words'}", f"dataset.per_split_data_args_path={tmp_path / 'parts.json'}",
             f"dataset.train_data_path=['30', {a}, '70', {b}]", f"dataset.blend_per_split=[[[{a}, {b}], [30, 70]], null, null]")]
    answers = ask(*({**base, "set": way} for way in ways))
    assert "error" not in answers[0], answers[0]
    assert all(answer == answers[0] for answer in answers)
