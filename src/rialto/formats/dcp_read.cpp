// .metadata to plain structures, straight from the pickle machine's cells: a checkpoint may have 200,000 keys.
#include <algorithm>
#include <array>
#include <span>

#include "rialto/base/error.h"
#include "rialto/formats/dcp_boxes.h"
#include "rialto/formats/dcp_metadata.h"
#include "rialto/formats/pickle_machine.h"

namespace rialto::formats {

namespace {

constexpr std::string_view kMetadata = "torch.distributed.checkpoint.metadata.Metadata";
constexpr std::string_view kTensor = "torch.distributed.checkpoint.metadata.TensorStorageMetadata";
constexpr std::string_view kBytes = "torch.distributed.checkpoint.metadata.BytesStorageMetadata";
constexpr std::string_view kChunk = "torch.distributed.checkpoint.metadata.ChunkStorageMetadata";
constexpr std::string_view kProperties = "torch.distributed.checkpoint.metadata.TensorProperties";
constexpr std::string_view kIndex = "torch.distributed.checkpoint.metadata.MetadataIndex";
constexpr std::string_view kStorageInfo = "torch.distributed.checkpoint.filesystem._StorageInfo";
constexpr std::string_view kMcoreMetadata = "megatron.core.dist_checkpointing.strategies.torch.MCoreMetadata";
constexpr std::string_view kSize = "torch.Size";
constexpr std::string_view kLayout = "torch.serialization._get_layout";

/// What torch's and Megatron's writers name. Paths and Megatron's own data are read over, not used.
constexpr std::array<std::string_view, 41> kAllowed = {
    "builtins.getattr",  // how CPython 3.11.0 to 3.11.3 spell an enumerator; kept by name, never called
    kMetadata,
    kTensor,
    kBytes,
    kChunk,
    kProperties,
    kIndex,
    kStorageInfo,
    kMcoreMetadata,
    kSize,
    kLayout,
    "torch.distributed.checkpoint.metadata.StorageMeta",
    "torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING",
    "megatron.core.dist_checkpointing.strategies.torch.MCoreSavePlan",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "pathlib.PureWindowsPath",
    "pathlib.Path",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "collections.OrderedDict",
    "torch.float64",
    "torch.float32",
    "torch.float16",
    "torch.bfloat16",
    "torch.float8_e4m3fn",
    "torch.float8_e5m2",
    "torch.int64",
    "torch.int32",
    "torch.int16",
    "torch.int8",
    "torch.uint8",
    "torch.uint16",
    "torch.bool",
    "torch.uint32",
    "torch.uint64",
    "torch.float8_e8m0fnu",
    "torch.complex64",
    "torch.complex128",
    "torch.contiguous_format"};

/// Row of storage_data: which chunk of which key lies where. Texts point into the input.
struct StorageRow {
  std::string_view key;
  bool has_offset = false;
  Shape offset;
  FileSpan span;
  bool used = false;

  auto order() const { return std::tie(key, has_offset, offset); }
};

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string_view where) : machine_(bytes, where, kAllowed), where_(where) {}

  DcpMetadata read() {
    const CellId root = machine_.run();
    const std::string_view cls = class_of(root);
    if (cls != kMetadata && cls != kMcoreMetadata) fail("is not a torch.distributed.checkpoint Metadata object");
    const CellId state = state_of(root);
    read_storage(member(state, "storage_data"));
    DcpMetadata result;
    CellId key = kNoCell;
    machine_.for_each(dict(member(state, "state_dict_metadata")), [&](CellId id) {
      if (key == kNoCell) {
        key = id;
        return;
      }
      read_entry(std::string(text(key)), id, result);
      key = kNoCell;
    });
    for (const StorageRow& row : storage_) {
      if (!row.used) fail("holds bytes for '" + std::string(row.key) + "' that no key describes");
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorKind::kInput, where_, what); }
  [[noreturn]] void unexpected(std::string_view wanted) const {
    fail("has something else where " + std::string(wanted) + " belongs");
  }

  const Cell& cell(CellId id) const { return machine_.cell(id); }

