"""kill -9 during a save: around each kind of operation, and at random times. Each time the newest complete checkpoint is found
and verifies, and the run continued from it ends with the same weights."""
import os
import random
import shutil
import subprocess
import time

import pytest
import torch

import programs
import training_runs
from test_resume import RANDOM_MODEL, assert_same_checkpoint, documents

# The interrupted process resumes at 4, trains to 8 and saves it, so that each operation is one of that save or just before it.
# Renames: the metrics file, the ledger, the iteration's folder, the two trackers.
PLACES = [(op, when, n) for op, numbers in {"create": [2], "write": [1], "sync": [2, 8], "rename": [1, 2, 3, 4, 5], "sync_dir": [1]}.items()
          for n in numbers for when in ("before", "after")]
RANDOM_TIMES = 4


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.values = {"dataset.data_path": training_runs.write_indexed(folder / "data", documents(60, 3)), "dataset.seq_length": 24, **RANDOM_MODEL,
                       "train.train_iters": 12, "checkpoint.save_interval": 4}
        start = time.monotonic()
        self.train(folder / "reference")
        self.seconds = time.monotonic() - start
        self.train(folder / "until4", **{"train.exit_interval": 4})

    def recipe(self, root, **more):
        return training_runs.write_recipe(self.folder / f"{root.name}.yaml", {**self.values, "checkpoint.save": root, "checkpoint.load": root, **more})

    def train(self, root, env=None, exit_code=0, **more):
        return programs.rialto_train("train", self.recipe(root, **more), "--json", env=env, exit_code=exit_code)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("crash"))


def complete_iterations(root):
    return sorted(int(p.name.removeprefix("iter_")) for p in root.glob("iter_*"))


def found_iteration(root):
    """What a reader must find: trackers are written last, so two that agree are obeyed, even if a newer iteration was
    committed just before the end (people set trackers back on purpose); two that disagree give way to the newest."""
    text = root / "latest_checkpointed_iteration.txt"
    state = root / "latest_train_state.pt"
    if not text.exists() and not state.exists():
        return (complete_iterations(root) or [0])[-1]
    agree = text.exists() and state.exists() and int(text.read_text()) == int(torch.load(state)["step"])
    return int(text.read_text()) if agree else complete_iterations(root)[-1]


def assert_recovers(run, root):
    """What was committed is found and whole; going on gives the reference's end."""
    found = found_iteration(root)
    if complete_iterations(root):
        for iteration in complete_iterations(root):
            programs.rialto("inspect", root / f"iter_{iteration:07d}", "--hash")
        assert programs.rialto_json("inspect", root)["iteration"] == found
    done = run.train(root)
    assert f'"first_iteration":{found},' in done.stdout.replace(" ", "")
    assert_same_checkpoint(run.folder / "reference" / "iter_0000012", root / "iter_0000012")
    assert training_runs.records(root / "metrics.jsonl") == training_runs.records(run.folder / "reference" / "metrics.jsonl")
    assert (root / "ledger.jsonl").read_text() == (run.folder / "reference" / "ledger.jsonl").read_text()
    assert not list(root.glob(".tmp*")), "what a killed save left is cleared away by the next"


@pytest.mark.parametrize("op,when,number", PLACES)
def test_killed_at_an_operation_of_a_save(op, when, number, run):
    root = run.folder / f"{op}-{when}-{number}"
    shutil.copytree(run.folder / "until4", root)
    killed = run.train(root, env={"RIALTO_TEST_FAULT": f"kill:{op}:{when}:{number}"}, exit_code=None)
    assert killed.returncode == -9, f"the process ended with {killed.returncode}: this operation does not happen\n{killed.stderr}"
    assert complete_iterations(root)[0] == 4
    assert_recovers(run, root)
    shutil.rmtree(root)


@pytest.mark.parametrize("number", range(RANDOM_TIMES))
def test_killed_at_a_random_time(number, run, seed):
    root = run.folder / f"random-{number}"
    delay = random.Random(seed * 1000 + number).uniform(0.1, run.seconds)
    print(f"killed after {delay:.3f} s of about {run.seconds:.3f}")
    process = subprocess.Popen([programs.folder() / "rialto-train", "train", run.recipe(root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **programs.ENVIRONMENT})
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert_recovers(run, root)
    shutil.rmtree(root)


def test_a_full_disk_leaves_the_older_checkpoint(run):
    root = run.folder / "full"
    shutil.copytree(run.folder / "until4", root)
    done = run.train(root, env={"RIALTO_TEST_FAULT": "full:write:100000"}, exit_code=1)
    programs.refused(done, "No space left", "free space")
    assert complete_iterations(root) == [4] and not list(root.glob(".tmp*"))
    assert_recovers(run, root)


@pytest.mark.parametrize("place", ["create:before:1", "create:after:3", "write:after:1", "write:before:9", "sync:before:1", "sync:after:3", "rename:before:1",
                                   "rename:after:1", "sync_dir:after:1"])
@pytest.mark.parametrize("target", ["megatron", "hf"])
def test_a_killed_conversion_keeps_the_old_output(target, place, shelf, tmp_path):
    import toys
    old = shelf.path(toys.BY_NAME["llama"])
    new = shelf.path(toys.BY_NAME["llama"], torch.bfloat16, sharded=True)
    if target == "hf":
        sources = []
        for source in (old, new):
            programs.rialto("convert", source, tmp_path / f"{source.name}-native")
            sources.append(tmp_path / f"{source.name}-native")
        old, new = sources
    out = tmp_path / "out"
    programs.rialto("convert", old, out)
    killed = programs.rialto("convert", new, out, "--overwrite", env={"RIALTO_TEST_FAULT": f"kill:{place}"}, exit_code=None)
    assert killed.returncode in (-9, 0)
    good = [source for source in (old, new) if programs.rialto("verify", source, out, exit_code=None).returncode == 0]
    assert good, "the output is neither the old nor the new one"
    programs.rialto("convert", new, out, "--overwrite")
    programs.rialto("verify", new, out)
    assert not [p for p in tmp_path.rglob("*.tmp*")] and not [p for p in tmp_path.rglob(".tmp*")]
