"""What a run tells of itself: TensorBoard opens its event files, a trace shows its phases, a browser draws its report."""
import json
import os
import pty
import re
import select
import shutil
import subprocess

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import programs
import training_runs
from test_resume import RANDOM_MODEL, data, documents  # noqa: F401  (data is a fixture)

STEPS = 6


def values(data, run, **more):  # noqa: F811
    return {**data, **RANDOM_MODEL, "train.train_iters": STEPS, "checkpoint.save": run, "checkpoint.load": run, "validation.eval_interval": 3,
            "validation.eval_iters": 1, "logger.log_interval": 2, **more}


def scalars(folder):
    """{tag: [(step, value)]} as TensorBoard shows it."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def full_records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def close(got, want):
    """Event files hold floats."""
    assert [step for step, _ in got] == [step for step, _ in want]
    assert [value for _, value in got] == pytest.approx([value for _, value in want], rel=1e-6)


ALL_TAGS = {f"logger.log_{what}_to_tensorboard": True for what in ("throughput", "timers", "validation_ppl", "memory", "l2_norm_grad", "runtime", "world_size")}


@pytest.fixture(scope="module")
def watched(data, tmp_path_factory):  # noqa: F811
    """A run with everything on, stopped at 4, one of its later events written already, and resumed."""
    root = tmp_path_factory.mktemp("watched")
    run, board = root / "run", root / "board"
    more = {"logger.tensorboard_dir": board, **ALL_TAGS, "logger.timing_log_level": 2, "logger.log_params_norm": True, "optimizer.log_num_zeros_in_grad": True,
            "logger.save_config_filepath": root / "config.yaml", "logger.peak_tflops_per_device": 2.0, "logger.throughput_window_size": 2}
    training_runs.train(root / "a", values(data, run, **more, **{"train.exit_interval": 4}))
    # As after a crash: iteration 5 was told, and lost. A second run from the checkpoint of 4 tells another iteration 5.
    copy = root / "copy"
    shutil.copytree(run, copy)
    training_runs.train(root / "b", values(data, copy, **more, **{"train.exit_interval": 5, "optimizer.lr": 1e-3}))
    training_runs.train(root / "c", values(data, run, **more))
    return root


def test_tensorboard_reads_every_tag_once_per_step(watched):
    got, records = scalars(watched / "board"), full_records(watched / "run")
    steps = [r for r in records if r["kind"] == "train"]
    assert [r["iteration"] for r in steps] == list(range(1, STEPS + 1))
    close(got["lm loss"], [(r["iteration"], r["lm loss"]) for r in steps])
    close(got["lm loss vs samples"], [(r["consumed samples"], r["lm loss"]) for r in steps])
    for tag, name in (("grad-norm", "grad norm"), ("num-zeros", "num zeros"), ("params-norm", "params norm"), ("batch-size", "global batch size")):
        close(got[tag], [(r["iteration"], r[name]) for r in steps])
        assert f"{tag} vs samples" in got
    close(got["l2_norm/grad/global"], [(r["iteration"], r["grad norm"]) for r in steps])
    close(got["lm loss validation"], [(r["iteration"], r["lm loss"]) for r in records if r["kind"] == "validation"])
    assert {s for s, _ in got["lm loss validation ppl"]} == {0, 3, 6}
    close(got["learning-rate"][:-1], [(r["iteration"] - 1, r["learning rate"]) for r in steps[1:]])
    for tag in ("throughput/batches_per_sec", "throughput/samples_per_sec", "throughput/tokens_per_sec", "throughput/device/tokens_per_sec",
                "throughput/micro_batch_size", "time/remaining_estimate", "time/tokens", "time/total", "memory/mem-max-resident-gigabytes", "loss-scale", "world-size",
                "forward-backward-time", "optimizer-time", "batch-generator-time", "forward-compute-time", "backward-compute-time"):
        assert [s for s, _ in got[tag]] == list(range(1, STEPS + 1)), tag
    for tag in ("throughput/tflops", "throughput/tflops/device", "iteration-time"):
        assert [s for s, _ in got[tag]] == [2, 4, 6], tag


def test_a_file_cut_short_is_read_up_to_its_last_whole_event(watched, tmp_path):
    newest = sorted((watched / "board").iterdir())[-1]
    (tmp_path / newest.name).write_bytes(newest.read_bytes()[:-7])
    assert [s for s, _ in scalars(tmp_path)["grad-norm"]] == [5, 6]


def test_records_say_where_the_time_went(watched):
    for record in full_records(watched / "run"):
        if record["kind"] != "train":
            continue
        time = record["time"]
        assert {"data", "forward", "backward", "optimizer"} <= time["phases_ms"].keys()
        assert sum(time["phases_ms"][p] for p in ("data", "forward", "backward", "optimizer")) <= time["elapsed_ms"]
        assert time["memory"]["mem-max-resident-gigabytes"] >= time["memory"]["mem-resident-gigabytes"] > 0.01
        assert time["model_flops_utilization"] == pytest.approx(time["exact_tflops_per_s"] / 2.0)
    assert "evaluate" in full_records(watched / "run")[1]["time"]["phases_ms"]


def test_the_resolved_configuration_is_written(watched):
    done = programs.rialto("config", "check", watched / "config.yaml", exit_code=None)
    assert "tensorboard_dir" in (watched / "config.yaml").read_text()
    assert done.returncode == 0, done.stderr


def test_step_lines_have_megatrons_optional_fields(data, tmp_path):  # noqa: F811
    recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", {
        **data, **RANDOM_MODEL, "train.train_iters": 2, "logger.log_interval": 1, "logger.log_throughput": False, "logger.log_params_norm": True,
        "optimizer.log_num_zeros_in_grad": True, "logger.timing_log_level": 1})
    out = programs.rialto_train("train", recipe).stdout
    lines = [line for line in out.splitlines() if " iteration " in line]
    number = r"[0-9.]+"
    for line in lines:
        assert re.fullmatch(rf" \[[-0-9]+ [:0-9]+\] iteration +[12]/ +2 \| consumed samples: +[24] \| elapsed time per iteration \(ms\): {number} \| learning rate: "
                            rf"\S+ \| global batch size: +2 \| lm loss: \S+ \| loss scale: 1.0 \| grad norm: {number} \| num zeros: [0-9]+ \| params norm: {number} \|"
                            r" number of skipped iterations:   0 \| number of nan iterations:   0 \|", line), line
    assert out.count("(min, max) time across ranks (ms):\n    forward-backward ...............................: (") == 2


def test_a_trace_shows_the_phases_of_the_chosen_iterations(data, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    training_runs.train(tmp_path / "a", values(data, run, **{
        "profiling.use_pytorch_profiler": True, "profiling.profile_step_start": 2, "profiling.profile_step_end": 4, "profiling.record_shapes": True,
        "train.global_batch_size": 4}))
    trace = json.loads((run / "profile" / "rank_0_iterations_3-4.json").read_text())
    names = [event["name"] for event in trace["traceEvents"] if event.get("ph") == "X" and event.get("cat") == "user_annotation"]
    assert names.count("optimizer") == 2 and names.count("data") == 2
    assert names.count("forward") == 4 and names.count("backward") == 4   # two micro-batches each
    operators = [event for event in trace["traceEvents"] if event.get("cat") == "cpu_op"]
    assert operators and any("Input Dims" in event.get("args", {}) for event in operators)
    plain = training_runs.train(tmp_path / "b", values(data, tmp_path / "plain", **{"train.global_batch_size": 4}))
    assert training_runs.records(run / "metrics.jsonl") == training_runs.records(tmp_path / "plain" / "metrics.jsonl"), plain


@pytest.mark.parametrize("key", ["use_nsys_profiler", "nvtx_ranges", "record_memory_history"])
def test_what_needs_a_gpu_is_refused_without_one(key, data, tmp_path):  # noqa: F811
    done = training_runs.train(tmp_path / "a", values(data, tmp_path / "run", **{f"profiling.{key}": True}), exit_code=2, env={"CUDA_VISIBLE_DEVICES": ""})
    programs.refused(done, f"profiling.{key}", "GPU")
    assert not (tmp_path / "run").exists()


def test_a_terminal_sees_a_bar(data, tmp_path):  # noqa: F811
    recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", {**data, **RANDOM_MODEL, "train.train_iters": 10**6})
    ours, theirs = pty.openpty()
    run = subprocess.Popen([programs.folder() / "rialto-train", "train", recipe, "--threads", "1"], stdout=subprocess.DEVNULL, stderr=theirs)
    seen = ""
    try:
        while "left" not in seen and select.select([ours], [], [], 60)[0]:
            seen += os.read(ours, 4096).decode()
    finally:
        run.kill()
        run.wait()
    assert re.search(r"training \[#* *\] +[0-9]+ %  .* of [0-9]+ ?[kM]? iterations, .*/s, [0-9:]+ left", seen), seen


def browser():
    """Debian's package, or another Chromium."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: ./dev setup installs it"
    return found


