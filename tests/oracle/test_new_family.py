"""`rialto models new`: a model that transformers saved, under a name that no family has, is explained by a known family, wholly; one
tensor or key more is named."""
import json
import shutil

import pytest

import programs
import toys
from mutations import Safetensors


@pytest.fixture
def renamed(shelf, tmp_path):
    """renamed(toy): its folder, with an architecture that nobody knows."""
    def make(toy):
        folder = shutil.copytree(shelf.path(toy), tmp_path / "hf")
        config = json.loads((folder / "config.json").read_text())
        config.update(architectures=["FooForCausalLM"], model_type="foo", auto_map={"AutoModelForCausalLM": "modeling_foo.FooForCausalLM"})
        (folder / "config.json").write_text(json.dumps(config))
        return folder
    return make


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_a_model_under_another_name_is_explained(family, renamed, tmp_path):
    folder = renamed(next(t for t in toys.TOYS if t.family == family))
    programs.refused(programs.rialto("convert", folder, tmp_path / "out", exit_code=3), "FooForCausalLM", "modeling_foo.FooForCausalLM", "never run", "nearest")
    report = programs.rialto_json("models", "new", "foo", "--from", folder, "--out", tmp_path / "foo.cpp")
    assert report["matched"] == report["tensors"] > 10, report
    for left in ("unmatched", "unused", "reshaped", "missing", "new_keys", "refused_values", "absent_keys", "refusal"):
        assert not report[left], (left, report[left])
    text = (tmp_path / "foo.cpp").read_text()
    assert "const Family foo_family = {" in text and '"FooForCausalLM"' in text and "no row names" not in text


def test_what_is_new_in_a_model_is_named(renamed, tmp_path):
    folder = renamed(toys.BY_NAME["qwen3"])
    file = Safetensors(folder / "model.safetensors")
    data = next(e for e in file.entries if e[0] == "model.layers.1.self_attn.q_norm.weight")
    file.entries.append(["model.layers.1.self_attn.v_norm.weight", *data[1:]])
    file.write(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "v_norm_eps": 1e-4}))
    report = programs.rialto_json("models", "new", "foo", "--from", folder, "--out", tmp_path / "foo.cpp")
    assert report["nearest"]["family"] == "qwen3" and report["matched"] == report["tensors"] - 1
    assert [group["tensors"] for group in report["unmatched"]] == [["model.layers.1.self_attn.v_norm.weight"]]
    assert report["new_keys"] == [{"key": "v_norm_eps", "value": "0.0001", "note": ""}]
    text = (tmp_path / "foo.cpp").read_text()
    assert '// {"model.layers.{l}.self_attn.v_norm.weight", ""},  // (12); l 1' in text.splitlines()
    assert '// {"v_norm_eps", kMustEqual, "0.0001"},' in text
