"""What a user may rely on about the programs: what they need, how big, how fast to start, what help says."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import training_runs  # noqa: E402
BIN = Path(os.environ.get("RIALTO_BIN", ROOT / "build/release/bin"))
PLATFORM = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def needed(program):
    text = run("readelf", "-d", program).stdout
    return set(re.findall(r"NEEDED.*\[(.*)\]", text))


def test_rialto_needs_only_the_platform():
    assert needed(BIN / "rialto") <= PLATFORM


def test_rialto_runs_in_a_root_that_holds_nothing_else(tmp_path):
    """chroot into a folder with the program and its NEEDED libraries only."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    for line in run("ldd", BIN / "rialto").stdout.splitlines():
        if match := re.search(r"(/\S+)", line):
            target = tmp_path / match[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(match[1], target)
    shutil.copy(BIN / "rialto", tmp_path / "rialto")
    done = run("chroot", tmp_path, "/rialto", "models")
    assert done.returncode == 0, done.stderr
    assert "Llama" in done.stdout


def test_rialto_is_at_most_25_mb_stripped(tmp_path):
    run("strip", "-o", tmp_path / "rialto", BIN / "rialto", check=True)
    assert (tmp_path / "rialto").stat().st_size <= 25e6


def test_help_names_no_command_that_does_not_exist():
    text = run(BIN / "rialto", "--help").stdout
    commands = re.findall(r"^  ([a-z]+) ", text.split("Subcommands:")[1].split("Examples:")[0], re.M)
    assert {"convert", "verify", "inspect", "models", "data", "train", "generate", "logits"} <= set(commands)
    for command in commands:
        done = run(BIN / "rialto", command, "--help")
        assert done.returncode == 0, command
        assert "rialto" in done.stdout, command


def test_both_programs_carry_one_build_id_and_check_it(tmp_path):
    mine = re.search(r"[0-9a-f]{16}", run(BIN / "rialto", "--version").stdout)[0]
    assert run(BIN / "rialto-train", "--build-id").stdout.strip() == mine
    command = ["logits", tmp_path, "--tokens", tmp_path / "ids.json", "--out", tmp_path / "out"]
    done = run(BIN / "rialto-train", *command, env={**os.environ, "RIALTO_BUILD_ID_CHECK": "0" * 16})
    assert done.returncode == 1 and "different builds" in done.stderr and len(done.stderr.splitlines()) == 1


def test_unknown_command_names_the_nearest():
    done = run(BIN / "rialto", "convrt")
    assert done.returncode == 2 and "convert" in done.stderr


def test_readme_table_is_what_the_program_prints():
    readme = (ROOT / "README.md").read_text()
    table = readme.split("<!-- models:begin -->\n")[1].split("<!-- models:end -->")[0]
    assert table.strip() == run(BIN / "rialto", "models", "--markdown").stdout.strip()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BIN.parent, "--prefix", folder, check=True)
    return folder


def build_example(name, prefix, folder):
    """The example's program, built against the installed package."""
    done = run("cmake", "-S", ROOT / "examples" / name, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("cmake", "--build", folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return folder / name


def test_a_program_builds_against_the_installed_library(prefix, tmp_path):
    program = build_example("count_parameters", prefix, tmp_path / "build")
    model = tmp_path / "model"
    model.mkdir()
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=8, intermediate_size=16, num_hidden_layers=1,
                  num_attention_heads=2, num_key_value_heads=1, vocab_size=10, max_position_embeddings=32, rms_norm_eps=1e-5,
                  tie_word_embeddings=True, hidden_act="silu")
    (model / "config.json").write_text(json.dumps(config))
    write_empty_safetensors(model / "model.safetensors")
    done = run(program, model)
    # embedding 80, qkv (2+2)*4*8, proj 64, fc1 2*16*8, fc2 128, three norms of 8
    assert done.stdout.strip() == f"llama: {80 + 128 + 64 + 256 + 128 + 24} parameters", done.stdout + done.stderr


def test_a_loss_of_ones_own_trains_through_the_installed_library(prefix, tmp_path):
    """examples/own_loss: later tokens count more. The weights start alike, so its first loss is another, by little; then it learns."""
    program = build_example("own_loss", prefix, tmp_path / "build")
    training_runs.write_indexed(tmp_path / "data", [[(row + 3 * i) % 50 for i in range(40)] for row in range(60)])
    model = {"family": "llama", "num_layers": 1, "hidden_size": 16, "ffn_hidden_size": 24, "num_attention_heads": 2, "vocab_size": 50,
             "seq_length": 16}
    values = {**{f"model.{k}": v for k, v in model.items()}, "dataset.data_path": tmp_path / "data", "mixed_precision": "fp32",
              "train.train_iters": 30, "train.micro_batch_size": 2, "train.global_batch_size": 4, "optimizer.lr": 0.01, "logger.log_interval": 1}
    recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", values)

    def losses(*command):
        done = run(*command, recipe)
        assert done.returncode == 0, done.stderr
        return [float(loss) for loss in re.findall(r"lm loss: (\S+)", done.stdout)]
    own, plain = losses(program), losses(BIN / "rialto", "train")
    assert len(own) == len(plain) == 30
    assert 0 < abs(own[0] - plain[0]) < 0.1
    assert own[-1] < 0.7 * own[0]
    done = run(program, recipe, "train.train_itres=1")
    assert done.returncode == 2 and "train_iters" in done.stderr


def write_empty_safetensors(path):
    path.write_bytes((8).to_bytes(8, "little") + b"{}      ")


@pytest.mark.parametrize("program", ["rialto", "rialto-train"])
def test_starts_without_touching_the_network_or_home(program, tmp_path):
    """Runs with no HOME and an empty folder; nothing appears there."""
    done = run(BIN / program, "--version", env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path)
    assert done.returncode == 0 and not list(tmp_path.iterdir())
