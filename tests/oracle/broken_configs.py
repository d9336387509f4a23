"""The table of broken configurations: each row is one mistake, with what the refusal must name.

A row is (what, YAML laid over a sound file, or overrides, words that the message holds). Rows about single keys are made from the
program's own list of keys, so a new key gets its rows by itself; combinations are written out by hand.
"""
import json
import re
import shutil
import subprocess

SOUND = """model:
  family: llama
  num_layers: 4
  hidden_size: 64
  ffn_hidden_size: 96
  num_attention_heads: 8
  num_query_groups: 4
  vocab_size: 128
  seq_length: 32
mixed_precision: fp32
train:
  micro_batch_size: 2
  global_batch_size: 8
  train_iters: 20
dataset:
  data_path: [{data}]
checkpoint:
  save: {save}
"""
OF_ANOTHER_TYPE = {"integer": "many", "number": "[1, 2]", "true or false": "3", "text": "{a: 1}", "list of text": "{a: 1}",
                   "integer or list of them": "many", "number or list of them": "many"}


def keys_of(rialto):
    """[{key, acts, type, rules, ...}] of every section."""
    def explain(*words):
        return json.loads(subprocess.run([rialto, "config", "explain", *words, "--json"], check=True, capture_output=True, text=True).stdout)

    return [row for section in explain()["sections"] for row in explain(section["section"])["keys"] if not row["key"].endswith("_target_")]


def section_yaml(name, value):
    section, _, key = name.rpartition(".")
    section, _, inner = section.partition(".")
    if inner:   # on one line, which is the key's
        return f"{section}:\n  {inner}: {{{key}: {value}}}\n"
    return f"{section}:\n  {key}: {value}\n" if section else f"{key}: {value}\n"


def misspelt(key):
    """Two neighbouring letters change places."""
    for at in range(1, len(key) - 2):
        if key[at] != key[at + 1] and "_" not in key[at:at + 2]:
            return key[:at] + key[at + 1] + key[at] + key[at + 2:]
    return None


def unknown_keys(keys):
    names = {row["key"] for row in keys}
    for row in keys:
        section, _, key = row["key"].rpartition(".")
        wrong = misspelt(key)
        if not row["acts"] or not section or len(key) < 7 or wrong is None or f"{section}.{wrong}" in names:
            continue
        yield f"misspelt {row['key']}", section_yaml(f"{section}.{wrong}", 1), ["unknown key", f"{wrong}'", f"{key}'?", ":3]"]


def wrong_types(keys):
    for row in keys:
        value = OF_ANOTHER_TYPE.get(row.get("type"))
        if row["acts"] and value and "second_name_of" not in row:
            yield f"type of {row['key']}", section_yaml(row["key"], value), [row["key"], "wrong type", ":3]"]


def out_of_range(keys):
    """Below and above what a rule of one key says."""
    for row in keys:
        for rule in row.get("rules", []):
            bounds = re.fullmatch(r"at least (-?\d+)|(-?[\d.e+]+) to (-?[\d.e+]+)", rule["must_be"])
            if not bounds or "second_name_of" in row:
                continue
            low = bounds[1] or bounds[2]
            whole = row["type"] == "integer"
            below = int(low) - 1 if whole else float(low) - 1
            yield f"below {rule['rule']}", section_yaml(row["key"], below), [row["key"], rule["rule"], ":3]"]
            if bounds[3] and float(bounds[3]) < 1e15:
                above = int(bounds[3]) + 1 if whole else float(bounds[3]) * 2 + 1
                yield f"above {rule['rule']}", section_yaml(row["key"], above), [row["key"], rule["rule"], ":3]"]
            if not whole:
                yield f"nan for {rule['rule']}", section_yaml(row["key"], ".nan"), [row["key"], ":3]"]


def keys_that_do_not_act(keys):
    for row in keys:
        if "why_not" in row and row["accepted"] != "anything":
            yield f"asked for {row['key']}", section_yaml(row["key"], "rialto_has_no_such_value"), [row["key"], "does not act here", row["why_not"], ":"]


