#!/usr/bin/env python3
"""Writes requirements.lock from requirements.in: every package with its exact version and hash (`./dev lock`)."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run([sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet",
                        "--report", str(report), "-r", str(HERE / "requirements.in")], check=True)
        rows = json.loads(report.read_text())["install"]
    lines = sorted(f"{row['metadata']['name'].lower().replace('_', '-')}=={row['metadata']['version']} "
                   f"--hash=sha256:{row['download_info']['archive_info']['hashes']['sha256']}" for row in rows)
    header = "# Made by `./dev lock` from requirements.in, for CPython 3.11 on x86-64 Linux. Installed with --require-hashes --no-deps."
    (HERE / "requirements.lock").write_text("\n".join([header, *lines]) + "\n")
    print(f"{len(lines)} packages pinned")


if __name__ == "__main__":
    main()
