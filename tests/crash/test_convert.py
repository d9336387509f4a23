"""rialto convert, killed, interrupted or out of space: the destination is whole or as it was, and the next run goes through."""
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "oracle"))
import programs  # noqa: E402

SEED = int(__import__("os").environ.get("RIALTO_TEST_SEED", "0"))
LAYERS, HIDDEN, HEADS, GROUPS, HEAD, FFN, VOCAB = 4, 256, 6, 2, 48, 640, 2003
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
          "num_attention_heads": HEADS, "num_key_value_heads": GROUPS, "head_dim": HEAD, "intermediate_size": FFN,
          "vocab_size": VOCAB, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
          "tie_word_embeddings": False, "hidden_act": "silu", "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2}


def make_model(path, seed):
    """A Llama of about 20 MB in fp32."""
    draw = np.random.default_rng(seed)
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        shapes |= {at + "input_layernorm.weight": (HIDDEN,), at + "post_attention_layernorm.weight": (HIDDEN,),
                   at + "self_attn.q_proj.weight": (HEADS * HEAD, HIDDEN), at + "self_attn.k_proj.weight": (GROUPS * HEAD, HIDDEN),
                   at + "self_attn.v_proj.weight": (GROUPS * HEAD, HIDDEN), at + "self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD),
                   at + "mlp.gate_proj.weight": (FFN, HIDDEN), at + "mlp.up_proj.weight": (FFN, HIDDEN),
                   at + "mlp.down_proj.weight": (HIDDEN, FFN)}
    path.mkdir()
    save_file({name: draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()},
              path / "model.safetensors", metadata={"format": "pt"})
    (path / "config.json").write_text(json.dumps(CONFIG, indent=2))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """{"new", "old"} x {"hf", "native"}"""
    root = tmp_path_factory.mktemp("models")
    made = {}
    for seed, name in enumerate(("new", "old")):
        made[name, "hf"] = make_model(root / f"{name}-hf", seed)
        made[name, "native"] = root / f"{name}-native"
        programs.rialto("convert", made[name, "hf"], made[name, "native"])
    return made


def equal(a, b):
    return programs.rialto("verify", a, b, exit_code=None).returncode == 0


def check(models, kind, out):
    """`out` is the old model or the new one, entirely; a second run makes it the new one and leaves nothing else."""
    assert equal(out, models["new", "hf"]) != equal(out, models["old", "hf"])
    programs.rialto("convert", models["new", kind], out, "--overwrite")
    assert equal(out, models["new", "hf"])
    assert sorted(p.name for p in out.parent.iterdir()) == [out.name]


@pytest.mark.parametrize("kind", ["hf", "native"])
def test_killed_at_random_times(models, kind, tmp_path):
    draw = random.Random(SEED)
    other = "native" if kind == "hf" else "hf"
    start = time.monotonic()
    programs.rialto("convert", models["new", kind], tmp_path / "timing")
    whole = time.monotonic() - start
    shutil.rmtree(tmp_path / "timing")
    for _ in range(5):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(models["old", other], out)
        process = subprocess.Popen([programs.folder() / "rialto", "convert", models["new", kind], out, "--overwrite"],
                                   stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0, whole))
        process.kill()
        process.wait()
        check(models, kind, out)


@pytest.mark.parametrize("fault", ["kill:rename:before:1", "kill:rename:after:1", "kill:sync:before:1", "kill:sync_dir:after:2"])
@pytest.mark.parametrize("kind", ["hf", "native"])
def test_killed_at_an_operation(models, kind, fault, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(models["old", "native" if kind == "hf" else "hf"], out)
    done = programs.rialto("convert", models["new", kind], out, "--overwrite", env={"RIALTO_TEST_FAULT": fault}, exit_code=None)
    assert done.returncode == -signal.SIGKILL
    check(models, kind, out)


@pytest.mark.parametrize("room", [0, 1000, 5_000_000, 15_000_000])
@pytest.mark.parametrize("kind", ["hf", "native"])
def test_disk_full(models, kind, room, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(models["old", "native" if kind == "hf" else "hf"], out)
    before = programs.snapshot(tmp_path)
    done = programs.rialto("convert", models["new", kind], out, "--overwrite", env={"RIALTO_TEST_FAULT": f"full:write:{room}"}, exit_code=1)
    programs.refused(done, "No space left")
    assert programs.snapshot(tmp_path) == before


@pytest.mark.parametrize("kind", ["hf", "native"])
def test_interrupted(models, kind, tmp_path):
    """Ctrl-C ends the program as the shell expects, with nothing left behind."""
    stopped = 0
    for delay in (0.0, 0.01, 0.02, 0.03, 0.05):
        process = subprocess.Popen([programs.folder() / "rialto", "convert", models["new", kind], tmp_path / "out"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        if process.returncode == 0:
            programs.rialto("verify", tmp_path / "out", models["new", "hf"])
            shutil.rmtree(tmp_path / "out")
        else:
            assert process.returncode == -signal.SIGINT, errors
            stopped += 1
        assert list(tmp_path.iterdir()) == []
    assert stopped > 0