def dom(page):
    """The page's elements after its script has run, without a network."""
    done = subprocess.run([browser(), "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000", "--dump-dom",
                           page.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def drawn(text, series, run):
    """The points of a curve in the units of its data, out of the drawing."""
    card = re.search(rf'<div class="card" data-series="{re.escape(series)}" data-range="\[([^"]*)\]">(.*?)</svg>', text, re.S)
    assert card, series
    x0, x1, y0, y1 = map(float, card[1].split(","))
    points = re.search(rf'points="([^"]*)" data-run="{run}"', card[2])[1]
    xy = [tuple(map(float, p.split(","))) for p in points.split()]
    return [(x0 + (x - 46) / 346 * (x1 - x0), y0 + (198 - y) / 190 * (y1 - y0)) for x, y in xy], (y1 - y0)


def test_a_browser_draws_the_records(watched, data, tmp_path):  # noqa: F811
    training_runs.train(tmp_path / "a", values(data, tmp_path / "other", **{"optimizer.lr": 5e-3}))
    page = tmp_path / "report.html"
    programs.rialto("report", watched / "run", tmp_path / "other", "-o", page)
    text = dom(page)
    for number, run in enumerate((watched / "run", tmp_path / "other")):
        steps = [r for r in full_records(run) if r["kind"] == "train"]
        for series, value in (("lm loss", lambda r: r["lm loss"]), ("grad norm", lambda r: r["grad norm"]), ("learning rate", lambda r: r["learning rate"]),
                              ("time/tokens_per_s", lambda r: r["time"]["tokens_per_s"])):
            points, height = drawn(text, series, number)
            assert [round(x, 1) for x, _ in points] == [r["iteration"] for r in steps]
            assert [y for _, y in points] == pytest.approx([value(r) for r in steps], abs=1e-3 * height + 1e-12)
    differing = re.search(r'<table id="differing">(.*?)</table>', text, re.S)[1]
    assert "optimizer.lr" in differing and "0.005" in differing and "train.train_iters" not in differing
    assert 'id="common"' in text and "Where the time goes" in text
    assert "http" not in re.sub(r"http://www.w3.org/\S+", "", page.read_text())


def test_samples_are_the_models_own_words(data, tmp_path):  # noqa: F811
    """After each evaluation the likeliest tokens behind the beginning of the first held-out sample, as transformers goes on from there."""
    import torch
    import transformers

    report = training_runs.train(tmp_path / "a", values(data, tmp_path / "run", **{"mixed_precision": "fp32", "logger.sample_tokens": 5, "optimizer.lr": 2e-2}))
    assert report["iteration"] == STEPS
    samples = [r for r in full_records(tmp_path / "run") if r["kind"] == "sample"]
    assert [r["iteration"] for r in samples] == [0, 3, 6]
    programs.rialto("convert", tmp_path / "run" / "iter_0000006", tmp_path / "hf")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.tensor([samples[-1]["prompt"]])
    assert ids.shape == (1, 16)
    written = model.generate(ids, max_new_tokens=5, do_sample=False, pad_token_id=0)[0, 16:].tolist()
    assert samples[-1]["text"] == written
    programs.rialto("report", tmp_path / "run", "-o", tmp_path / "report.html")
    table = re.search(r'<table id="samples">(.*?)</table>', dom(tmp_path / "report.html"), re.S)[1]
    assert " ".join(map(str, written)) in table


def test_runs_are_listed(watched):
    rows = {row["folder"]: row for row in programs.rialto_json("runs", watched)}
    assert set(rows) == {str(watched / "run"), str(watched / "copy")}
    run = rows[str(watched / "run")]
    last = [r for r in full_records(watched / "run") if r["kind"] == "train"][-1]
    assert (run["iteration"], run["state"], run["checkpoint"], run["lm loss"]) == (STEPS, "finished", "iter_0000006", last["lm loss"])
    assert "iter_0000005" in programs.rialto("runs", watched).stdout
