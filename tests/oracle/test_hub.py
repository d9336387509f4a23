"""Models by name: fetched from a Hub into huggingface_hub's own cache, whatever goes wrong on the way."""
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import safetensors.torch
import torch

import programs
import toys
import training_runs
from hub_server import Hub, digest

LLAMA = toys.BY_NAME["llama"]
NAME = "org/toy"
EXTRAS = {"tokenizer.json": b"{}", "tokenizer_config.json": b"{ }", "chat_template.jinja": b"{{ messages }}",
          "additional_chat_templates/tool.jinja": b"tool"}
LEFT = {"README.md": b"# a model", "original/params.json": b"{}", "consolidated.safetensors": b"the same once more",
        "pytorch_model.bin": b"the same as a pickle", "modeling_own.py": b"import os"}


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def there(hub, tmp_path):
    """The environment of a user whose home is empty."""
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0", "HF_TOKEN": "",
            "HF_HUB_CACHE": "", "NO_PROXY": "127.0.0.1,localhost"}


@pytest.fixture
def files(shelf):
    return files_of(shelf.path(LLAMA))


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def cache(there):
    return os.path.join(there["HF_HOME"], "hub")


def inspect(there, name=NAME):
    return programs.rialto_json("inspect", name, env=there)


def refused(there, *words, name=NAME, exit_code=3, env=None):
    return programs.refused(programs.rialto("inspect", name, exit_code=exit_code, env={**there, **(env or {})}), *words)


def theirs(there, code):
    """What huggingface_hub says, in a process of its own."""
    script = f"import json, huggingface_hub as hub\nprint(json.dumps({code}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **{k: v for k, v in there.items() if v}, "HF_HUB_DISABLE_XET": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def incomplete(there):
    return [os.path.join(at, name) for at, _, names in os.walk(cache(there)) for name in names if name.endswith(".incomplete")]


def test_first_download_and_none_after_it(hub, there, files, tmp_path):
    commit = hub.add(NAME, {**files, **EXTRAS, **LEFT})
    report = inspect(there)
    assert report["path"] == f"{cache(there)}/models--org--toy/snapshots/{commit}"
    assert set(report["companions"]) >= set(EXTRAS)
    for name in files | EXTRAS:
        with open(os.path.join(report["path"], name), "rb") as file:
            assert file.read() == {**files, **EXTRAS}[name], name
    assert not any(os.path.exists(os.path.join(report["path"], name)) for name in LEFT)
    assert not incomplete(there)
    hub.requests.clear()
    assert inspect(there) == report
    assert not hub.requests, "a complete snapshot needs no request"


def test_convert_gives_what_the_folder_gives(hub, there, shelf, tmp_path):
    folder = shelf.path(LLAMA, sharded=True)
    commit = hub.add(NAME, files_of(folder), branch="v1")
    programs.rialto("convert", folder, tmp_path / "a")
    programs.rialto("convert", NAME, tmp_path / "b", "--revision", "v1", env=there)
    assert programs.snapshot(tmp_path / "a") == programs.snapshot(tmp_path / "b")
    hub.requests.clear()
    for spelling in (f"{NAME}@v1", f"{NAME}@{commit}"):
        programs.rialto("verify", spelling, tmp_path / "b", env=there)
    assert not hub.requests
    programs.refused(programs.rialto("convert", folder, tmp_path / "c", "--revision", "v1", exit_code=2), "--revision", folder)


def test_a_dry_run_fetches_config_and_index_only(hub, there, shelf, tmp_path):
    hub.add(NAME, {**files_of(shelf.path(LLAMA, sharded=True)), **EXTRAS})
    report = programs.rialto_json("convert", NAME, tmp_path / "out", "--dry-run", env=there)
    assert report["proved"] == "names only" and not [host for host, *_ in hub.requests if host == "files"]
    assert {path.rsplit("/", 1)[1] for path in hub.paths("GET") if "/resolve/" in path} == {"config.json", "model.safetensors.index.json"}
    hub.requests.clear()
    offline = programs.rialto_json("convert", NAME, tmp_path / "out", "--dry-run", env={**there, "HF_HUB_OFFLINE": "1"})
    assert offline["proved"] == "names only" and not hub.requests
    refused(there, "the cache lacks", env={"HF_HUB_OFFLINE": "1"})
    programs.rialto("convert", NAME, tmp_path / "out", env=there)
    assert programs.rialto_json("convert", NAME, tmp_path / "other", "--dry-run", env=there)["proved"] == "shapes and names"
    assert not (tmp_path / "other").exists()