  std::string_view class_of(CellId id) const {
    const Cell& c = cell(id);
    if (c.kind != CellKind::kObject && c.kind != CellKind::kCall) return {};
    return machine_.global_name(cell(machine_.call(c).callee));
  }

  CellId state_of(CellId object) const {
    const CellId state = machine_.call(cell(object)).state;
    if (state == kNoCell) unexpected("the state of an object");
    return state;
  }

  const Cell& dict(CellId id) const {
    if (cell(id).kind != CellKind::kDict) unexpected("a dictionary");
    return cell(id);
  }

  std::string_view text(CellId id) const {
    if (cell(id).kind != CellKind::kString) unexpected("a text");
    return machine_.text(cell(id));
  }

  uint64_t count(CellId id) const {
    if (cell(id).kind != CellKind::kInt || machine_.integer(cell(id)) < 0) unexpected("a whole number from 0 on");
    return static_cast<uint64_t>(machine_.integer(cell(id)));
  }

  /// The value of a key in a dictionary, kNoCell when absent.
  CellId find(CellId id, std::string_view name) const {
    CellId found = kNoCell, key = kNoCell;
    machine_.for_each(dict(id), [&](CellId item) {
      if (key == kNoCell) {
        key = item;
        return;
      }
      if (found == kNoCell && cell(key).kind == CellKind::kString && machine_.text(cell(key)) == name) found = item;
      key = kNoCell;
    });
    return found;
  }

  CellId member(CellId id, std::string_view name) const {
    const CellId found = find(id, name);
    if (found == kNoCell) fail("lacks '" + std::string(name) + "'");
    return found;
  }

  /// torch.Size((a, b, ...)), a tuple or a list.
  Shape shape(CellId id) const {
    if (class_of(id) == kSize) {
      const auto arguments = machine_.tuple(cell(machine_.call(cell(id)).arguments));
      if (arguments.size() > 1) unexpected("a shape");
      if (arguments.empty()) return {};
      id = arguments[0];
    }
    Shape sizes;
    const auto add = [&](CellId item) { sizes.push_back(static_cast<int64_t>(count(item))); };
    if (cell(id).kind == CellKind::kTuple) {
      for (const CellId item : machine_.tuple(cell(id))) add(item);
    } else if (cell(id).kind == CellKind::kList) {
      machine_.for_each(cell(id), add);
    } else {
      unexpected("a shape");
    }
    return sizes;
  }

  DType dtype(CellId properties) const {
    if (class_of(properties) != kProperties) unexpected("TensorProperties");
    const CellId state = state_of(properties);
    CellId id = kNoCell;
    if (cell(state).kind == CellKind::kTuple && machine_.tuple(cell(state)).size() >= 2) {
      const auto fields = machine_.tuple(cell(state));
      id = fields[0];
      if (class_of(fields[1]) == kLayout) {
        const auto arguments = machine_.tuple(cell(machine_.call(cell(fields[1])).arguments));
        if (arguments.size() != 1 || text(arguments[0]) != "torch.strided") fail("holds a sparse tensor");
      }
    } else {
      id = member(state, "dtype");
    }
    if (cell(id).kind != CellKind::kGlobal) unexpected("a dtype");
    const std::string_view name = machine_.global_name(cell(id));
    const auto known = dtype_from_torch(name);
    if (!known) fail("holds a tensor of a dtype that is not read: " + std::string(name));
    return *known;
  }

  FileSpan span(CellId info) const {
    if (class_of(info) != kStorageInfo) unexpected("_StorageInfo");
    const CellId state = state_of(info);
    FileSpan result = {.file = std::string(text(member(state, "relative_path"))),
                       .offset = count(member(state, "offset")),
                       .length = count(member(state, "length"))};
    const CellId transforms = find(state, "transform_descriptors");
    if (transforms != kNoCell && cell(transforms).kind != CellKind::kNone && cell(transforms).c != 0) {
      fail("has bytes in '" + result.file + "' that were transformed (compressed?) when they were written");
    }
    const fs::path path(result.file);
    const bool inside = !path.empty() && path.is_relative() && std::find(path.begin(), path.end(), "..") == path.end();
    if (!inside || result.file.find('\0') != std::string::npos)
      fail("names a file outside of its folder: '" + result.file + "'");
    if (result.offset > UINT64_MAX - result.length) fail("has a span past the end of any file");
    return result;
  }

