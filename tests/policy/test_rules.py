"""The include checker and the policy checker can fail: each is fed a violation."""
import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_include_table_refuses_a_wrong_direction():
    check = load("check_includes")
    assert check.check_file("x.cpp", "spec", '#include "rialto/bridge/plan.h"\n')
    assert not check.check_file("x.cpp", "bridge", '#include "rialto/spec/param.h"\n')


def test_include_table_refuses_torch_left_of_the_line():
    check = load("check_includes")
    assert check.check_file("x.cpp", "store", "#include <ATen/core/Tensor.h>\n")
    assert not check.check_file("x.cpp", "model", "#include <ATen/core/Tensor.h>\n")
    assert check.check_file("x.cpp", "model", "#include <torch/torch.h>\n")


def test_include_table_keeps_third_parties_at_home():
    check = load("check_includes")
    assert check.check_file("x.cpp", "store", "#include <nlohmann/json.hpp>\n")
    assert check.check_file("x.cpp", "convert", "#include <CLI/CLI.hpp>\n")


def test_include_table_has_no_cycle_and_finds_one():
    check = load("check_includes")
    assert check.find_cycle(check.TABLE) is None
    assert check.find_cycle({"a": ["b"], "b": ["a"]})


def test_policy_patterns_catch_what_they_are_for():
    policy = load("check_policy")
    bare = "GTEST_" "SKIP();"
    assert policy.UNFINISHED.search("// TO" "DO later")
    assert policy.SKIP.search(bare) and not policy.REASON.search(bare)
    assert policy.MKL.search("at::cos(angles)") and policy.MKL.search("logits.tanh_()") and not policy.MKL.search("std::exp(x)")
    assert policy.EXIT.search("  std::exit(1);") and not policy.EXIT.search("exit_code(kind)")


def test_checkers_pass_on_this_tree():
    for name in ("check_includes", "check_policy"):
        done = subprocess.run([sys.executable, ROOT / "tools" / f"{name}.py"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
