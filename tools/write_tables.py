#!/usr/bin/env python3
"""Writes the tables that the program prints into README.md and docs/: run it after a key, rule or result changed."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def put(page, marker, table):
    """Replaces what stands between the marker's two comment lines."""
    begin, end = f"<!-- {marker}:begin -->\n", f"<!-- {marker}:end -->"
    path = ROOT / page
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + table.rstrip("\n") + "\n" + end + rest.split(end, 1)[1])


def main(rialto):
    def printed(*words):
        return subprocess.run([rialto, *words], check=True, capture_output=True, text=True).stdout

    put("README.md", "models", printed("models", "--markdown"))
    keys, rules = printed("config", "explain", "--markdown").split("\n\n", 1)
    put("docs/training/configuration.md", "keys", keys)
    put("docs/training/configuration.md", "rules", rules)
    put("docs/training/recipes.md", "recipes", printed("recipes", "--markdown"))


if __name__ == "__main__":
    main(sys.argv[1])
