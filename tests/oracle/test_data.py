"""Data preparation against its references, live: Megatron's GPTDataset (indices and samples) and IndexedDataset, the
Python tokenizers package (encoding, training), transformers' AutoTokenizer."""
import collections
import json
import math
import os
import random
import subprocess
import zlib

import numpy
import pytest
import tokenizers
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

from programs import refused, rialto, rialto_json

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
def test_blends_are_megatrons(tmp_path, corpora, kind, seed, full, monkeypatch):
    """1,000 random sample numbers over the blends: tokens, labels, masks, positions and both indices of the blend, with
    our indices in memory, written into a cache, and read from it."""
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)  # its cache asks for a rank, and there is one process
    draw, seen = random.Random(f"{kind} {seed}"), set()
    for part in range(3):
        options = dict(BLENDS[kind])
        if kind == "one_with_a_weight" and part == 2:
            continue
        flags = {name: draw.random() < 0.5 for name in ("eod_mask_loss", "reset_position_ids", "reset_attention_mask")}
        weighted = options["blend"][1] if "blend" in options else options["blend_per_split"][part][1]
        seq_length, random_seed = draw.choice([8, 21]), draw.randrange(2**32)
        size = draw.randint(200, 700) if weighted else draw.choice([5, 11])
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
        numbers = [draw.randrange(len(theirs)) for _ in range((1000 if full else 340) // 3)]
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


# ---- tokenizers ----

TEXTS = ["", " ", "Hello, world!", "def f(x):\n\treturn  x  # naïve\n", "don't we'll  I'm\u00a0here", "漢字かな交じり文 한국어",
         "🙂🏽‍🚀 e\u0301 \u200d", "a<|endoftext|>b", "\x00\x01\r\n\r\n   \n", "1234567890 3.14e-10", "x" * 300, "ﷺ ǅ İ ß ſt"]


def byte_level(corpus, **options):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["<|endoftext|>"], show_progress=False, min_frequency=2,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), **options)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def llama2_style(corpus):
    """SentencePiece manners: leading space, bytes as tokens, BOS by template."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"<0x{b:02X}>": 3 + b for b in range(256)}}
    merges = []
    for piece in ["▁", "H", "e", "l", "o", "w", "r", "d", "x", "▁H", "ll", "llo", "xx", "xxxx", "▁w", "re", "f", "▁f"]:
        vocab.setdefault(piece, len(vocab))
    for a, b in [("▁", "H"), ("l", "l"), ("ll", "o"), ("x", "x"), ("xx", "xx"), ("▁", "w"), ("r", "e"), ("▁", "f")]:
        merges.append((a, b))
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")])
    tokenizer.decoder = tokenizers.decoders.Sequence(
        [tokenizers.decoders.Replace("▁", " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse(),
         tokenizers.decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def llama3_style(corpus):
    """tiktoken manners: split by a long pattern, whole words first, BOS by template."""
    tokenizer = byte_level(corpus, vocab_size=700)
    data = json.loads(tokenizer.to_str())
    data["model"]["ignore_merges"] = True
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(data))
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        "<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    return tokenizer


def corpus_texts():
    here = os.path.dirname(os.__file__)
    names = ["ast.py", "argparse.py", "json/decoder.py", "json/encoder.py", "typing.py", "this.py"]
    return [open(os.path.join(here, name), encoding="utf-8").read() for name in names]


@pytest.mark.parametrize("make", [lambda c: byte_level(c, vocab_size=600), llama2_style, llama3_style],
                         ids=["gpt2", "llama2", "llama3"])
def test_ids_text_and_streams_are_the_python_packages(tmp_path, make, seed):
    tokenizer = make(corpus_texts())
    # transformers ignores these two unless a call asks for them, and so do we
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=50)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    draw = random.Random(seed)
    alphabet = "ab .\n\t'漢é🙂\u0301" + "Hello"
    texts = TEXTS + ["".join(draw.choice(alphabet) for _ in range(draw.randint(1, 80))) for _ in range(60)]
    at = {"path": str(path)}
    ids = [tokenizer.encode(text, add_special_tokens=special).ids for text in texts for special in (False, True)]
    got = ask(*({"do": "encode", "text": text, "special": special, **at} for text in texts for special in (False, True)))
    assert got == ids
    random_ids = [[draw.randrange(tokenizer.get_vocab_size() + 3) for _ in range(30)] for _ in range(60)]
    for skip in (False, True):
        want = [tokenizer.decode(row, skip_special_tokens=skip) for row in ids + random_ids]
        assert ask(*({"do": "decode", "ids": row, "skip": skip, **at} for row in ids + random_ids)) == want
        streams = ask(*({"do": "stream", "ids": row, "skip": skip, **at} for row in ids))
        assert ["".join(pieces) for pieces in streams] == want[: len(ids)]
        for row, pieces in zip(ids, streams):
            assert not any("\ufffd" in piece for piece in pieces[:-1]), (row, pieces)
    assert ask({"do": "vocab", **at}) == [tokenizer.get_vocab_size()]


def test_training_gives_hugging_faces_vocabulary(tmp_path):
    """Same merges in the same order as the Python package, and the folder is one that AutoTokenizer loads."""
    from transformers import AutoTokenizer
    texts = corpus_texts()
    for i, text in enumerate(texts):
        (tmp_path / "text").mkdir(exist_ok=True)
        (tmp_path / "text" / f"{i}.py").write_text(text, encoding="utf-8")
    rialto("data", "train-tokenizer", tmp_path / "text", "--output", tmp_path / "tok", "--vocab-size", 3000)
    ours = json.loads((tmp_path / "tok" / "tokenizer.json").read_text())
    theirs = json.loads(byte_level(texts, vocab_size=3000).to_str())
    assert len(ours["model"]["vocab"]) == 3000
    assert ours["model"] == theirs["model"]
    assert ours["pre_tokenizer"] == theirs["pre_tokenizer"] and ours["added_tokens"] == theirs["added_tokens"]

    loaded = AutoTokenizer.from_pretrained(tmp_path / "tok")
    assert loaded.is_fast and loaded.eos_token == "<|endoftext|>" and loaded.eos_token_id == 0 and len(loaded) == 3000
    sample = texts[0][:5000]
    assert ask({"do": "encode", "path": str(tmp_path / "tok"), "text": sample, "special": True}) == [loaded(sample)["input_ids"]]
    assert loaded.decode(loaded(sample)["input_ids"]) == sample


# ---- files ----

@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "text").mkdir()
    for i, text in enumerate(corpus_texts()):
        (folder / "text" / f"{i}.py").write_text(text, encoding="utf-8")
    rialto("data", "train-tokenizer", folder / "text", "--output", folder / "tok", "--vocab-size", 600)
    return folder


def test_token_files_hold_what_transformers_would_tokenize(prepared, tmp_path):
    from transformers import AutoTokenizer
    lines = [{"text": text} for text in TEXTS[1:]] + [{"id": 3, "text": "x\ny"}]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    report = rialto_json("data", "tokenize", prepared / "text", tmp_path / "in.jsonl", "--tokenizer", prepared / "tok",
                         "--output-prefix", tmp_path / "out")
    loaded = AutoTokenizer.from_pretrained(prepared / "tok")
    texts = [path.read_text(encoding="utf-8") for path in sorted((prepared / "text").iterdir())] + [line["text"] for line in lines]
    theirs = IndexedDataset(str(tmp_path / "out"))
    assert theirs.index.dtype == numpy.uint16 and len(theirs) == len(texts) == report["documents"]
    for tokens, text in zip(theirs[:], texts):
        assert tokens.tolist() == loaded(text, add_special_tokens=False)["input_ids"] + [loaded.eos_token_id]
    assert report["bytes"] == sum(len(text.encode()) for text in texts)
    counts = collections.Counter(token for tokens in theirs[:] for token in tokens.tolist())
    total = sum(counts.values())
    entropy = -sum(n / total * math.log(n / total) for n in counts.values())
    assert report["tokens"] == total and abs(report["unigram"]["nats_per_token"] - entropy) < 1e-12
    assert abs(report["unigram"]["bits_per_byte"] - entropy * total / report["bytes"] / math.log(2)) < 1e-12
    assert abs(ask({"do": "entropy", "prefix": str(tmp_path / "out")})[0] - entropy) < 1e-12


def test_megatrons_own_files_are_served(tmp_path):
    """A .bin/.idx of Megatron's builder, int32, is the same data to both."""
    builder = IndexedDatasetBuilder(str(tmp_path / "d.bin"), dtype=numpy.int32)
    for i in range(20):
        builder.add_document(list(range(100000 + 50 * i, 100000 + 50 * i + 37)), [37])
    builder.finalize(str(tmp_path / "d.idx"))
    theirs = build_one(tmp_path / "d", tmp_path / "cache", 16, 5, "1", 0, 100, dict.fromkeys(["eod_mask_loss", "reset_positions", "reset_mask"], False))
    [ours] = ask({"do": "indices", "prefix": str(tmp_path / "d"), "seq_length": 16, "num_samples": 100, "seed": 5,
                  "first": 0, "last": -1, "samples": list(range(100))})
    assert [sample["tokens"] for sample in ours["samples"]] == [theirs[i]["tokens"].tolist() for i in range(100)]


