#!/usr/bin/env python3
"""Applies each patch of tests/mutants to a copy of the tree, rebuilds, and must see the test that it names fail.

A patch starts with a line `kills: SUITE NAME`: `unit test_store Manifest*` (program, filter) or
`oracle test_llama.py test_logits` (file under tests/oracle, -k expression).
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutants" / "tree"


def sh(*command, cwd=ROOT, env=None):
    return subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def sync_copy():
    """A work tree of its own, so that a stopped run never leaves a mutant behind; its build is kept between runs."""
    COPY.mkdir(parents=True, exist_ok=True)
    names = sh("git", "ls-files", "-co", "--exclude-standard").stdout
    listing = COPY.parent / "files.txt"
    listing.write_text("".join(n + "\n" for n in names.splitlines() if (ROOT / n).is_file()))
    for name in listing.read_text().splitlines():
        source, target = ROOT / name, COPY / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)


PROGRAMS = ["rialto", "rialto-train", "formats_tool", "key_tool", "config_tool", "chat_tool", "data_tool", "state_tool", "optim_tool"]


def build(*targets):
    return sh("./dev", "build", "release", *targets, cwd=COPY)


def run_named(kind, target, name):
    """True when the named test fails and really ran."""
    binary = COPY / "build/release/bin"
    if kind == "unit":
        done = sh(str(binary / target), f"--gtest_filter={name}", cwd=COPY)
        return "[  FAILED  ]" in done.stdout or done.returncode < 0, done.stdout
    env = dict(os.environ, RIALTO_BIN=str(binary))
    done = sh(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/oracle/{target}", "-k", name, cwd=COPY, env=env)
    return done.returncode == 1, done.stdout


def try_mutant(patch):
    kind, target, name = patch.read_text().splitlines()[0].removeprefix("kills:").split(maxsplit=2)
    applied = sh("git", "apply", "--unsafe-paths", f"--directory={COPY.relative_to(ROOT)}", str(patch))
    if applied.returncode:
        return f"does not apply: {applied.stdout.strip().splitlines()[0]}"
    try:
        built = build(*([target] if kind == "unit" else PROGRAMS))
        if built.returncode:
            return "does not build"
        killed, output = run_named(kind, target, name)
        return None if killed else f"SURVIVED {kind} {target} {name}\n{output[-800:]}"
    finally:
        sync_copy()


def main():
    parser = argparse.ArgumentParser(prog="./dev mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="only patches whose file name has one of these")
    args = parser.parse_args()
    patches = [p for p in sorted((ROOT / "tests/mutants").glob("*.patch")) if not args.name or any(n in p.name for n in args.name)]
    if not patches:
        sys.exit(f"error: no mutant has {args.name} in its name")
    sync_copy()
    built = build("all")  # everything once: what a mutant does not touch stays built
    if built.returncode:
        sys.exit(f"error: the unchanged tree does not build\n{built.stdout[-2000:]}")
    survived = 0
    for patch in patches:
        start = time.monotonic()
        problem = try_mutant(patch)
        survived += problem is not None
        print(f"  {patch.stem:<60}{problem or 'killed'}   {time.monotonic() - start:.0f} s", flush=True)
    print(f"\n{len(patches) - survived} passed, {survived} failed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
