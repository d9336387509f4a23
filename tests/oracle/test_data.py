"""Data preparation against its references, live: Megatron's IndexedDataset, the Python tokenizers package (encoding,
training), transformers' AutoTokenizer."""
import collections
import json
import math
import os
import random
import zlib

import numpy
import pytest
import tokenizers
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

from megatron_data import ask, build_one
from programs import refused, rialto, rialto_json

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
