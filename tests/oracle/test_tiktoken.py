"""tiktoken's files of ranks: the ids of the Python package, on random Unicode and on real text."""
import base64
import json
import random

import pytest
import tiktoken
import tiktoken_ext.openai_public

from megatron_data import ask
from programs import refused, rialto, rialto_json
from random_texts import real_texts, texts

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def ranks(seed, count):
    """256 bytes, and tokens that are two others joined: every token can be reached."""
    draw = random.Random(f"ranks {seed} {count}")
    order = [bytes([b]) for b in range(256)]
    draw.shuffle(order)
    words = [word.encode() for text in real_texts() for word in text.split(" ")]
    known = dict.fromkeys(order)
    while len(known) < min(count, 1500):
        word = draw.choice(words)
        if len(word) > 1:
            cut = draw.randrange(len(word) - 1)
            for length in (2, 3, 4, len(word)):
                known.setdefault(word[cut:cut + length])
    while len(known) < count:   # the rest only has to be there
        known.setdefault(bytes(draw.randrange(256) for _ in range(6)))
    return {token: rank for rank, token in enumerate(list(known)[:count])}


def write_ranks(path, table):
    path.write_bytes(b"".join(base64.b64encode(token) + b" " + str(rank).encode() + b"\n" for token, rank in table.items()))


def test_tiktoken_with_a_pattern_beside_it(tmp_path, seed, full):
    table = ranks(seed, 1500)
    write_ranks(tmp_path / "toy.tiktoken", table)
    refused(rialto("data", "tokenize", tmp_path / "toy.tiktoken", "--tokenizer", tmp_path, "--no-eod", "--output-prefix", tmp_path / "out", exit_code=3), "1500 ranks", ".pattern")
    (tmp_path / "toy.tiktoken.pattern").write_text(LLAMA3 + "\n")
    config = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "add_bos_token": True, "added_tokens_decoder": {"1500": {"content": "<|begin|>", "special": True}, "1507": {"content": "<|end|>", "special": True}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    theirs = tiktoken.Encoding("toy", pat_str=LLAMA3, mergeable_ranks=table, special_tokens={"<|begin|>": 1500, "<|end|>": 1507})
    cases = texts(seed, full, 1) + real_texts()
    at = {"path": str(tmp_path)}
    want = [theirs.encode_ordinary(text) for text in cases]
    assert ask(*({"do": "encode", "text": text, "special": False, **at} for text in cases)) == want
    assert ask({"do": "encode", "text": "a b", "special": True, **at}) == [[1500, *theirs.encode_ordinary("a b")]]
    assert ask(*({"do": "decode", "ids": ids, "skip": False, **at} for ids in want[:1000])) == [theirs.decode(ids) for ids in want[:1000]]
    assert ask({"do": "decode", "ids": [1500, table[b"a"], 1503, 1507], "skip": False, **at}, {"do": "decode", "ids": [1500, table[b"a"], 1507], "skip": True, **at}, {"do": "vocab", **at}) == ["<|begin|>a<|end|>", "a", 1508]
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "Hello"}) + "\n")
    report = rialto_json("data", "tokenize", tmp_path / "in.jsonl", "--tokenizer", tmp_path, "--output-prefix", tmp_path / "out")
    assert report["eod"] == 1507 and report["tokens"] == len(theirs.encode_ordinary("Hello")) + 1


@pytest.mark.parametrize("name, count", [("cl100k_base", 100_256), ("o200k_base", 199_998), ("r50k_base", 50_256), ("llama3", 128_000)])
def test_patterns_of_published_files_are_known_by_their_ranks(tmp_path, seed, full, monkeypatch, name, count):
    if name == "llama3":
        pattern = LLAMA3
    else:
        monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", lambda *a, **k: {})
        monkeypatch.setattr(tiktoken_ext.openai_public, "data_gym_to_mergeable_bpe_ranks", lambda *a, **k: {})
        pattern = getattr(tiktoken_ext.openai_public, name)()["pat_str"]
    table = ranks(seed, count)
    write_ranks(tmp_path / "tokenizer.model", table)
    theirs = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=table, special_tokens={})
    cases = texts(seed, full, 4)
    assert ask(*({"do": "encode", "text": text, "special": False, "path": str(tmp_path)} for text in cases)) == [theirs.encode_ordinary(text) for text in cases]


def test_damaged_files_are_named(tmp_path):
    table = ranks(0, 300)
    for name, content, word in [("noise.model", b"\x0b\xff\xff\xff\xff noise", "no file of tiktoken ranks"), ("a.tiktoken", b"IQ== 0\nIg== one\n", "line 2"),
                                ("b.tiktoken", b"IQ== 0\nIQ== 1\n", "second time"), ("c.tiktoken", b"IQ== 0\nIg== 1\n", "not every byte")]:
        (tmp_path / name).write_bytes(content)
        refused(rialto("data", "tokenize", tmp_path / name, "--tokenizer", tmp_path / name, "--output-prefix", tmp_path / "out", exit_code=3), name, word)
    write_ranks(tmp_path / "d.tiktoken", table)
    (tmp_path / "d.tiktoken.pattern").write_text("(unclosed")
    refused(rialto("data", "tokenize", tmp_path / "d.tiktoken", "--tokenizer", tmp_path / "d.tiktoken", "--output-prefix", tmp_path / "out", exit_code=3), "d.tiktoken")
    refused(rialto("data", "tokenize", tmp_path / "d.tiktoken", "--tokenizer", tmp_path, "--output-prefix", tmp_path / "out", exit_code=3), "several")
