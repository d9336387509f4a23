"""./dev: what a newcomer meets first."""
import os
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def dev(*arguments, **env):
    return subprocess.run(["./dev", *arguments], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **env}, timeout=600)


def test_help_lists_every_command_and_only_those():
    listed = set(re.findall(r"^  ([a-z]+) ", dev("help").stdout, re.M))
    defined = set(re.findall(r"^cmd_([a-z]+)\(\)", (ROOT / "dev").read_text(), re.M))
    assert listed == defined - {"lock"}


def test_unknown_command_is_one_clear_line():
    done = dev("bild")
    assert done.returncode == 1 and done.stderr == "error: unknown command 'bild'. Hint: ./dev help\n"


def test_setup_with_nothing_to_do_is_quick_and_quiet():
    start = time.monotonic()
    done = dev("setup")
    assert done.returncode == 0 and done.stdout.startswith("  setup is complete: ")
    assert time.monotonic() - start < 30


def test_setup_refuses_a_full_disk(tmp_path):
    """A df that reports 3 GB free, and no environment yet."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "df").write_text("#!/bin/sh\necho Avail; echo 3G\n")
    (fake / "df").chmod(0o755)
    done = dev("setup", PATH=f"{fake}:{os.environ['PATH']}", RIALTO_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert "3 GB of disk free; want 12" in done.stderr and len(done.stderr.splitlines()) == 1


def test_missing_packages_without_root_print_the_one_apt_line(tmp_path):
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (fake / "id").write_text("#!/bin/sh\necho 1000\n")
    for name in ("dpkg-query", "id"):
        (fake / name).chmod(0o755)
    done = dev("setup", PATH=f"{fake}:{os.environ['PATH']}", RIALTO_HOME=str(tmp_path / "home"))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "sudo apt-get install -y --no-install-recommends" in done.stderr and "libgloo-dev" in done.stderr


def test_build_with_nothing_changed_takes_seconds():
    """Not a gate on speed: a rebuild of anything would take minutes."""
    done = dev("build")
    assert done.returncode == 0, done.stdout + done.stderr
    log = (ROOT / "build/logs/build-release.log").read_text()
    assert "Building CXX object" not in log, log[-2000:]


def test_two_setups_at_once_both_succeed():
    both = [subprocess.Popen(["./dev", "setup"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    for one in both:
        out, _ = one.communicate(timeout=600)
        assert one.returncode == 0, out