def test_logits_and_training_take_names(hub, there, shelf, tmp_path):
    folder = shelf.path(LLAMA)
    hub.add(NAME, files_of(folder))
    (tmp_path / "rows.json").write_text("[[1, 2, 3, 4]]")
    for model, out in ((folder, "a"), (NAME, "b")):
        programs.rialto("logits", model, "--tokens", tmp_path / "rows.json", "--out", tmp_path / out, env=there)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    row = [1, 2, 3, 4, 5, 6, 7, 8, 1]
    values = {"dataset.data_path": training_runs.repeated_row(tmp_path / "data", row, 16), "dataset.seq_length": len(row) - 1,
              "train.train_iters": 2}
    reports = [training_runs.train(tmp_path / out, {**values, "checkpoint.pretrained_checkpoint": model}, env=there)
               for model, out in ((folder, "by-path"), (NAME, "by-name"))]
    assert reports[0].pop("seconds") and reports[1].pop("seconds")
    assert reports[0] == reports[1]


def test_an_existing_path_wins(hub, there, shelf, tmp_path):
    (tmp_path / "org").mkdir()
    os.symlink(shelf.path(LLAMA), tmp_path / "org" / "toy")
    assert programs.rialto_json("inspect", NAME, env=there, cwd=tmp_path)["path"] == NAME
    assert not hub.requests


def test_pickles_only_where_there_is_nothing_else(hub, there, files):
    stream = io.BytesIO()
    torch.save(safetensors.torch.load(files.pop("model.safetensors")), stream)
    hub.add(NAME, {**files, "pytorch_model.bin": stream.getvalue()})
    assert [shard["file"] for shard in inspect(there)["shards"]] == ["pytorch_model.bin"]


