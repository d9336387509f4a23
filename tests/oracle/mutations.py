"""Damages checkpoints in one place at a time. A mutation is (kind, what it damages, expectation): "structure" must be refused by
convert, "value" must be found by verify (and, in a native checkpoint with its manifest, by reading it)."""
import json
import pickle
import random
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from torch.distributed.checkpoint.metadata import MetadataIndex, TensorStorageMetadata


@dataclass
class Mutation:
    kind: str       # see HF_KINDS and NATIVE_KINDS
    target: str     # the tensor or key
    value: bool     # a value mutation: structure is untouched
    named: tuple    # the error line names one of these


HF_KINDS = ("drop", "rename", "duplicate", "reshape", "flip", "transpose", "swap", "scale")
NATIVE_KINDS = ("drop", "rename", "duplicate", "reshape", "flip", "swap")
EXPERT, SCALE = re.compile(r"(.*\.experts\.)(\d+)(\..*)"), re.compile(r".*(_scale_inv|_scale|_scales)$")


class Safetensors:
    """A safetensors file as a list of (name, dtype, shape, bytes): may hold what the format forbids."""

    def __init__(self, path):
        data = Path(path).read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        self.metadata = header.pop("__metadata__", None)
        body = data[8 + size:]
        self.entries = [[name, h["dtype"], h["shape"], body[h["data_offsets"][0]:h["data_offsets"][1]]] for name, h in header.items()]

    def write(self, path):
        at, parts = 0, []
        if self.metadata is not None:
            parts.append(f'"__metadata__":{json.dumps(self.metadata)}')
        for name, dtype, shape, data in self.entries:   # by hand, since a dict cannot hold a name twice
            parts.append(f'{json.dumps(name)}:{json.dumps({"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]})}')
            at += len(data)
        header = ("{" + ",".join(parts) + "}").encode()
        header += b" " * (-len(header) % 8)
        Path(path).write_bytes(struct.pack("<Q", len(header)) + header + b"".join(e[3] for e in self.entries))


