"""Every broken configuration is refused by `rialto` alone, with exit code 2 and words that name the mistake."""
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import broken_configs
import programs
import pytest


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    broken_configs.alone(programs.folder() / "rialto", folder)
    return folder


def train(alone, *words, prefix=()):
    return subprocess.run([*prefix, alone / "rialto", "train", *words], capture_output=True, text=True, env={"PATH": ""}, cwd=alone, timeout=60)


def faults(done, words):
    """What is wrong with the refusal, or nothing."""
    lines = done.stderr.splitlines()
    out = [word for word in words if word not in done.stderr]
    if done.returncode != 2:
        out.append(f"exit code {done.returncode}")
    if not lines or not all(line.startswith("error: ") for line in lines):
        out.append("lines that are no errors")
    if "rialto-train" in done.stderr:
        out.append("was accepted")
    return out


def test_the_sound_configuration_reaches_the_hand_over(alone):
    done = train(alone, "base.yaml")
    assert done.returncode == 2 and "this command needs rialto-train" in done.stderr, done.stderr


def test_each_of_500_broken_configurations_is_refused_before_anything_starts(alone):
    rows = broken_configs.overlays(alone / "rialto", alone)
    assert len(rows) + len(broken_configs.OVERRIDES) >= 500
    assert len({(what, yaml) for what, yaml, _ in rows}) == len(rows)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda row: train(alone, broken_configs.written(alone, row[0], row[1][1])), enumerate(rows)))
        by_words = list(pool.map(lambda row: train(alone, "base.yaml", *row[1]), broken_configs.OVERRIDES))
    failed = [f"{what}: {fault}\n  {text!r}\n  {one.stderr[:400]}" for (what, text, words), one in zip([*rows, *broken_configs.OVERRIDES], [*done, *by_words])
              if (fault := faults(one, words))]
    assert not failed, f"{len(failed)} of {len(rows)}:\n" + "\n".join(failed[:40])


@pytest.mark.skipif(shutil.which("strace") is None or os.name != "posix", reason="counts system calls with strace")
@pytest.mark.parametrize("setting", ["train.micro_batch_size=3", "model.num_query_groups=3", "train.train_itres=1"])
def test_no_process_and_no_thread_is_made(alone, setting):
    log = alone / "calls"
    done = train(alone, "base.yaml", setting, prefix=(shutil.which("strace"), "-f", "-o", log, "-e", "trace=clone,clone3,fork,vfork,execve"))
    assert done.returncode == 2
    calls = [line for line in log.read_text().splitlines() if "(" in line and "exited" not in line]
    assert len(calls) == 1 and "execve" in calls[0], calls  # its own start
