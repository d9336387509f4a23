"""How long `rialto` takes to refuse each broken configuration of tests/oracle/broken_configs.py: the whole program, start included."""
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import BIN, ROOT, median, table

sys.path.insert(0, str(ROOT / "tests/oracle"))
import broken_configs  # noqa: E402


def seconds(rialto, words):
    start = time.monotonic()
    done = subprocess.run([rialto, "train", *words], cwd=rialto.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    taken = time.monotonic() - start
    assert done.returncode == 2, words
    return taken


def run():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rialto = broken_configs.alone(BIN / "rialto", folder)
        files = [broken_configs.written(folder, number, row[1]) for number, row in enumerate(broken_configs.overlays(rialto, folder))]
        commands = [*([file] for file in files), *(["base.yaml", *words] for _, words, _ in broken_configs.OVERRIDES)]
        taken = [seconds(rialto, words) for words in commands]
    rows = [["the slowest", f"{max(taken) * 1e3:.0f} ms", "< 2 s"], ["the median", f"{median(taken) * 1e3:.1f} ms", ""]]
    return table(f"Refusing a broken configuration ({len(taken):,} of them)", ["which", "exec to exit", "must reach"], rows)