def flipped(data, draw):
    """One bit of the bytes turned over."""
    place = draw.randrange(len(data) * 8)
    out = bytearray(data)
    out[place // 8] ^= 1 << (place % 8)
    return bytes(out)


def other_shape(shape, draw):
    """The same number of elements in another shape."""
    count = 1
    for size in shape:
        count *= size
    shapes = [s for s in ([count], [1, *shape], [*shape, 1], shape[::-1], [count // 2, 2] if count % 2 == 0 else [count]) if s != shape]
    return draw.choice(shapes)


def grown(shape, draw):
    axis = draw.randrange(len(shape))
    return [size + (i == axis) for i, size in enumerate(shape)]


def transposed(entry):
    """The bytes of a square matrix transposed; of another matrix too, under its old shape."""
    rows, columns = entry[2]
    size = len(entry[3]) // (rows * columns)
    cells = [entry[3][i * size:(i + 1) * size] for i in range(rows * columns)]
    return b"".join(cells[r * columns + c] for c in range(columns) for r in range(rows))


def swappable(file):
    """(first entry, second entry) of two experts' same tensor, or one packed entry of several experts."""
    groups = {}
    for entry in file.entries:
        if found := EXPERT.fullmatch(entry[0]):
            groups.setdefault((found[1], found[3]), []).append(entry)
    return [g for g in groups.values() if len(g) > 1], [e for e in file.entries if ".experts." in e[0] and len(e[2]) == 3]


def swap_experts(file, draw):
    """Exchanges the bytes of two experts; the name of one of them."""
    separate, packed = swappable(file)
    if separate:
        one, other = draw.sample(draw.choice(separate), 2)
        one[3], other[3] = other[3], one[3]
        return one[0]
    entry = draw.choice(packed)
    size = len(entry[3]) // entry[2][0]
    parts = [entry[3][i * size:(i + 1) * size] for i in range(entry[2][0])]
    a, b = draw.sample(range(len(parts)), 2)
    parts[a], parts[b] = parts[b], parts[a]
    entry[3] = b"".join(parts)
    return entry[0]


def kinds_of(source):
    """What can be done to a HF directory: swaps need experts, removed scales need scales."""
    files = [Safetensors(path) for path in sorted(source.glob("*.safetensors"))]
    names = [e[0] for file in files for e in file.entries]
    without = set() if any(map(SCALE.fullmatch, names)) else {"scale"}
    without |= set() if any(any(swappable(file)) for file in files) else {"swap"}
    return [kind for kind in HF_KINDS if kind not in without]


def able(kind, file):
    """The numbers of the entries of a file that a kind can damage."""
    if kind == "swap":
        return [0] if any(swappable(file)) else []
    return [n for n, e in enumerate(file.entries) if (kind != "transpose" or len(e[2]) == 2 and min(e[2]) > 1) and (kind != "scale" or SCALE.fullmatch(e[0]))]


def mutate_hf(source, target, draw, kind):
    """Writes a damaged copy of a HF directory to `target`."""
    shutil.copytree(source, target)
    path, file, numbers = draw.choice([(p, f, n) for p in sorted(target.glob("*.safetensors")) for f in [Safetensors(p)] if (n := able(kind, f))])
    index_path = target / "model.safetensors.index.json"
    index = json.loads(index_path.read_text()) if index_path.exists() else None
    if kind == "transpose":   # square ones first: their shape does not give them away
        numbers = [n for n in numbers if file.entries[n][2][0] == file.entries[n][2][1]] or numbers
    number = draw.choice(numbers)
    entry = file.entries[number]
    name = entry[0]
    named = (name, name.rsplit("_scale", 1)[0])   # scales are named by their codes
    if kind in ("drop", "scale"):
        del file.entries[number]
        if index and draw.random() < 0.5:   # from the index too: nobody lists it any more
            del index["weight_map"][name]
    elif kind == "rename":
        entry[0] = draw.choice([name + "s", "model." + name, name.replace("layers.", "layers.1") if "layers." in name else name.upper(), name[:-1]])
        named += (entry[0],)
        if index and draw.random() < 0.5:
            index["weight_map"][entry[0]] = index["weight_map"].pop(name)
    elif kind == "duplicate":
        twice = draw.choice([name, name.replace("layers.", "layers.7") if "layers." in name else name + ".copy"])
        file.entries.insert(draw.randrange(len(file.entries) + 1), [twice, *entry[1:]])
        named += (twice,)
        if index and twice != name:
            index["weight_map"][twice] = path.name
    elif kind == "reshape":
        reshape(entry, draw)
    elif kind == "transpose":
        entry[3] = transposed(entry)
    elif kind == "swap":
        name = swap_experts(file, draw)
    else:
        entry[3] = flipped(entry[3], draw)
    file.write(path)
    if index:
        index_path.write_text(json.dumps(index))
    return Mutation(kind, name, kind in ("flip", "transpose", "swap"), named)


def reshape(entry, draw):
    """Another shape for an entry, its bytes cut or repeated to fit."""
    if draw.random() < 0.5:
        entry[2] = other_shape(entry[2], draw)
        return
    shape, count, old = grown(entry[2], draw), 1, 1
    for size, was in zip(shape, entry[2]):
        count, old = count * size, old * was
    entry[3] = (entry[3] * 2)[: len(entry[3]) // old * count]
    entry[2] = shape


def span(place):
    """Where a stored chunk lies."""
    return place.relative_path, place.offset, place.length


def with_one_key(keys, places):
    """Those whose bytes no other key names: of two keys for the same bytes, either may go."""
    owners = {}
    for index, place in places.items():
        owners.setdefault(span(place), set()).add(index.fqn)
    shared = {key for names in owners.values() if len(names) > 1 for key in names}
    return [key for key in keys if key not in shared]


def mutate_native(source, target, draw, kind):
    """Writes a damaged copy of a native root to `target`, without its manifest: as if another program had written it so."""
    shutil.copytree(source, target)
    folder = next(target.glob("iter_*"))
    (folder / "manifest.json").unlink()
    with open(folder / ".metadata", "rb") as f:
        metadata = pickle.load(f)
    entries, places = dict(metadata.state_dict_metadata), dict(metadata.storage_data)
    keys = sorted(k for k, v in entries.items() if isinstance(v, TensorStorageMetadata) and not k.startswith("optimizer."))
    if kind in ("drop", "rename", "swap", "reshape", "duplicate"):
        keys = with_one_key(keys, places)
    if kind == "swap":   # two layers or two experts exchanged; without such a key, nothing to swap: a flip
        keys = [k for k in keys if len(entries[k].chunks) > 1] or keys
    key = draw.choice(keys)
    kind = kind if kind != "swap" or len(entries[key].chunks) > 1 else "flip"
    named = (key,)
    index = draw.choice(sorted((i for i in places if i.fqn == key), key=lambda i: tuple(i.offset)))
    chunks = entries[key].chunks
    if kind == "drop":
        if len(chunks) > 1 and draw.random() < 0.5:   # one layer's chunk
            chunks.remove(next(c for c in chunks if c.offsets == index.offset))
            del places[index]
        else:
            del entries[key]
            places = {i: p for i, p in places.items() if i.fqn != key}
    elif kind == "rename":
        other = draw.choice([key + "s", "model." + key, key.replace("linear", "Linear") if "linear" in key else key.upper()])
        named += (other,)
        entries[other] = entries.pop(key)
        places = {MetadataIndex(other, i.offset) if i.fqn == key else i: p for i, p in places.items()}
    elif kind == "duplicate":
        # a chunk that covers what another covers already (a second key for the same bytes would be an alias, which is legal)
        chunks.append(next(c for c in chunks if c.offsets == index.offset))
    elif kind == "reshape":
        shape = grown(list(entries[key].size), draw) if draw.random() < 0.5 else other_shape(list(entries[key].size), draw)
        entries[key].size = type(entries[key].size)(shape)
    elif kind == "swap":
        one, other = draw.sample(sorted((i for i in places if i.fqn == key), key=lambda i: tuple(i.offset)), 2)
        places[one], places[other] = places[other], places[one]
    else:
        flip_stored(folder, places[index], draw)
        named += (places[index].relative_path,)
    metadata.state_dict_metadata, metadata.storage_data = entries, places
    if kind != "flip":
        with open(folder / ".metadata", "wb") as f:
            pickle.dump(metadata, f)
    return Mutation(kind, key, kind in ("flip", "swap"), named)


def tensor_bytes(folder, place):
    """(first, length) within the .distcp file of the raw elements of a stored chunk: the record that ends in data/0."""
    import io
    import zipfile
    with open(folder / place.relative_path, "rb") as f:
        f.seek(place.offset)
        archive = f.read(place.length)
    with zipfile.ZipFile(io.BytesIO(archive)) as z:
        record = next(i for i in z.infolist() if i.filename.endswith("data/0"))
    at = record.header_offset
    name_size, extra_size = struct.unpack("<HH", archive[at + 26:at + 30])
    return place.offset + at + 30 + name_size + extra_size, record.file_size


def flip_stored(folder, place, draw):
    """Turns over one bit of a chunk's elements and leaves everything else, sums included, as it is."""
    first, size = tensor_bytes(folder, place)
    with open(folder / place.relative_path, "r+b") as f:
        f.seek(first)
        data = flipped(f.read(size), draw)
        f.seek(first)
        f.write(data)


def flip_anywhere(source, target, draw):
    """One bit of any file of an iter folder, manifest kept: Mutation with the file's name."""
    shutil.copytree(source, target)
    folder = next(target.glob("iter_*"))
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = draw.choice(files)
    path.write_bytes(flipped(path.read_bytes(), draw))
    return Mutation("flip", str(path.relative_to(folder)), False, (path.name,))


def drawn(seed, *names):
    """A random source of its own for every test."""
    return random.Random(f"{seed}/{'/'.join(map(str, names))}")
