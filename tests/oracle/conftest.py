"""Fixtures of the oracle tests. The programs are taken from $RIALTO_BIN. RIALTO_TEST_ALL=1 asks for the full counts,
RIALTO_TEST_SEED chooses what the default tier draws."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest  # noqa: E402
import torch  # noqa: E402

import programs  # noqa: E402
import toys  # noqa: E402

torch.set_num_threads(1)
SEED = int(os.environ.get("RIALTO_TEST_SEED", "0"))
ALL = os.environ.get("RIALTO_TEST_ALL") == "1"


def pytest_configure(config):
    try:
        programs.folder()
    except RuntimeError as error:
        pytest.exit(f"error: {error}", returncode=2)


def pytest_report_header(config):
    return f"rialto oracle tests: seed {SEED}, {'full counts' if ALL else 'rotating counts'}, programs {programs.folder()}"


class ToyShelf:
    """Makes each toy directory once a session."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, toy, dtype=torch.float32, sharded=False):
        name = f"{toy.name}-{str(dtype).removeprefix('torch.')}{'-sharded' if sharded else ''}"
        path = self.folder / name
        if not path.exists():
            toys.save(toy, path, dtype, sharded)
        return path


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    return ToyShelf(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="session")
def seed():
    return SEED


@pytest.fixture(scope="session")
def full():
    """True when every count of the full tier is wanted."""
    return ALL


@pytest.fixture
def proves(record_property):
    """proves(family, column): this test stands behind a cell of the table that `rialto models` prints."""
    return lambda family, column: record_property("cell", f"{family}/{column}")


@pytest.fixture(scope="session")
def megatron(tmp_path_factory):
    """megatron("2x2", ("new", {...}), ...): operations in long-lived Megatron processes, see megatron_worker.py."""
    from megatron_client import Megatron
    client = Megatron(tmp_path_factory.mktemp("megatron") / "worker.log")
    yield client
    client.close()
