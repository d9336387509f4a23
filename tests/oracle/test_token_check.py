"""`rialto data check` of token files: what it counts is what NumPy counts, and what is wrong is named by file and document."""
import math
import random

import numpy
import pytest
import tokenizers

import chats
import training_runs
from programs import refused, rialto, rialto_json

END = 1   # </s> of the tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return chats.write_folder(tmp_path_factory.mktemp("tok") / "tok", "{{ messages }}", chats.train_tokenizer())


def size_of(folder):
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()


def drawn(seed, count=300):
    """Documents of different tokens, the frequent ones more often, each with an end."""
    draw = random.Random(seed)
    return [[10 + min(int(draw.expovariate(0.05)), 250) for _ in range(draw.randint(2, 40))] + [END] for _ in range(count)]


def entropy(counts):
    p = numpy.array(list(counts), dtype=float)
    p /= p.sum()
    return float(-(p * numpy.log(p)).sum())


def check(prefix, tokenizer, exit_code):
    return rialto_json("data", "check", prefix, "--tokenizer", tokenizer, exit_code=exit_code)


def test_a_clean_file_is_counted(tmp_path, tokenizer, seed):
    documents = drawn(seed)
    prefix = training_runs.write_indexed(tmp_path / "clean", documents)
    for name in (prefix, f"{prefix}.idx", f"{prefix}.bin"):
        report = check(name, tokenizer, 0)
    tokens = [t for d in documents for t in d]
    assert (report["documents"], report["tokens"], report["distinct_tokens"]) == (len(documents), len(tokens), len(set(tokens)))
    lengths = sorted(map(len, documents))
    assert report["lengths"] == {"shortest": lengths[0], "mean": pytest.approx(sum(lengths) / len(lengths)), "median": lengths[len(lengths) // 2 - 1],
                                 "p95": lengths[math.ceil(0.95 * len(lengths)) - 1], "longest": lengths[-1]}
    counts = numpy.bincount(tokens)
    assert report["unigram_nats"] == pytest.approx(entropy(counts[counts > 0]), rel=1e-9)
    pairs, firsts = {}, {}
    for d in documents:
        for a, b in zip(d, d[1:]):
            pairs[a, b] = pairs.get((a, b), 0) + 1
            firsts[a] = firsts.get(a, 0) + 1
    assert report["bigram_nats"] == pytest.approx(entropy(pairs.values()) - entropy(firsts.values()), rel=1e-9)
    assert report["uniform_nats"] == pytest.approx(math.log(size_of(tokenizer)), rel=1e-12)
    assert report["findings"] == {} and report["bigram_nats"] < report["unigram_nats"] < report["uniform_nats"]


def test_what_is_wrong_is_named(tmp_path, tokenizer, seed):
    documents = drawn(seed)
    documents[7] = [END]
    documents[31] = documents[12]
    documents[57] = documents[57][:3] + [5000] + documents[57][3:] + [END]
    documents[58] = documents[58][:-1]
    prefix = training_runs.write_indexed(tmp_path / "bad", documents)
    report = check(prefix, tokenizer, 4)
    assert report["findings"] == {"empty": 1, "duplicates": 1, "out_of_vocabulary": 1, "no_end": 1}
    listed = "\n".join(report["listed"])
    assert f"[{prefix} document 7] holds an end of text alone" in listed
    assert f"[{prefix} document 31] is document 12 of {prefix} again" in listed
    assert f"[{prefix} document 57] has id 5000 at token 3, and 1 such in all" in listed
    assert f"[{prefix} document 58] does not end" in listed
    # a document of another file, and a file without ends
    other = training_runs.write_indexed(tmp_path / "other", [[20, 21, 22], documents[3], [23, 24]])
    report = rialto_json("data", "check", prefix, other, "--tokenizer", tokenizer, exit_code=4)
    assert f"[{other} document 1] is document 3 of {prefix} again" in "\n".join(report["listed"])
    endless = training_runs.write_indexed(tmp_path / "endless", [d[:-1] for d in drawn(seed + 1)])
    report = check(endless, tokenizer, 4)
    assert report["findings"] == {"no_end": 1} and "no document ends" in report["listed"][0]
    text = rialto("data", "check", prefix, "--tokenizer", tokenizer, "--list", 1, exit_code=4).stdout
    assert "found duplicates" in text and text.count("[") == 1


def test_losses_that_no_text_has_are_findings(tmp_path, tokenizer):
    draw = random.Random(3)
    noise = training_runs.write_indexed(tmp_path / "noise", [[draw.randrange(size_of(tokenizer)) for _ in range(99)] + [END] for _ in range(200)])
    report = check(noise, tokenizer, 4)
    assert report["findings"] == {"expected_loss": 1} and "spread evenly" in report["listed"][0]
    same = training_runs.write_indexed(tmp_path / "same", [[9] * (500 + i) + [END] for i in range(20)])
    report = check(same, tokenizer, 4)
    assert report["findings"] == {"expected_loss": 1} and "nearly all the same" in report["listed"][0]
    # without a tokenizer only what hangs on none
    assert rialto_json("data", "check", noise, exit_code=4)["findings"] == {"expected_loss": 1}


def test_files_that_cannot_be_looked_at_are_refused(tmp_path, tokenizer):
    prefix = training_runs.write_indexed(tmp_path / "a", [[1, 2]])
    (tmp_path / "rows.jsonl").write_text("{}\n")
    refused(rialto("data", "check", prefix, tmp_path / "rows.jsonl", "--tokenizer", tokenizer, exit_code=2), "mixed")
    refused(rialto("data", "check", tmp_path / "rows.jsonl", exit_code=2), "--tokenizer")
    (tmp_path / "a.bin").write_bytes(b"\0")
    refused(rialto("data", "check", prefix, exit_code=3), "a.bin")
