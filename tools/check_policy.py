#!/usr/bin/env python3
"""House rules that a program can check: unfinished words, skipped tests without a reason, foreign paths, file sizes.

Sizes are reported, not refused. Exit 1 with one line per violation.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|not implemented|unimplemented)\b", re.I)
SKIP = re.compile(r"GTEST_SKIP\(\)|DISABLED_|pytest\.skip\(|@pytest\.mark\.skip(?!if)")
REASON = re.compile(r"(GTEST_SKIP\(\)\s*<<|skip\(\s*f?\"|reason=)")
FOREIGN = re.compile(r"pypi\.org|crates\.io|registry\.npmjs|static\.rust-lang|deb\.debian\.org|/work/|/farm/|/root/|\.\./shared")
EXIT = re.compile(r"\b(std::(exit|abort|quick_exit)|_exit)\s*\(|(?<![\w.>:])exit\s*\(|\bsignal\s*\(|\bsigaction\s*\(|\bfork\s*\(")
# What ATen computes through MKL's vector functions: see src/rialto/kernels/dispatch.h.
MKL = re.compile(r"(?:\bat::|[\w)\]]\.)(a?cos|a?sin|a?tan|tanh|exp|expm1|log|log1p|log2|log10|logsumexp|erfc?|sqrt)_?\(")
TORCH_ROOMS = tuple(f"src/rialto/{room}/" for room in "kernels comm model optim parallel checkpoint generate train cli_train".split())
LONG = 400


def tracked():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def main():
    found, long_files = [], []
    for path in tracked():
        name = str(path.relative_to(ROOT))
        if path.suffix in {".png", ".lock", ".patch"} or name in {"tools/check_policy.py"}:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        code = path.suffix in {".h", ".cpp", ".cu", ".py", ".rs"} or name == "dev"
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{name}:{number}"
            if code and UNFINISHED.search(line):
                found.append(f"{where} unfinished: {line.strip()[:100]}")
            if code and SKIP.search(line) and not REASON.search(line):
                found.append(f"{where} a skip without its reason: {line.strip()[:100]}")
            if FOREIGN.search(line):
                found.append(f"{where} names a registry host or a path outside the repository: {line.strip()[:100]}")
            if name.startswith("src/rialto/") and not name.startswith(("src/rialto/cli/", "src/rialto/cli_train/")):
                if EXIT.search(line.split("//")[0]):
                    found.append(f"{where} a library must not exit, fork or install signal handlers: {line.strip()[:100]}")
            if name.startswith(TORCH_ROOMS) and not name.endswith("_ref.cpp") and MKL.search(line.split("//")[0]):
                found.append(f"{where} a function that ATen takes from MKL (kernels/dispatch.h says why not): {line.strip()[:100]}")
        lines = text.count("\n")
        if code and lines > LONG:
            long_files.append(f"{lines:6} {name}")
    if long_files:
        print(f"files over {LONG} lines (not refused; does one hide a second job?):\n" + "\n".join(sorted(long_files, reverse=True)))
    print("\n".join(found) or "policy: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