def test_a_killed_download_is_gone_on_with(hub, there, files):
    hub.add(NAME, files)
    size = len(files["model.safetensors"])
    hub.faults.hold = threading.Event()
    command = [str(programs.folder() / "rialto"), "inspect", NAME]
    process = subprocess.Popen(command, env={**os.environ, **there}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(os.path.getsize(path) == size // 2 for path in incomplete(there)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.faults.hold.set()
    hub.faults.hold = None
    assert inspect(there)["tensors"] > 0
    assert [part for host, _, _, _, part in hub.requests if host == "files"] == [None, f"bytes={size // 2}-"]
    assert not incomplete(there)


def test_two_at_once_fetch_each_file_once(hub, there, files):
    hub.add(NAME, {**files, **EXTRAS})
    hub.faults.hold = threading.Event()
    command = [str(programs.folder() / "rialto"), "inspect", NAME]
    both = [subprocess.Popen(command, env={**os.environ, **there}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]
    deadline = time.monotonic() + 60
    while sum("/api/models/" in path for path in hub.paths()) < 2 or not incomplete(there):
        assert time.monotonic() < deadline and all(process.poll() is None for process in both)
        time.sleep(0.02)
    time.sleep(0.5)
    hub.faults.hold.set()
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    fetched = [path for host, method, path, _, _ in hub.requests if host == "files" and method == "GET"]
    assert len(fetched) == 1
    assert any("waiting for another process" in text for text in errors)


def test_broken_connections_are_taken_up_again(hub, there, files):
    hub.add(NAME, files)
    hub.faults.cut = [1000, 2000, 500]
    hub.faults.busy = 1
    inspect(there)
    parts = [part for host, _, _, _, part in hub.requests if host == "files"]
    assert parts == [None, None, "bytes=1000-", "bytes=3000-", "bytes=3500-"]


def test_a_server_that_knows_no_ranges(hub, there, files):
    hub.add(NAME, files)
    hub.faults.cut, hub.faults.ignore_range = [1000], True
    path = os.path.join(inspect(there)["path"], "model.safetensors")
    with open(path, "rb") as file:
        assert file.read() == files["model.safetensors"]


def test_a_body_that_always_ends_early(hub, there, files):
    hub.add(NAME, files)
    hub.faults.cut, hub.faults.ignore_range = [1000] * 20, True
    refused(there, "model.safetensors", exit_code=1)
    assert not os.path.exists(f"{cache(there)}/models--org--toy/blobs/{digest('model.safetensors', files['model.safetensors'])}")


def test_damage_is_noticed(hub, there, files):
    hub.add(NAME, files)
    hub.faults.damage = True
    etag = digest("model.safetensors", files["model.safetensors"])
    refused(there, "model.safetensors", "SHA-256", etag)
    assert not [path for path in incomplete(there) if etag in path]
    assert etag not in os.listdir(f"{cache(there)}/models--org--toy/blobs")
    hub.faults.damage = False
    inspect(there)


def test_a_damaged_part_is_fetched_anew(hub, there, files):
    hub.add(NAME, files)
    etag = digest("model.safetensors", files["model.safetensors"])
    blobs = f"{cache(there)}/models--org--toy/blobs"
    os.makedirs(blobs)
    with open(f"{blobs}/{etag}.incomplete", "wb") as file:
        file.write(b"x" * 1000)
    inspect(there)
    assert [part for host, _, _, _, part in hub.requests if host == "files"] == ["bytes=1000-", None]


def test_a_full_disk_leaves_nothing_wrong(hub, there, files):
    hub.add(NAME, files)
    refused(there, "No space left", exit_code=1, env={"RIALTO_TEST_FAULT": "full:write:5000"})
    inspect(there)


def test_offline_only_what_is_cached(hub, there, files):
    hub.add(NAME, files)
    offline = {"HF_HUB_OFFLINE": "1"}
    refused(there, NAME, "'main' is not in the cache", "HF_HUB_OFFLINE", env=offline)
    assert not hub.requests
    path = inspect(there)["path"]
    hub.requests.clear()
    assert inspect({**there, **offline})["path"] == path
    os.remove(os.path.join(path, "model.safetensors"))
    refused(there, "lacks model.safetensors", env=offline)
    assert not hub.requests
    inspect(there)
    assert os.path.exists(os.path.join(path, "model.safetensors"))
    assert not [host for host, *_ in hub.requests if host == "files"], "the blob is still there"


def test_the_token_is_for_the_endpoint_only(hub, there, files):
    hub.add(NAME, files, token="good")
    refused(there, "no such model", "HF_TOKEN")
    refused(there, "does not accept the token", env={"HF_TOKEN": "wrong"})
    hub.requests.clear()
    os.makedirs(there["HF_HOME"], exist_ok=True)
    with open(os.path.join(there["HF_HOME"], "token"), "w") as file:
        file.write("good\n")
    inspect(there)
    assert {(host, token) for host, _, _, token, _ in hub.requests} == {("hub", "Bearer good"), ("files", None)}


def test_gated(hub, there, files):
    hub.add(NAME, files, token="good", gated=True)
    refused(there, "is gated", f"{hub.url}/{NAME}", "HF_TOKEN")
    refused(there, "no access", f"{hub.url}/{NAME}", env={"HF_TOKEN": "other"})
    inspect({**there, "HF_TOKEN": "good"})


def test_what_is_not_there_is_named(hub, there, files):
    hub.add(NAME, files)
    refused(there, NAME, "no revision 'v9'", name=f"{NAME}@v9")
    refused(there, "org/none", "no such folder here, and no such model", name="org/none")
    hub.add("org/bare", {"config.json": b"{}"})
    refused(there, "org/bare", "holds no weights", name="org/bare")
    hub.add("org/hole", {"config.json": b"{}", "model.safetensors.index.json": b'{"weight_map": {"a": "s.safetensors"}}'})
    refused(there, "org/hole", "lacks 's.safetensors'", name="org/hole")
    hub.add("org/out", {"config.json": b"{}", "model.safetensors.index.json": b'{"weight_map": {"a": "../s.safetensors"}}'})
    refused(there, "index.json", "../s.safetensors", name="org/out")


def test_without_a_server(hub, there, files):
    hub.add(NAME, {**files, **EXTRAS})
    path = inspect(there)["path"]
    hub.close()
    refused(there, "no such folder here", hub.url, name="org/none", exit_code=1)
    assert inspect(there)["path"] == path
    os.remove(f"{cache(there)}/models--org--toy/.rialto/{os.path.basename(path)}")
    done = programs.rialto("inspect", NAME, "--json", env=there)
    assert json.loads(done.stdout)["path"] == path and "going on with what is in the cache" in done.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """An authority of our own and what it signed for localhost: (authority, chain, key)."""
    folder = tmp_path_factory.mktemp("certificate")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for command in (["req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"],
                    ["req", *new, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost"],
                    ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-out", "chain.pem", "-extfile", "names"]):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem", folder / "chain.pem", folder / "key.pem"


def test_encrypted_and_only_with_whom_it_should_be(there, files, certificate):
    authority, *own = certificate
    hub = Hub(own)
    hub.add(NAME, {name: data for name, data in files.items() if not name.endswith(".safetensors")})
    there = {**there, "HF_ENDPOINT": hub.url}
    refused(there, "certificate", exit_code=1)
    refused({**there, "HF_ENDPOINT": hub.url.replace("localhost", "127.0.0.1")}, "certificate not valid for name", exit_code=1,
            env={"SSL_CERT_FILE": str(authority)})
    assert not hub.requests
    refused(there, "holds no weights", env={"SSL_CERT_FILE": str(authority)})
    assert hub.requests
    # a file on a host without encryption is not fetched from there
    hub.add(NAME, files)
    refused(there, "no https address", env={"SSL_CERT_FILE": str(authority)})
    hub.close()


def test_huggingface_hub_finds_what_we_fetched(hub, there, files):
    commit = hub.add(NAME, {**files, **EXTRAS}, branch="main")
    path = inspect(there)["path"]
    hub.requests.clear()
    assert theirs(there, f"hub.snapshot_download({NAME!r}, local_files_only=True)") == path
    assert theirs(there, f"hub.try_to_load_from_cache({NAME!r}, 'config.json')") == f"{path}/config.json"
    assert theirs(there, f"hub.hf_hub_download({NAME!r}, 'model.safetensors', revision={commit!r})") == f"{path}/model.safetensors"
    assert theirs(there, "[[repo.repo_id, len(repo.revisions), repo.size_on_disk] for repo in hub.scan_cache_dir().repos]") == [
        [NAME, 1, sum(len(data) for data in {**files, **EXTRAS}.values())]]
    assert not [path for path in hub.paths() if NAME in path]


def test_we_accept_what_huggingface_hub_fetched(hub, there, files):
    hub.add(NAME, {**files, **EXTRAS, "README.md": b"text"})
    path = theirs(there, f"hub.snapshot_download({NAME!r})")
    before = set(os.listdir(f"{cache(there)}/models--org--toy/blobs"))
    hub.requests.clear()
    assert inspect({**there, "HF_HUB_OFFLINE": "1"})["path"] == path
    assert not hub.requests
    report = inspect(there)
    assert report["path"] == path and set(report["companions"]) >= set(EXTRAS)
    assert len(hub.requests) == 1, "one question, whether more files belong to it"
    assert set(os.listdir(f"{cache(there)}/models--org--toy/blobs")) == before


def test_what_they_fetched_in_part_is_completed(hub, there, files):
    hub.add(NAME, {**files, **EXTRAS})
    theirs(there, f"hub.snapshot_download({NAME!r}, allow_patterns=['config.json', 'model.safetensors'])")
    hub.requests.clear()
    assert set(inspect(there)["companions"]) >= set(EXTRAS)
    assert not [path for path in hub.paths() if "safetensors" in path]
    hub.add(NAME, {**files, "tokenizer.json": b"another"})
    assert set(inspect(there)["companions"]) >= set(EXTRAS), "a branch keeps its commit once it is in the cache"