  void read_storage(CellId data) {
    storage_.reserve(dict(data).c / 2);
    CellId key = kNoCell;
    machine_.for_each(cell(data), [&](CellId id) {
      if (key == kNoCell) {
        key = id;
        return;
      }
      if (class_of(key) != kIndex) unexpected("MetadataIndex");
      const CellId state = state_of(key);
      StorageRow row;
      row.key = text(member(state, "fqn"));
      const CellId offset = find(state, "offset");
      row.has_offset = offset != kNoCell && cell(offset).kind != CellKind::kNone;
      if (row.has_offset) row.offset = shape(offset);
      row.span = span(id);
      storage_.push_back(std::move(row));
      key = kNoCell;
    });
    std::sort(storage_.begin(), storage_.end(),
              [](const StorageRow& a, const StorageRow& b) { return a.order() < b.order(); });
    const auto twice =
        std::adjacent_find(storage_.begin(), storage_.end(),
                           [](const StorageRow& a, const StorageRow& b) { return a.order() == b.order(); });
    if (twice != storage_.end()) fail("says twice where a part of '" + std::string(twice->key) + "' lies");
  }

  const FileSpan& take_span(std::string_view key, bool has_offset, const Shape& offset) {
    const auto wanted = std::tie(key, has_offset, offset);
    const auto row = std::lower_bound(storage_.begin(), storage_.end(), wanted,
                                      [](const StorageRow& r, const auto& w) { return r.order() < w; });
    if (row == storage_.end() || row->order() != wanted) {
      fail("does not say where '" + std::string(key) + "'" + (has_offset ? " at " + to_text(offset) : "") + " lies");
    }
    row->used = true;
    return row->span;
  }

  void read_entry(std::string key, CellId value, DcpMetadata& result) {
    const std::string_view cls = class_of(value);
    if (cls == kBytes) {
      if (result.tensors.contains(key) || result.objects.contains(key)) fail("has the key '" + key + "' twice");
      const FileSpan& place = take_span(key, false, {});
      result.objects.emplace_hint(result.objects.end(), std::move(key), place);
      return;
    }
    if (cls != kTensor) unexpected("TensorStorageMetadata or BytesStorageMetadata");
    if (result.tensors.contains(key) || result.objects.contains(key)) fail("has the key '" + key + "' twice");
    const CellId state = state_of(value);
    DcpTensor tensor;
    tensor.dtype = dtype(member(state, "properties"));
    tensor.shape = shape(member(state, "size"));
    try {
      num_elements(tensor.shape);
    } catch (const Error&) {
      fail("has a shape too large to exist for '" + key + "'");
    }
    const CellId chunks = member(state, "chunks");
    if (cell(chunks).kind != CellKind::kList) unexpected("a list of chunks");
    tensor.chunks.reserve(cell(chunks).c);
    machine_.for_each(cell(chunks), [&](CellId id) {
      if (class_of(id) != kChunk) unexpected("ChunkStorageMetadata");
      const CellId fields = state_of(id);
      DcpChunk chunk = {
          .offsets = shape(member(fields, "offsets")), .sizes = shape(member(fields, "sizes")), .span = {}};
      chunk.span = take_span(key, true, chunk.offsets);
      tensor.chunks.push_back(std::move(chunk));
    });
    check_tiling(key, tensor, where_);
    result.tensors.emplace_hint(result.tensors.end(), std::move(key), std::move(tensor));
  }

  PickleMachine machine_;
  std::string where_;
  std::vector<StorageRow> storage_;
};

}  // namespace

DcpMetadata parse_dcp_metadata(std::span<const std::byte> bytes, std::string_view where) {
  return Reader(bytes, where).read();
}

}  // namespace rialto::formats