def test_the_split_holds_out_by_path(prepared, tmp_path):
    """The tokenizer's training files and the held-out files are told apart by zlib.crc32 of their paths."""
    names = sorted(path.name for path in (prepared / "text").iterdir())
    held_out = [name for name in names if zlib.crc32(name.encode()) % 3 == 0]
    assert 0 < len(held_out) < len(names)
    reports = {}
    for part in ("train", "held-out", "all"):
        split = ["--held-out-modulo", 3, "--part", part] if part != "all" else []
        reports[part] = rialto_json("data", "tokenize", prepared / "text", "--tokenizer", prepared / "tok",
                                    "--output-prefix", tmp_path / part, *split)
    assert reports["train"]["tokens"] + reports["held-out"]["tokens"] == reports["all"]["tokens"]
    assert reports["held-out"]["bytes"] == sum((prepared / "text" / name).stat().st_size for name in held_out)


def test_bad_input_is_one_clear_line(prepared, tmp_path):
    def fails(code, *arguments):
        return rialto("data", "tokenize", *arguments, "--tokenizer", prepared / "tok", "--output-prefix", tmp_path / "bad",
                      exit_code=code)
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text": "b"\n')
    refused(fails(3, tmp_path / "bad.jsonl"), "bad.jsonl:2")
    (tmp_path / "key.jsonl").write_text('{"body": "a"}\n')
    refused(fails(3, tmp_path / "key.jsonl"), "key.jsonl:1", '"text"', "--json-key")
    refused(fails(3, tmp_path / "absent"), "absent", "does not exist")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    refused(fails(3, tmp_path / "latin.txt"), "no text")
    refused(rialto("data", "tokenize", tmp_path / "latin.txt", "--tokenizer", tmp_path, "--output-prefix", tmp_path / "bad",
                   exit_code=3), "tokenizer.json")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("bad.bin", "bad.idx"))]
