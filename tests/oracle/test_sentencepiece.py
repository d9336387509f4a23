"""SentencePiece models: the ids and texts of the Python package, on models of every kind, random Unicode and real text; Megatron's
end of a document; what a folder around a model may say."""
import io
import json

import pytest
import sentencepiece
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.tokenizers.text.libraries.sentencepiece_tokenizer import SentencePieceTokenizer

from megatron_data import ask
from programs import refused, rialto, rialto_json
from random_texts import real_texts, texts

PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
KINDS = {
    "llama": {"model_type": "bpe", "byte_fallback": True, "split_digits": True, "allow_whitespace_only_pieces": True, **PLAIN},
    "bpe": {"model_type": "bpe"},
    "unigram": {"model_type": "unigram"},
    "t5": {"model_type": "unigram", "byte_fallback": True, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "nmt": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc_cf", "add_dummy_prefix": False},
    "gemma": {"model_type": "bpe", "byte_fallback": True, "add_dummy_prefix": False, "user_defined_symbols": ["<mask>", "    ", "self.", "🙂"], **PLAIN},
    "suffix": {"model_type": "unigram", "treat_whitespace_as_suffix": True, "user_defined_symbols": ["return", "</tool>"], "control_symbols": ["<ctrl>"]},
    "char": {"model_type": "char", "normalization_rule_name": "nfkc"},
    "word": {"model_type": "word", "vocab_size": 400},
}


def train(kind):
    out = io.BytesIO()
    lines = [line for text in real_texts() for line in text.splitlines() if line][:6000] + ["naïve 漢字かな ﬁ ① don't 🙂"] * 20
    sentencepiece.SentencePieceTrainer.train(**{"sentence_iterator": iter(lines), "model_writer": out, "vocab_size": 900, "hard_vocab_limit": False,
                                                "minloglevel": 2, "num_threads": 1, **KINDS[kind]})
    return out.getvalue()


@pytest.fixture(scope="module")
def models():
    made = {}
    return lambda kind: made.setdefault(kind, train(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_texts_are_the_python_packages(models, tmp_path, seed, full, kind):
    path = tmp_path / "toy.model"
    path.write_bytes(models(kind))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    cases = texts(seed, full, 1 if full else 4) + ["  two  spaces ", "▁▁a ▁", "<mask>self.</tool> return<ctrl>", "a\u3000b\u00a0c\u200bd\r\n\te"] + [text[:200_000] for text in real_texts()]
    at = {"path": str(path)}
    want = theirs.encode(cases)
    assert ask(*({"do": "encode", "text": text, "special": False, **at} for text in cases)) == want
    assert ask({"do": "vocab", **at}) == [theirs.get_piece_size()]
    ids = [i for i in want if i][:1500] + [[i] for i in range(theirs.get_piece_size())]
    assert ask(*({"do": "decode", "ids": i, "skip": False, **at} for i in ids)) == [theirs.decode(i) for i in ids]
    assert ask({"do": "encode", "text": "a b", "special": True, **at}) == [theirs.encode("a b")]   # as Megatron: nothing around a text


def test_documents_end_as_megatrons_do(models, tmp_path):
    (tmp_path / "toy.model").write_bytes(models("llama"))
    theirs = SentencePieceTokenizer(str(tmp_path / "toy.model"))
    rows = ["Hello, world", "  def f():\n    return '</s>'", "漢字"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    report = rialto_json("data", "tokenize", tmp_path / "in.jsonl", "--tokenizer", tmp_path / "toy.model", "--output-prefix", tmp_path / "out")
    assert report["eod"] == theirs.eos_id and report["vocab_size"] == theirs.vocab_size
    dataset = IndexedDataset(str(tmp_path / "out"))
    assert [tokens.tolist() for tokens in dataset[:]] == [theirs.text_to_ids(row) + [theirs.eos_id] for row in rows]
    endless = tmp_path / "endless"
    endless.mkdir()
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["abc abd"] * 9), model_writer=out, vocab_size=9, model_type="char", eos_id=-1, bos_id=-1, minloglevel=2)
    (endless / "tokenizer.model").write_bytes(out.getvalue())
    refused(rialto("data", "tokenize", tmp_path / "in.jsonl", "--tokenizer", endless, "--output-prefix", tmp_path / "out2", exit_code=2), "no end-of-text token")


def test_a_folder_says_what_stands_around_a_text(models, tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(models("llama"))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "add_eos_token": False,
              "added_tokens_decoder": {str(i): {"content": t, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])}}

    def around(index, **change):
        folder = tmp_path / str(index)   # the tool keeps what it has loaded
        folder.mkdir()
        (folder / "tokenizer.model").write_bytes(models("llama"))
        (folder / "tokenizer_config.json").write_text(json.dumps(config | change))
        return ask({"do": "encode", "text": "a b", "special": True, "path": str(folder)})[0]

    ids = theirs.encode("a b")
    assert around(0) == [theirs.bos_id()] + ids
    assert around(1, add_eos_token=True) == [theirs.bos_id()] + ids + [theirs.eos_id()]
    assert around(2, add_bos_token=False) == ids
    for index, (change, word) in enumerate([({"tokenizer_class": "XLMRobertaTokenizer"}, "tokenizer_class"), ({"add_prefix_space": False}, "add_prefix_space"), ({"sp_model_kwargs": {"enable_sampling": True}}, "sp_model_kwargs"),
                                            ({"added_tokens_decoder": {"2": {"content": "<end>"}}}, "<end>"), ({"added_tokens_decoder": {str(theirs.get_piece_size()): {"content": "<pad>"}}}, "<pad>"),
                                            ({"bos_token": "<begin>"}, "<begin>")], 3):
        error = around(index, **change)["error"]
        assert word in error and "tokenizer_config.json" in error, error


def test_damaged_models_are_refused(models, tmp_path, seed):
    whole = models("unigram")
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n')
    for name, content in [("cut.model", whole[:len(whole) // 2 + 1]), ("noise.model", b"\n" + bytes(range(256)) * 9), ("one.model", b"\n\x01")]:
        (tmp_path / name).write_bytes(content)
        done = rialto("data", "tokenize", tmp_path / "in.jsonl", "--tokenizer", tmp_path / name, "--output-prefix", tmp_path / "out", exit_code=3)
        refused(done, name, "is not a SentencePiece model")
        assert done.stderr.count("\n") == 1


def test_training_from_a_model_file(models, tmp_path):
    """The vocabulary and the end of text of a new model are the file's; the checkpoint carries it; another type is refused."""
    path = tmp_path / "toy.model"
    path.write_bytes(models("llama"))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text[:3000]}) + "\n" for text in real_texts() for _ in range(4)))
    rialto("data", "tokenize", tmp_path / "in.jsonl", "--tokenizer", path, "--output-prefix", tmp_path / "train")
    keys = ["train", "tiny_llama", "~model.vocab_size", f"dataset.data_path=[{tmp_path / 'train'}]", f"tokenizer.tokenizer_model={path}", "model.seq_length=32", "train.train_iters=2", "train.global_batch_size=2",
            "train.micro_batch_size=1", "scheduler.lr_warmup_iters=0", "validation.eval_interval=null", "model.num_layers=1", "model.hidden_size=32", "model.ffn_hidden_size=64",
            f"checkpoint.save={tmp_path / 'run'}"]
    refused(rialto(*keys, "tokenizer.tokenizer_type=HuggingFaceTokenizer", exit_code=2), "tokenizer.tokenizer_type", "SentencePieceTokenizer")
    rialto(*keys, "tokenizer.tokenizer_type=SentencePieceTokenizer")
    rialto("convert", tmp_path / "run", tmp_path / "hf")
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["vocab_size"] == theirs.get_piece_size() and config["eos_token_id"] == theirs.eos_id()
    assert (tmp_path / "hf/tokenizer.model").read_bytes() == path.read_bytes()
