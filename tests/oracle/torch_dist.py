"""Reads torch_dist checkpoints with torch.distributed.checkpoint alone: keys, shapes, whole tensors."""
import warnings
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata


def metadata(folder):
    return FileSystemReader(str(folder)).read_metadata()


def shapes(folder):
    """{key: global shape} of the tensors, and the set of object keys."""
    entries = metadata(folder).state_dict_metadata
    return ({k: tuple(v.size) for k, v in entries.items() if isinstance(v, TensorStorageMetadata)},
            {k for k, v in entries.items() if not isinstance(v, TensorStorageMetadata)})


def tensors(folder, keys=None):
    """{key: whole tensor}, in the dtype that is stored."""
    entries = {k: v for k, v in metadata(folder).state_dict_metadata.items() if isinstance(v, TensorStorageMetadata) and (keys is None or k in keys)}
    state = {k: torch.empty(v.size, dtype=v.properties.dtype) for k, v in entries.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.load(state, storage_reader=FileSystemReader(str(folder)), no_dist=True)
    return state


def common(folder):
    return torch.load(Path(folder) / "common.pt", weights_only=False)
