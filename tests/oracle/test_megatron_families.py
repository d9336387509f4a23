"""Real Megatron-Core opens what we convert, for every family, and gives the logits of transformers. Where Core 0.16.1 has no option
for what a family needs, a module stands in for it, and Core is asked live whether it still has none."""
import re
from pathlib import Path

import pytest
import torch

import closeness
import core_toys
import programs
import toys
from core_toys import TOYS

@pytest.mark.parametrize("toy", TOYS, ids=lambda t: t.name)
def test_megatron_core_computes_the_same_logits(toy, shelf, megatron, tmp_path, proves):
    proves(toy.family, "core logits")
    source, rows = shelf.path(toy), toys.token_rows(toy)
    programs.rialto("convert", source, tmp_path / "native")
    weights = next((tmp_path / "native").glob("iter_*"))
    answers = megatron("1x1", ("family_logits", {"config": core_toys.config_of(toy, source), "path": str(weights), "rows": rows}))
    with torch.no_grad():
        want = toys.load(source)(torch.tensor(rows)).logits
    closeness.assert_close("logits", torch.tensor(answers[0][0]), want)


def test_every_family_is_opened_by_core():
    assert {toy.family for toy in TOYS} | set(toys.MEGATRON) == set(toys.FAMILIES)


# How Core answers where it is not an option's name that is missing.
ANSWERS = {
    "moe_router_enable_expert_bias": "ValueError: Expert bias for aux-loss-free routing only supports sigmoid score function",
    "layernorm_zero_centered_gamma": "AssertionError: zero_centered_gamma not supported by torch LayerNorm; AssertionError: (RMSNorm) is not supported "
                                     "in FusedLayerNorm; ImportError: Transformer Engine is not installed",
    "k_channels": "TypeError: DotProductAttention.__init__() got an unexpected keyword argument 'k_channels'",
    "qk_layernorm_full_width": "a norm of 2 query heads of 4 has 4 weights",
    "moe_router_group_score_method": "of scores 9 0 | 6 5 the experts [2, 3] are taken",
    "original_max_position_embeddings": "RotaryEmbedding does not take it",
}


def first_name(row):
    return re.match(r"\w+", row["option"])[0]


def test_what_core_lacks_is_still_lacking(megatron, capsys):
    """Every option that a family of ours needs and Core has not, by name, and how Core itself answers."""
    rows = megatron("1x1", ("lacks", {}))[0][0]
    with capsys.disabled():
        for row in rows:
            print(f"\n{', '.join(row['families'])}: Megatron-Core 0.16.1 has no {row['option']}{row['when'] and ', for ' + row['when']}", end="")
    gained = [row["option"] for row in rows if row["answer"] is None]
    assert not gained, f"now Core can: move it (take the row from megatron_lacks.py and the module in its place from megatron_parts.py): {gained}"
    for row in rows:
        assert row["answer"].startswith(ANSWERS.get(first_name(row), "no option is called like ")), row
    assert {family for row in rows for family in row["families"]} <= set(toys.FAMILIES)


def test_an_option_that_core_gains_is_noticed(megatron):
    """Under its name, or as behaviour: a Core with one piece more makes one row say so."""
    rows = megatron("1x1", ("lacks", {}))[0][0]
    seen = set()
    for row in rows:
        if row["answer"].startswith("no option is called like"):
            for name in row["option"].split(", "):
                again = megatron("1x1", ("lacks", {"also": [name]}))[0][0]
                assert next(r for r in again if r["option"] == row["option"])["answer"] is None, f"a Core that takes {name} passes unseen"
            seen.add(row["option"])
    for piece, options in megatron("1x1", ("gains", {}))[0][0].items():
        assert len(options) == 1, f"{piece}: {options}"
        seen.update(options)
    assert seen == {row["option"] for row in rows}


def test_the_docs_list_what_core_lacks(megatron):
    rows = megatron("1x1", ("lacks", {}))[0][0]
    text = (Path(__file__).parents[2] / "docs" / "models" / "families.md").read_text()
    section = text.split("## What Megatron-Core lacks\n")[1].split("\n## ")[0]
    got = [line for line in section.splitlines() if line.startswith("| `")]
    want = [f"| `{row['option']}` | {', '.join(row['families'])} | " + (f"`{row['instead']}` |" if row["instead"] else f"{row['when']} |")
            for row in sorted(rows, key=lambda row: row["instead"] is None)]   # those that toys do without make the second table
    assert got == want, "docs/models/families.md should list\n" + "\n".join(want)
