"""Texts that tokenizers are compared on: real ones, and random ones of all of Unicode."""
import os
import random
from pathlib import Path


def real_texts():
    library, licences = Path(os.__file__).parent, Path("/usr/share/common-licenses")
    files = [library / name for name in ("argparse.py", "ast.py", "typing.py", "this.py")] + sorted(path for path in licences.iterdir() if path.is_file())
    return [path.read_text(encoding="utf-8") for path in files]


def random_text(draw):
    """Words of the corpus, all planes of Unicode, and what normalizers and splitters stumble over."""
    out = []
    for _ in range(draw.randint(1, 12)):
        kind = draw.randrange(8)
        if kind < 3:
            out.append(draw.choice([" the", "return", " self.", "Python", "\n    ", "  ", "don't", " 12345", "'LL", "...", "\r\n", "\t"]))
        elif kind == 3:
            out.append(draw.choice(["e\u0301", "ﬁ", "①", "\u3000", "\u00a0", "\u200d", "🙂🏽", "ſ", "İ", "ﷺ", "\ufeff", "<s>", "</s>", "▁", "<0x41>", "\x00", "\u2581a"]))
        elif kind == 4:
            out.append(chr(draw.randrange(0x20, 0x3000)))
        else:
            out.append("".join(chr(point) for point in (draw.randrange(0x110000) for _ in range(draw.randint(1, 3))) if not 0xD800 <= point < 0xE000))
    return "".join(out)


def texts(seed, full, kinds):
    draw = random.Random(f"foreign {seed}")
    return ["", " ", "\n"] + [random_text(draw) for _ in range((100_000 if full else 6_000) // kinds)]
