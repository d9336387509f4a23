// Choosing dtypes without losing bits.
#include "rialto/convert/dtypes.h"

#include <algorithm>
#include <map>
#include <string>

namespace rialto::convert {

DType join(DType a, DType b) {
  if (a == b) return a;
  if (size_of(a) == size_of(b)) return DType::kF32;  // bf16 and fp16
  return size_of(a) > size_of(b) ? a : b;
}

void join_stacks(bridge::Map& map, const std::vector<spec::Param>& params) {
  std::map<std::string, DType> of_key;
  for (size_t i = 0; i < params.size(); ++i) {
    const auto [found, fresh] = of_key.try_emplace(params[i].disk.key, map.native[i].dtype);
    if (!fresh) found->second = join(found->second, map.native[i].dtype);
  }
  for (size_t i = 0; i < params.size(); ++i) map.native[i].dtype = of_key.at(params[i].disk.key);
}

void cast_native(bridge::Map& map, DType dtype) {
  for (bridge::TensorInfo& tensor : map.native)
    if (!tensor.pinned) tensor.dtype = dtype;
}

void follow_native(bridge::Map& map) {
  for (const bridge::Piece& piece : map.pieces)
    if (piece.relation != bridge::Relation::kFill)
      map.hf[piece.hf.tensor].dtype = map.native[piece.native.tensor].dtype;
}

DType main_dtype(const bridge::Map& map) {
  std::map<DType, int64_t> elements;
  for (const bridge::TensorInfo& tensor : map.native) elements[tensor.dtype] += num_elements(tensor.shape);
  return std::max_element(elements.begin(), elements.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace rialto::convert