WRONG_SECTION = ("optimizer.micro_batch_size train.micro_batch_size", "train.lr optimizer.lr", "scheduler.min_lr optimizer.min_lr", "train.clip_grad optimizer.clip_grad",
                 "train.weight_decay optimizer.weight_decay", "optimizer.lr_warmup_iters scheduler.lr_warmup_iters", "train.lr_decay_style scheduler.lr_decay_style",
                 "model.data_path dataset.data_path", "train.save_interval checkpoint.save_interval", "train.log_interval logger.log_interval",
                 "model.tokenizer_model tokenizer.tokenizer_model", "checkpoint.train_iters train.train_iters", "dataset.num_layers model.num_layers",
                 "optimizer.hidden_size model.hidden_size", "train.seed rng.seed", "logger.save checkpoint.save", "train.load checkpoint.load",
                 "ddp.adam_beta1 optimizer.adam_beta1", "rng.split dataset.split", "checkpoint.global_batch_size train.global_batch_size")


def in_the_wrong_section():
    for pair in WRONG_SECTION:
        wrong, right = pair.split()
        yield f"{wrong} stands in the wrong section", section_yaml(wrong, 1), ["unknown key", f"'{right}'?", ":3]"]


def model(**keys):
    return "model:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())


def combinations(folder):
    """Arithmetic that cannot work, pairs that exclude each other, models that are none, files that are not there."""
    text = lambda name: section_yaml(name, folder / "nowhere")  # noqa: E731
    return [
        ("batch not whole", "train: {micro_batch_size: 3}\n", ["train.global_batch_size", "R003", "use 6 or 9"]),
        ("batch smaller than a micro-batch", "train: {micro_batch_size: 16}\n", ["train.global_batch_size", "R003"]),
        ("min above lr", "optimizer: {lr: 1.0e-4, min_lr: 1.0e-3}\n", ["optimizer.min_lr"]),
        ("warm-up as long as the run", "scheduler: {lr_warmup_iters: 20}\n", ["scheduler.lr_warmup_iters"]),
        ("WSD without its decay", "scheduler: {lr_decay_style: WSD}\n", ["scheduler.lr_wsd_decay_iters"]),
        ("WSD decay longer than the run", "scheduler: {lr_decay_style: WSD, lr_wsd_decay_iters: 21}\n", ["scheduler.lr_wsd_decay_iters"]),
        ("style", "scheduler: {lr_decay_style: cosin}\n", ["scheduler.lr_decay_style", "'cosine'?"]),
        ("WSD style", "scheduler: {lr_decay_style: WSD, lr_wsd_decay_iters: 2, lr_wsd_decay_style: linaer}\n", ["scheduler.lr_wsd_decay_style", "'linear'?"]),
        ("optimizer", "optimizer: {optimizer: adm}\n", ["optimizer.optimizer", "'adam'?"]),
        ("preset", "mixed_precision: bf16mixed\n", ["mixed_precision"]),
        ("bf16 flag against preset", "model: {bf16: true}\n", ["model.bf16"]),
        ("interval without a folder", "checkpoint: {save: null, save_interval: 5}\n", ["checkpoint.save_interval", "R072"]),
        ("exit without a folder", "checkpoint: {save: null}\ntrain: {exit_interval: 5}\n", ["train.exit_interval", "R006"]),
        ("step without a folder", "checkpoint: {ckpt_step: 5}\n", ["checkpoint.ckpt_step", "R074"]),
        ("no data", "dataset: null\n", ["dataset.data_path"]),
        ("no length of the run", "train: null\n", ["train"]),
        ("missing data", text("dataset.data_path"), ["dataset.data_path", "nowhere.idx", ":3]"]),
        ("missing held-out data", text("dataset.valid_data_path"), ["dataset.valid_data_path", "nowhere.bin", ":3]"]),
        ("missing tokenizer", text("tokenizer.tokenizer_model"), ["tokenizer.tokenizer_model", "no such file", ":3]"]),
        ("missing model", text("checkpoint.pretrained_checkpoint"), ["checkpoint.pretrained_checkpoint", "no such file", ":3]"]),
        ("tensor size", model(tensor_model_parallel_size=3), ["model.tensor_model_parallel_size", "R460"]),
        ("tensor limit", "model: {tensor_model_parallel_size: 2}\nlogger: {sample_tokens: 3}\n", ["model.tensor_model_parallel_size", "R051"]),
        ("pipeline limit", "model: {pipeline_model_parallel_size: 2}\nlogger: {sample_tokens: 3}\n", ["model.pipeline_model_parallel_size", "R052"]),
        ("pipeline split", model(pipeline_model_parallel_size=3), ["model.pipeline_model_parallel_size", "R477"]),
        ("context way", model(context_parallel_size=2, cp_comm_type="ring"), ["model.cp_comm_type", "R495"]),
        ("context ways of layers", model(context_parallel_size=2, cp_comm_type="[" + "p2p, " * 40 + "a2a]"), ["model.cp_comm_type", "R497"]),
        ("context levels", model(context_parallel_size=2, cp_comm_type="a2a+p2p"), ["model.hierarchical_context_parallel_sizes", "R496"]),
        ("heads over context", model(context_parallel_size=8, cp_comm_type="a2a"), ["model.cp_comm_type", "R492"]),
        ("context cut", model(context_parallel_size=5), ["model.context_parallel_size", "R462"]),
        ("experts of a dense model", model(expert_model_parallel_size=2), ["model.expert_model_parallel_size", "R473"]),
        ("split experts of a dense model", model(expert_tensor_parallel_size=2), ["model.expert_tensor_parallel_size", "R474"]),
        ("heads over ranks", model(tensor_model_parallel_size=16), ["model.tensor_model_parallel_size", "R470"]),
        ("groups over ranks", model(tensor_model_parallel_size=6), ["model.tensor_model_parallel_size", "R471"]),
        ("widths over ranks", model(tensor_model_parallel_size=64), ["model.tensor_model_parallel_size", "R472"]),
        ("sequence parallel alone", model(sequence_parallel="true"), ["model.sequence_parallel", "R463"]),
        ("chunks without a pipeline", model(virtual_pipeline_model_parallel_size=2), ["model.virtual_pipeline_model_parallel_size", "R465"]),
        ("two splits", model(pipeline_model_parallel_layout="Et*4L", account_for_loss_in_pipeline_split="true"), ["R467"]),
        ("layout letters", model(pipeline_model_parallel_layout="Exxxx|L"), ["R468", "unknown letter"]),
        ("layout without a loss", model(pipeline_model_parallel_layout="Et*4"), ["R468", "the last stage has the loss"]),
        ("layout without an embedding", model(pipeline_model_parallel_layout="t*4L"), ["R468", "the first stage has the embedding"]),
        ("layout brackets", model(pipeline_model_parallel_layout="E(tt"), ["R468", "bracket"]),
        ("layout order", model(pipeline_model_parallel_layout="EtLt"), ["R468", "order"]),
        ("layout stages", model(pipeline_model_parallel_layout="Ett|ttL"), ["R468", "number of stages"]),
        ("layout layers", model(pipeline_model_parallel_layout="Et*5L"), ["R478"]),
        ("heads and hidden size", model(num_attention_heads=7), ["model", "7 heads do not divide 64"]),
        ("groups and heads", model(num_query_groups=3), ["num_query_groups"]),
        ("experts without a choice", model(num_moe_experts=4), ["model"]),
        ("latent keys without latent attention", model(kv_lora_rank=16), ["kv_lora_rank", "says nothing"]),
        ("router keys without experts", model(moe_router_topk=3), ["moe_router_topk", "says nothing"]),
        ("the spread of weights said in two ways", model(init_method="{_target_: torch.nn.init.normal_, mean: 0.0, std: 0.5}"), ["model.init_method", "R046", ":3]"]),
        ("the spread of residual weights", model(output_layer_init_method="{_target_: torch.nn.init.normal_, std: 0.02}"), ["R049", "num_layers"]),
        ("weights with a mean", model(init_method="{_target_: torch.nn.init.normal_, mean: 0.1, std: 0.02}"), ["model.init_method", "does not act here"]),
        ("a family that is none", model(family="lama"), ["family"]),
        ("a size of nothing", model(num_layers=0), ["num_layers"]),
        ("a negative width", model(hidden_size=-64), ["hidden_size"]),
        ("no width", model(ffn_hidden_size="null"), ["ffn_hidden_size"]),
        ("no heads", model(num_attention_heads="null"), ["num_attention_heads"]),
        ("no vocabulary", model(vocab_size="null"), ["vocab_size"]),
        ("a class that is none", "train: {_target_: os.system}\n", ["train._target_", "class"]),
        ("a class of another section", "train: {_target_: megatron.bridge.training.config.LoggerConfig}\n", ["train._target_"]),
        ("a section that is a number", "train: 5\n", ["train", "not a map"]),
        ("a section that is none", "trian: {train_iters: 3}\n", ["trian", "'train'?"]),
        ("a list at the top", "- a\n- b\n", ["map of sections"]),
        ("a key said twice", "train:\n  train_iters: 3\n  train_iters: 4\n", ["train_iters"]),
        ("no YAML", "train: [\n", ["row.yaml"]),
        ("a base that is none", "defaults: [quickstat]\n", ["'quickstart'?"]),
    ]


