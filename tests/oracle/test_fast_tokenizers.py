"""Byte-level BPE is encoded by our own code where a tokenizer.json is of a known form: the ids of the tokenizers package, on random
Unicode and real text, for every form; and any other form is left to the package."""
import json

import pytest
import tokenizers
from tokenizers import AddedToken, Regex
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from megatron_data import ask
from random_texts import real_texts, texts

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
DEEPSEEK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""


def splits(*patterns):
    return Sequence([Split(Regex(pattern), "isolated") for pattern in patterns] + [ByteLevel(add_prefix_space=False, use_regex=False)])


FORMS = {
    "gpt2": lambda: (ByteLevel(add_prefix_space=False), None),
    "llama3": lambda: (splits(LLAMA3), None),
    "qwen2": lambda: (splits(QWEN2), NFC()),
    "deepseek": lambda: (splits(r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK), tokenizers.normalizers.Sequence([])),
}


def trained(form, path, vocab_size=1200, change=None):
    """A toy of this form; `change` edits the file."""
    pre, normalizer = FORMS[form]()
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = pre
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["<|endoftext|>"], vocab_size=vocab_size, show_progress=False, initial_alphabet=ByteLevel.alphabet())
    made.train_from_iterator(real_texts() + ["naïve 漢字かな 1234 don't\r\n🙂"] * 9, trainer)
    if normalizer is not None:
        made.normalizer = normalizer
    made.add_tokens([AddedToken("é_added", normalized=True), AddedToken("<tool>", normalized=False, lstrip=True)])
    data = json.loads(made.to_str())
    data["model"]["ignore_merges"] = form == "llama3"
    if form == "llama3":   # tokens that no merges lead to
        words = [" " + word for word in ("argument", "definitely", "parser")]
        for word in words:
            data["model"]["vocab"].setdefault(word.replace(" ", "Ġ"), max(data["model"]["vocab"].values()) + 10)
    if change:
        change(data)
    path.write_text(json.dumps(data))
    return tokenizers.Tokenizer.from_str(json.dumps(data))


@pytest.mark.parametrize("form", FORMS)
def test_ids_are_the_packages(tmp_path, seed, full, form):
    theirs = trained(form, tmp_path / "tokenizer.json")
    at = {"path": str(tmp_path)}
    assert ask({"do": "fast", **at}) == [True]
    edges = ["", "'", "''S 'ſ'Ll'VE'rE'x", "a" * 5000, " " * 3000, "ab" * 90, "1234567 ١٢٣٤٥", "x<|endoftext|>y", "  <tool>", "e\u0301_added é_added", "\u0344 \u212b \u1100\u1161", "゛゜゠・ヿ漢1字",
             "\x00\x01a\x0212\x03", " \n \r\n\t x \u0085\u00a0\u2028 \n", "a\u0301\u0302 \u0301"]
    cases = texts(seed, full, 1 if full else 2) + edges + real_texts()
    want = [encoding.ids for encoding in theirs.encode_batch_fast(cases, add_special_tokens=False)]
    assert ask(*({"do": "encode", "text": text, "special": False, **at} for text in cases)) == want
    assert ask({"do": "encode", "text": "a b", "special": True, **at}) == [theirs.encode("a b").ids]


def pre(data):
    return data["pre_tokenizer"]["pretokenizers"]


CHANGES = {
    "prefix space": ("gpt2", lambda d: d["pre_tokenizer"].update(add_prefix_space=True)),
    "another pattern": ("llama3", lambda d: pre(d)[0]["pattern"].update(Regex=LLAMA3.replace("1,3", "1,2"))),
    "inverted": ("qwen2", lambda d: pre(d)[0].update(invert=True)),
    "removed": ("qwen2", lambda d: pre(d)[0].update(behavior="Removed")),
    "another normalizer": ("gpt2", lambda d: d.update(normalizer={"type": "NFKC"})),
    "one more split": ("llama3", lambda d: pre(d).insert(0, {"type": "Digits", "individual_digits": True})),
    "a byte without a token": ("gpt2", lambda d: (d["model"]["vocab"].pop("ÿ"), d["model"].update(merges=[m for m in d["model"]["merges"] if "ÿ" not in "".join(m)]))),
    "dropout": ("gpt2", lambda d: d["model"].update(dropout=0.0)),
    "suffix": ("gpt2", lambda d: d["model"].update(end_of_word_suffix="</w>")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_forms_are_left_to_the_package(tmp_path, name):
    form, change = CHANGES[name]
    theirs = trained(form, tmp_path / "tokenizer.json", vocab_size=600, change=change)
    at = {"path": str(tmp_path)}
    assert ask({"do": "fast", **at}) == [False]
    cases = ["Hello  world 1234", "ﬁ don't\n\n x"]
    assert ask(*({"do": "encode", "text": text, "special": False, **at} for text in cases)) == [theirs.encode(text, add_special_tokens=False).ids for text in cases]
