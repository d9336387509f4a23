"""Runs `rialto` and `rialto-train` as a user does."""
import json
import os
import subprocess
from pathlib import Path

ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


class Failed(AssertionError):
    """The program's exit code was not the wanted one."""


def folder():
    path = os.environ.get("RIALTO_BIN")
    if not path or not (Path(path) / "rialto").exists():
        raise RuntimeError(f"RIALTO_BIN must name the folder that holds rialto and rialto-train; it is {path!r}")
    return Path(path)


def run(program, *arguments, exit_code=0, env=None, timeout=300, cwd=None, preexec_fn=None):
    """stdout and stderr of the program; asserts its exit code (None: any)."""
    command = [str(folder() / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace", timeout=timeout, cwd=cwd, preexec_fn=preexec_fn,
                          env={**os.environ, **ENVIRONMENT, **(env or {})})
    if exit_code is not None and done.returncode != exit_code:
        raise Failed(f"{' '.join(command)}\nexit code {done.returncode}, want {exit_code}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done


def start(program, *arguments, env=None):
    """The program, left running; its output is read with communicate()."""
    return subprocess.Popen([str(folder() / program), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="backslashreplace",
                            env={**os.environ, **ENVIRONMENT, **(env or {})})


def rialto(*arguments, **options):
    return run("rialto", *arguments, **options)


def rialto_train(*arguments, **options):
    return run("rialto-train", *arguments, **options)


def rialto_json(*arguments, program="rialto", **options):
    """The report of a command under --json."""
    return json.loads(run(program, *arguments, "--json", **options).stdout)


def refused(done, *words):
    """Asserts one error line that names every word, and returns it."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, f"want one error line, got:\n{done.stderr}\n{done.stdout}"
    for word in words:
        assert str(word) in lines[0], f"{word!r} is not named in: {lines[0]}"
    return lines[0]


def snapshot(path):
    """Every file under path with its bytes: to show that a refused call changed nothing."""
    path = Path(path)
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))} if path.exists() else None
