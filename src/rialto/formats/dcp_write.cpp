// .metadata as torch's own writer makes it: the same classes and states, in opcodes of protocol 2.
#include <map>

#include "rialto/base/error.h"
#include "rialto/formats/dcp_metadata.h"
#include "rialto/formats/pickle_emit.h"

namespace rialto::formats {

namespace {

constexpr std::string_view kModule = "torch.distributed.checkpoint.metadata";

class Writer {
 public:
  std::string write(const DcpMetadata& metadata) {
    begin_object(kModule, "Metadata");
    out_.op('}');
    out_.op('(');
    out_.shared_text("state_dict_metadata");
    write_keys(metadata);
    out_.shared_text("planner_data");
    out_.none();
    out_.shared_text("storage_data");
    write_storage(metadata);
    out_.shared_text("storage_meta");
    write_storage_meta();
    out_.shared_text("version");
    out_.text("1.0.0");
    out_.op('u');
    out_.op('b');
    return out_.finish();
  }

 private:
  /// cls.__new__(cls); a state follows with BUILD.
  void begin_object(std::string_view module, std::string_view cls) {
    out_.global(module, cls);
    out_.op(')');
    out_.op('\x81');
  }

  void write_keys(const DcpMetadata& metadata) {
    out_.op('}');
    if (metadata.tensors.empty() && metadata.objects.empty()) return;
    out_.op('(');
    for (const auto& [key, tensor] : metadata.tensors) {
      out_.shared_text(key);
      write_tensor(tensor);
    }
    for (const auto& [key, span] : metadata.objects) {
      if (metadata.tensors.contains(key))
        throw Error(ErrorKind::kInternal, ".metadata", "'" + key + "' is both a tensor and an object");
      out_.shared_text(key);
      begin_object(kModule, "BytesStorageMetadata");
    }
    out_.op('u');
  }

  void write_tensor(const DcpTensor& tensor) {
    begin_object(kModule, "TensorStorageMetadata");
    out_.op('}');
    out_.op('(');
    out_.shared_text("properties");
    write_properties(tensor.dtype);
    out_.shared_text("size");
    write_size(tensor.shape);
    out_.shared_text("chunks");
    out_.op(']');
    if (!tensor.chunks.empty()) {
      out_.op('(');
      for (const DcpChunk& chunk : tensor.chunks) {
        begin_object(kModule, "ChunkStorageMetadata");
        out_.op('}');
        out_.op('(');
        out_.shared_text("offsets");
        write_size(chunk.offsets);
        out_.shared_text("sizes");
        write_size(chunk.sizes);
        out_.op('u');
        out_.op('b');
      }
      out_.op('e');
    }
    out_.op('u');
    out_.op('b');
  }

  /// One TensorProperties object for each dtype, shared by all its tensors.
  void write_properties(DType dtype) {
    const auto known = properties_.find(dtype);
    if (known != properties_.end()) return out_.get(known->second);
    begin_object(kModule, "TensorProperties");
    out_.op('(');
    out_.global("torch", torch_name(dtype));
    out_.global("torch.serialization", "_get_layout");
    out_.text("torch.strided");
    out_.op('\x85');
    out_.op('R');
    out_.boolean(false);  // requires_grad
    out_.global(kModule, "_MEM_FORMAT_ENCODING");
    out_.integer(0);  // contiguous
    out_.op('\x85');
    out_.op('R');
    out_.boolean(false);  // pin_memory
    out_.op('t');
    out_.op('b');
    properties_[dtype] = out_.remember();
  }

  void write_size(const Shape& shape) {
    out_.global("torch", "Size");
    if (shape.empty()) {
      out_.op(')');
    } else {
      if (shape.size() > 3) out_.op('(');
      for (const int64_t size : shape) out_.integer(size);
      out_.op(shape.size() > 3 ? 't' : static_cast<char>(0x84 + static_cast<int>(shape.size())));
    }
    out_.op('\x85');
    out_.op('R');
  }

  void write_storage(const DcpMetadata& metadata) {
    out_.op('}');
    bool any = false;
    const auto row = [&](const std::string& key, const Shape* offset, const FileSpan& span) {
      if (!any) out_.op('(');
      any = true;
      begin_object(kModule, "MetadataIndex");
      out_.op('}');
      out_.op('(');
      out_.shared_text("fqn");
      out_.shared_text(key);
      out_.shared_text("index");
      out_.none();
      if (offset) {
        out_.shared_text("offset");
        write_size(*offset);
      }
      out_.op('u');
      out_.op('b');
      write_span(span);
    };
    for (const auto& [key, tensor] : metadata.tensors) {
      for (const DcpChunk& chunk : tensor.chunks) row(key, &chunk.offsets, chunk.span);
    }
    for (const auto& [key, span] : metadata.objects) row(key, nullptr, span);
    if (any) out_.op('u');
  }

  void write_span(const FileSpan& span) {
    begin_object("torch.distributed.checkpoint.filesystem", "_StorageInfo");
    out_.op('}');
    out_.op('(');
    out_.shared_text("relative_path");
    out_.shared_text(span.file);
    out_.shared_text("offset");
    out_.integer(static_cast<int64_t>(span.offset));
    out_.shared_text("length");
    out_.integer(static_cast<int64_t>(span.length));
    out_.op('u');
    out_.op('b');
  }

  /// Without the path and the ids that torch would put there.
  void write_storage_meta() {
    begin_object(kModule, "StorageMeta");
    out_.op('}');
    out_.op('(');
    for (const std::string_view field : {"checkpoint_id", "save_id", "load_id"}) {
      out_.text(field);
      out_.none();
    }
    out_.text("modules");
    out_.op(']');
    out_.op('u');
    out_.op('b');
  }

  PickleEmitter out_;
  std::map<DType, uint32_t> properties_;
};

}  // namespace

std::string make_dcp_metadata(const DcpMetadata& metadata) { return Writer().write(metadata); }

}  // namespace rialto::formats
