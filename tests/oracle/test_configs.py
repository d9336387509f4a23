"""What a config.json means, against transformers' own configuration classes: thousands of random files of every family in
both spellings, keys left out where transformers has defaults; and the canonical file that is written without a source."""
import json
import random
import subprocess

import pytest
import transformers
import yaml

import programs

CLASSES = {"llama": transformers.LlamaConfig, "mistral": transformers.MistralConfig, "qwen2": transformers.Qwen2Config,
           "qwen3": transformers.Qwen3Config}


class ConfigTool:
    """config_tool as a long-lived process: one config in, one answer out."""

    def __init__(self):
        self.process = subprocess.Popen([programs.folder() / "config_tool"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, config):
        self.process.stdin.write(json.dumps(config) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def tool():
    tool = ConfigTool()
    yield tool
    tool.process.stdin.close()
    assert tool.process.wait(10) == 0


def random_rope(draw):
    theta = draw.choice([10000.0, 5e5, 1e6, 12345.5])
    kind = draw.choice(["default", "default", "linear", "llama3"])
    rope = {"rope_type": kind, "rope_theta": theta}
    if kind != "default":
        rope["factor"] = draw.choice([2.0, 8.0, 32.0, 1.5])
    if kind == "llama3":
        rope |= {"low_freq_factor": draw.choice([1.0, 2.0]), "high_freq_factor": 4.0, "original_max_position_embeddings": draw.choice([64, 8192])}
    return rope


def random_config(family, draw):
    """The JSON that transformers would save for a random configuration of the family."""
    heads = draw.choice([1, 2, 4, 6])
    layers = draw.randint(1, 5)
    values = dict(hidden_size=heads * draw.choice([4, 8, 10]), num_attention_heads=heads, num_key_value_heads=draw.choice([h for h in range(1, heads + 1) if heads % h == 0]),
                  num_hidden_layers=layers, intermediate_size=draw.randint(1, 90), vocab_size=draw.randint(1, 999), max_position_embeddings=draw.choice([64, 2048, 131072]),
                  rms_norm_eps=draw.choice([1e-5, 1e-6, 3.7e-5]), initializer_range=draw.choice([0.02, 0.0173]), tie_word_embeddings=draw.random() < 0.5,
                  bos_token_id=draw.choice([None, 1]), eos_token_id=draw.choice([None, 2, [2, 3]]), rope_parameters=random_rope(draw), dtype=draw.choice(["float32", "bfloat16", "float16"]))
    if family != "qwen2" and draw.random() < 0.5:
        values["head_dim"] = draw.choice([2, 16, 34])
    if family == "mistral":
        values["sliding_window"] = draw.choice([None, 5, 4096])
    if family.startswith("qwen"):
        values["use_sliding_window"] = draw.random() < 0.5
        values["sliding_window"] = draw.choice([None, 7])
        values["max_window_layers"] = draw.choice([0, 1, 28])
        if draw.random() < 0.5:
            kinds = ["full_attention", "sliding_attention"] if values["use_sliding_window"] and values["sliding_window"] else ["full_attention"]
            values["layer_types"] = [draw.choice(kinds) for _ in range(layers)]
    config = CLASSES[family](**values)
    config.architectures = [type(config).__name__.replace("Config", "ForCausalLM")]
    return json.loads(config.to_json_string(use_diff=False))


def respelled(config, draw):
    """As transformers 4 spelled it; keys left out where the class has a default."""
    config = dict(config)
    if draw.random() < 0.5:
        rope = dict(config.pop("rope_parameters"))
        config["rope_theta"] = rope.pop("rope_theta")
        kind = rope.pop("rope_type")
        config["rope_scaling"] = None if kind == "default" else {draw.choice(["type", "rope_type"]): kind, **rope}
        config["torch_dtype"] = config.pop("dtype")
    for key in ("head_dim", "rms_norm_eps", "initializer_range", "rope_theta", "rope_parameters", "dtype", "torch_dtype", "bos_token_id", "eos_token_id", "layer_types",
                "tie_word_embeddings", "hidden_act", "attention_dropout", "max_position_embeddings", "use_cache", "attention_bias", "mlp_bias", "num_key_value_heads"):
        if key in config and draw.random() < 0.15:
            del config[key]
    return config


def meaning(family, config):
    """What transformers computes from a config.json, in the words of config_tool."""
    config = CLASSES[family].from_dict(config)
    rope = {key: value for key, value in config.rope_parameters.items() if value is not None and key != "type"}
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if rope["rope_type"] != "llama3":
        rope.pop("original_max_position_embeddings", None)
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    eos = config.eos_token_id
    return {
        **{key: getattr(config, key) for key in ("hidden_size", "vocab_size", "max_position_embeddings", "tie_word_embeddings", "num_hidden_layers", "num_attention_heads",
                                                 "num_key_value_heads", "intermediate_size", "rms_norm_eps", "initializer_range")},
        "family": family, "head_dim": head_dim, "dtype": str(config.dtype or "float32").removeprefix("torch."),
        "eos": [] if eos is None else eos if isinstance(eos, list) else [eos], "bos": config.bos_token_id,
        "qkv_bias": family == "qwen2", "qk_norm": family == "qwen3", "rope": {**rope, "dim": head_dim},
        "windows": [window if kind == "sliding_attention" else None for kind in kinds],
    }


@pytest.mark.parametrize("family", CLASSES)
def test_a_config_means_what_transformers_makes_of_it(family, tool, seed, full):
    draw = random.Random(f"{family} {seed}")
    for number in range(2000 if full else 200):
        config = respelled(random_config(family, draw), draw)
        heads = config["num_attention_heads"]
        if heads % (config.get("num_key_value_heads") or (8 if family == "mistral" else 32 if family != "llama" else heads)):
            assert "error" in tool(config), config   # transformers' default for a missing key does not fit
            continue
        answer = tool(config)
        want = meaning(family, config)
        assert answer.get("model") == want, (number, config, answer)
        assert answer["again"]
        # The canonical file, written when there is no source, means the same to transformers.
        assert meaning(family, answer["hf"]) == want, (number, answer["hf"])


@pytest.mark.parametrize("family", CLASSES)
def test_the_run_config_is_plain_yaml_for_python(family, tool, seed):
    draw = random.Random(f"yaml {family} {seed}")
    for _ in range(40):
        answer = tool(random_config(family, draw))
        model = answer["model"]
        section = yaml.safe_load(answer["run_config"])["model"]
        got = {key: section[key] for key in ("hidden_size", "num_layers", "layernorm_epsilon", "rotary_base", "init_method_std", "vocab_size", "share_embeddings_and_output_weights")}
        assert got == {"hidden_size": model["hidden_size"], "num_layers": model["num_hidden_layers"], "layernorm_epsilon": model["rms_norm_eps"],
                       "rotary_base": model["rope"]["rope_theta"], "init_method_std": model["initializer_range"], "vocab_size": model["vocab_size"],
                       "share_embeddings_and_output_weights": model["tie_word_embeddings"]}
        windows = [w for w in model["windows"] if w]
        assert section["window_size"] == ([windows[0] - 1, 0] if windows else None)
        assert len(section) >= 25


@pytest.mark.parametrize("family", CLASSES)
def test_every_key_that_transformers_writes_has_a_row(family, tool):
    """All attributes of the class, transformers' bookkeeping included; nothing is refused as unknown."""
    config = CLASSES[family]()
    config.architectures = [type(config).__name__.replace("Config", "ForCausalLM")]
    assert "error" not in tool(json.loads(config.to_json_string(use_diff=False)))
    assert "is not known" in tool({**json.loads(config.to_json_string()), "attn_logit_softcapping": 30.0})["error"]
