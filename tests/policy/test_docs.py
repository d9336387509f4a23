"""Every command in the documentation runs: fenced `sh` blocks after a line `<!-- runs -->`, file by file, in order.

They run in a folder that holds `llama/` (a tiny Hugging Face model with its tokenizer) and `corpus/` (some text files).
"""
import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("RIALTO_BIN", ROOT / "build/release/bin"))
BLOCK = re.compile(r"<!-- runs -->\n```sh\n(.*?)```", re.S)
MUST_RUN = ("docs/training/README.md", "docs/data.md", "docs/checkpoint.md", "docs/adding-a-family.md", "docs/training/configuration.md",
            "docs/training/loop.md", "docs/training/entry-points.md", "docs/training/recompute-and-offload.md", "docs/training/recipes.md",
            "docs/training/mixed-precision.md", "docs/training/data-parallel.md")
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


def make_corpus(folder):
    folder.mkdir()
    library = Path(sysconfig.get_paths()["stdlib"])
    for name in ("textwrap", "string", "bisect", "heapq", "queue", "sched", "shlex", "csv"):
        (folder / f"{name}.py").write_text((library / f"{name}.py").read_text())
    lines = [json.dumps({"text": f"document {i}: " + "to be or not to be " * (i % 7 + 1)}) for i in range(50)]
    (folder / "lines.jsonl").write_text("\n".join(lines) + "\n")


def make_llama(folder, corpus):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    subprocess.run([BIN / "rialto", "data", "train-tokenizer", corpus, "--output", folder, "--vocab-size", "320"], check=True, capture_output=True)
    torch.manual_seed(1)
    config = LlamaConfig(vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0)
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    make_corpus(folder / "corpus")
    make_llama(folder / "llama", folder / "corpus")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_run(page, prepared, tmp_path):
    blocks = BLOCK.findall((ROOT / page).read_text())
    if page in MUST_RUN:
        assert blocks, f"{page} shows no command that is run"
    subprocess.run(["cp", "-r", f"{prepared}/.", str(tmp_path)], check=True)
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    for block in blocks:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{page}:\n{block}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"


def test_links_between_pages_lead_somewhere():
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"
