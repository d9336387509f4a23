"""rialto data tokenize, killed: finished parts are not made again, and the files are those of an undisturbed run."""
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "oracle"))
import programs  # noqa: E402

SEED = int(os.environ.get("RIALTO_TEST_SEED", "0"))
KILLS = 30
OPERATIONS = ["create", "write", "sync", "rename", "sync_dir"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Text files around one of rows, some of them broken: a hundred chunks."""
    root = tmp_path_factory.mktemp("corpus")
    draw = random.Random(SEED)
    words = ["".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(3)) for _ in range(300)]
    (root / "text").mkdir()
    for i in range(100):
        (root / "text" / f"{draw.choice('az')}{i}.txt").write_text(" ".join(draw.choices(words, k=300)))
    with open(root / "text/rows.jsonl", "w") as file:
        for i in range(3000):
            file.write("broken\n" if i % 250 == 77 else json.dumps({"text": " ".join(draw.choices(words, k=10)) + "x" * 900}) + "\n")
    programs.rialto("data", "train-tokenizer", root / "text", "--include", ".txt", "--output", root / "tok", "--vocab-size", 400)
    programs.rialto(*command(root, root / "undisturbed"))
    return root


def command(root, prefix):
    return ["data", "tokenize", root / "text", "--tokenizer", root / "tok", "--output-prefix", prefix, "--part-bytes", 10_000,
            "--quarantine", f"{prefix}.bad"]


def parts(folder):
    """Of each finished part: its files and which bytes on disk they are."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for done in folder.glob("*.json") if done.stem.isdigit()
            for path in folder.glob(done.stem + ".*")} if folder.exists() else {}


def expect_undisturbed(corpus, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["out.bad", "out.bin", "out.idx"]
    for ending in (".bin", ".idx", ".bad"):
        assert (folder / f"out{ending}").read_bytes() == Path(f"{corpus / 'undisturbed'}{ending}").read_bytes(), ending


def test_killed_thirty_times(corpus, tmp_path):
    draw = random.Random(SEED + 1)
    prefix, before, kills, kept = tmp_path / "out", {}, 0, 0
    while kills < KILLS:
        fault = f"kill:{draw.choice(OPERATIONS)}:{draw.choice(['before', 'after'])}:{draw.randint(1, 40)}"
        done = programs.run("rialto", *command(corpus, prefix), exit_code=None, env={"RIALTO_TEST_FAULT": fault})
        if done.returncode == 0:   # it was done before it came to the operation
            expect_undisturbed(corpus, tmp_path)
            for path in tmp_path.iterdir():
                path.unlink()
            before = {}
            continue
        if done.returncode == 2 and "already exists" in done.stderr:   # killed with everything done
            shutil.rmtree(f"{prefix}.parts")
            expect_undisturbed(corpus, tmp_path)
            for path in tmp_path.iterdir():
                path.unlink()
            before = {}
            continue
        assert done.returncode == -signal.SIGKILL, f"{fault}: {done.returncode}\n{done.stderr}"
        kills += 1
        after = parts(Path(f"{prefix}.parts"))
        if Path(f"{prefix}.parts/plan.json").exists():
            assert {name: after.get(name) for name in before} == before, f"{fault} made a finished part again"
        kept, before = max(kept, len(before)), after
    assert kept > 0
    report = programs.rialto_json(*command(corpus, prefix))
    assert report["quarantined"] == {"not JSON": 12} and report["parts"] > 20
    expect_undisturbed(corpus, tmp_path)
