// torch.save's zip container: `archive/data.pkl`, `archive/data/N`, stored (not compressed), 64-byte aligned.
// Source of the layout: PyTorch caffe2/serialize/inline_container.cc and torch/serialization.py.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/shape.h"
#include "rialto/formats/pickle.h"

namespace rialto::formats {

/// Where one record's bytes lie, relative to the start of the archive.
struct ZipRecord {
  std::string name;  ///< without the archive's top folder: "data.pkl", "data/0"
  uint64_t offset = 0, size = 0;
  uint32_t crc = 0;
};

/// Lists the records of the zip that occupies [begin, begin + length) of `file`. Refuses compressed, encrypted,
/// overlapping and out-of-range records. Throws kInput.
std::vector<ZipRecord> read_zip_directory(const ReadFile& file, uint64_t begin, uint64_t length);

/// A single tensor saved by torch.save: where its elements lie in the file. Throws kInput unless contiguous.
struct StoredTensor {
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t offset = 0;  ///< absolute, of the first element
  uint64_t size = 0;    ///< bytes of the tensor
};
StoredTensor locate_tensor(const ReadFile& file, uint64_t begin, uint64_t length);

/// The tensors of a torch.save'd state dict (a dict from names to tensors or parameters), in its order. Two names may
/// share elements. Throws kInput on anything else in it, on strided tensors and on every global outside the allow-list.
std::vector<std::pair<std::string, StoredTensor>> locate_state_dict(const ReadFile& file);

/// Any torch.save file that holds plain values, or small tensors: tensors appear as kCall of
/// torch._utils._rebuild_tensor_v2 in the tree; `read_scalar` gives a 0-dim tensor's value. Throws kInput.
struct TorchFile {
  PicklePtr value;
  std::vector<std::pair<std::string, std::string>> storages;  ///< storage key ("0") -> bytes
};
TorchFile read_torch_file(const ReadFile& file, uint64_t begin, uint64_t length,
                          std::span<const std::string_view> allowed);

/// True for the call that a tensor appears as.
bool is_tensor(const PickleValue& value);
/// The value of a tensor of one element: kInt, kFloat or kBool. Throws kInput on other tensors.
PicklePtr read_scalar(const TorchFile& file, const PickleValue& tensor);

/// Everything of a one-tensor archive but the elements. total = prefix + elements + suffix.
struct TensorArchive {
  std::string prefix;  ///< up to the first element
  std::string suffix;  ///< after the last: byteorder, version, directory
};
/// Layout for a contiguous tensor with the CRC-32 of its elements. The prefix does not depend on `crc` (it stands
/// behind the elements, flagged as the zip format provides), and the suffix's size does not: so archives are streamed.
/// The prefix is a multiple of 64 bytes and so is the whole archive: archives may be put one after the other.
TensorArchive make_tensor_archive(DType dtype, const Shape& shape, uint32_t crc);

/// torch.save of a value without tensors, or with tensors given as small storages (key -> bytes).
std::string make_torch_file(const PickleValue& value,
                            const std::vector<std::pair<std::string, std::string>>& storages = {});
/// The tree of a small tensor whose elements are storage `key`: for make_torch_file.
PicklePtr p_tensor(DType dtype, const Shape& shape, std::string_view key);

}  // namespace rialto::formats