OVERRIDES = [
    ("nothing set", ["nonsense"], ["section.key=value"]),
    ("no name", ["=3"], ["section.key=value"]),
    ("key misspelt", ["train.train_itres=3"], ["train.train_itres=3", "'train_iters'?"]),
    ("section misspelt", ["trian.train_iters=3"], ["trian"]),
    ("type", ["train.train_iters=x"], ["train.train_iters=x", "wrong type"]),
    ("type by --set", ["--set", "train.train_iters=x"], ["--set train.train_iters=x", "wrong type"]),
    ("rule by --set", ["--set", "train.train_iters=-1"], ["--set train.train_iters=-1", "R004"]),
    ("present", ["+train.train_iters=3"], ["is there already"]),
    ("another value", ["~train.train_iters=4"], ["has another value"]),
    ("a key below a key", ["mixed_precision.bf16=true"], ["mixed_precision", "one key"]),
    ("a section with a value removed", ["~train=3"], ["removed without a value"]),
    ("no such file", ["--config", "nowhere.yaml"], ["nowhere.yaml"]),
]


def overlays(rialto, folder):
    """(what, YAML, words)"""
    keys = keys_of(rialto)
    return [*unknown_keys(keys), *wrong_types(keys), *out_of_range(keys), *keys_that_do_not_act(keys), *in_the_wrong_section(), *combinations(folder)]


def alone(program, folder):
    """Fills `folder`: a copy of `rialto` that has no rialto-train beside it, a sound base.yaml and its data. Returns the copy."""
    shutil.copy(program, folder / "rialto")
    for ending in ("idx", "bin"):
        (folder / f"data.{ending}").write_bytes(b"")
    (folder / "base.yaml").write_text(SOUND.format(data=folder / "data", save=folder / "run"))
    return folder / "rialto"


def written(folder, number, yaml):
    """A file with the row's YAML laid over base.yaml; the line of a section's first key is 3."""
    inner = folder / f"row{number}"
    inner.mkdir()
    (inner / "row.yaml").write_text(yaml if yaml.startswith("- ") or "defaults" in yaml else f"defaults: ../base.yaml\n{yaml}")
    return inner / "row.yaml"
