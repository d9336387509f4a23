"""Fine-tuning rows out of packed files, parquet and folders as the hub has them are the rows of plain JSON lines."""
import gzip
import json
import random

import pyarrow
import pyarrow.parquet
import pytest

import chats
import training_runs
from programs import refused, rialto, rialto_json
from test_sft_rows import PLAIN


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return chats.write_folder(tmp_path_factory.mktemp("tok") / "tok", PLAIN, chats.train_tokenizer())


@pytest.fixture(scope="module")
def rows():
    draw = random.Random(5)
    return [{"messages": [{"role": role, "content": "".join(draw.choices(["one ", "zwei", "三\n", "hello"], k=draw.randint(1, 9))) + f" {i}"} for role in ("user", "assistant")],
             "weight": draw.choice([1.0, 0.5]), "note": None if i % 3 else f"n{i}"} for i in range(150)]


def write(path, rows):
    """By the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=40)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".zst":
        with pyarrow.CompressedOutputStream(str(path), "zstd") as out:
            out.write(text)
    else:
        path.write_bytes(text)
    return path


def seen(path, tokenizer, count):
    shown = rialto_json("data", "view", path, "--tokenizer", tokenizer, "--count", count)
    return [{key: value for key, value in row.items() if key != "row"} for row in shown], [row["row"] for row in shown]


def test_every_form_of_file_gives_the_same_rows(tmp_path, tokenizer, rows):
    want, places = seen(write(tmp_path / "rows.jsonl", rows), tokenizer, 200)
    assert len(want) == 150
    for name in ("rows.jsonl.gz", "rows.jsonl.zst", "rows.parquet"):
        got, where = seen(write(tmp_path / name, rows), tokenizer, 200)
        assert got == want, name
        assert [w.rsplit(":", 1)[1] for w in where] == [p.rsplit(":", 1)[1] for p in places]
    for name in ("rows.jsonl.gz", "rows.parquet"):
        rialto("data", "pack", tmp_path / name, "--tokenizer", tokenizer, "--size", 200, "--output", tmp_path / f"{name}.packed.parquet", exit_code=3)   # weights of 0.5
    plain = [{**row, "weight": None} for row in rows]
    for name in ("plain.jsonl", "plain.parquet", "plain.jsonl.zst"):
        rialto("data", "pack", write(tmp_path / name, plain), "--tokenizer", tokenizer, "--size", 200, "--output", tmp_path / f"packed-{name}.parquet")
    assert len({(tmp_path / f"packed-{name}.parquet").read_bytes() for name in ("plain.jsonl", "plain.parquet", "plain.jsonl.zst")}) == 1


def test_nested_columns_are_what_python_reads(tmp_path, tokenizer):
    """Structures with missing keys, lists of lists, dictionaries, large texts; columns of other kinds are not looked at."""
    rows = [{"messages": [{"role": "user", "content": "a", "tool_calls": None}, {"role": "assistant", "content": "b" * 3000, "tool_calls": None}], "image": b"\xff\xfe", "when": 1.5},
            {"messages": [{"role": "system", "content": "s", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, {"role": "user", "content": "c"},
                          {"role": "assistant", "content": "d"}], "image": None, "when": float("nan")}]
    path = tmp_path / "n.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, compression="zstd", data_page_version="2.0")
    asked = pyarrow.parquet.read_table(path, columns=["messages"]).to_pylist()
    want = chats.ask(*({"do": "row", "path": str(tokenizer), "row": row} for row in asked))
    got, _ = seen(path, tokenizer, 5)
    assert [[i for piece in row["pieces"] for i in piece["ids"]] for row in got] == [answer["ids"] for answer in want]


def test_prompts_pairs_and_bad_rows_of_parquet(tmp_path, tokenizer):
    write(tmp_path / "p.parquet", [{"prompt": "a", "completion": " b"}, {"prompt": "c", "completion": None}, {"prompt": "d", "completion": " e"}])
    refused(rialto("data", "view", tmp_path / "p.parquet", "--tokenizer", tokenizer, exit_code=3), "p.parquet:2")
    report = rialto_json("data", "check", tmp_path / "p.parquet", "--tokenizer", tokenizer, "--quarantine", tmp_path / "bad.jsonl", exit_code=4)
    assert report["rows"] == 3 and report["findings"] == {"bad": 1}
    assert [(json.loads(line)["row"], json.loads(line)["text"]) for line in (tmp_path / "bad.jsonl").read_text().splitlines()] == [(2, '{"prompt":"c"}')]
    write(tmp_path / "pairs.parquet", [{"prompt": "a", "chosen": " b", "rejected": " c"}])
    assert rialto_json("data", "check", tmp_path / "pairs.parquet", "--tokenizer", tokenizer)["pairs"] == 1
    write(tmp_path / "none.parquet", [{"words": "a"}])
    refused(rialto("data", "view", tmp_path / "none.parquet", "--tokenizer", tokenizer, exit_code=3), "none.parquet", "messages", "it has words")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "p.parquet").read_bytes()[:-9])
    refused(rialto("data", "view", tmp_path / "cut.parquet", "--tokenizer", tokenizer, exit_code=3), "cut.parquet")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "a", "completion": " b"}\n' * 5000)[:-20])
    refused(rialto("data", "check", tmp_path / "cut.jsonl.gz", "--tokenizer", tokenizer, exit_code=3), "cut.jsonl.gz")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    folder = chats.write_folder(tmp_path_factory.mktemp("sources") / "llama", PLAIN, chats.train_tokenizer())
    torch.manual_seed(1)
    LlamaForCausalLM(LlamaConfig(vocab_size=402, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                                 max_position_embeddings=128, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


def losses(folder, model, **more):
    values = {"mixed_precision": "fp32", "checkpoint.pretrained_checkpoint": model, "dataset.seq_length": 100, "train.train_iters": 3, "train.global_batch_size": 8,
              "train.micro_batch_size": 4, "validation.eval_interval": 3, "validation.eval_iters": 1, "checkpoint.save": folder / "run", **more}
    training_runs.train(folder, values)
    return [(r["kind"], r["lm loss"]) for r in training_runs.records(folder / "run" / "metrics.jsonl") if "lm loss" in r]


def test_folders_of_the_hub_train_as_plain_rows(tmp_path, model, rows):
    write(tmp_path / "plain" / "training.jsonl", rows[:120])
    write(tmp_path / "plain" / "validation.jsonl", rows[120:])
    want = losses(tmp_path / "a", model, **{"dataset.dataset_root": tmp_path / "plain"})
    hub = tmp_path / "hub"
    write(hub / "data" / "train-00000-of-00002.parquet", rows[:70])
    write(hub / "data" / "train-00001-of-00002.parquet", rows[70:120])
    write(hub / "data" / "validation-00000-of-00001.parquet", rows[120:])
    assert losses(tmp_path / "b", model, **{"dataset.dataset_root": hub}) == want
    card = tmp_path / "card"
    write(card / "x" / "part.jsonl.gz", rows[:120])
    write(card / "y.jsonl.zst", rows[120:])
    (card / "README.md").write_text("---\nconfigs:\n- config_name: main\n  data_files:\n  - {split: train, path: 'x/*'}\n  - {split: validation, path: y.jsonl.zst}\n"
                                    "- config_name: other\n  data_files: y.jsonl.zst\n---\n# words\n")
    assert losses(tmp_path / "c", model, **{"dataset.dataset_root": card, "dataset.dataset_subset": "main"}) == want
    short = {"train.train_iters": 1, "dataset.seq_length": 100, "train.global_batch_size": 4, "train.micro_batch_size": 4, "mixed_precision": "fp32", "checkpoint.pretrained_checkpoint": model}
    refused(training_runs.train(tmp_path / "d", {**short, "dataset.dataset_root": card, "dataset.dataset_subset": "third"}, exit_code=2), "main, other")
    refused(training_runs.train(tmp_path / "e", {**short, "dataset.dataset_root": card}, exit_code=2), "dataset_subset")
