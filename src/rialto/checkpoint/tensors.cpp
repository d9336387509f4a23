// Between LibTorch tensors and bytes.
#include "rialto/checkpoint/tensors.h"

#include <algorithm>

#include "rialto/base/error.h"

namespace rialto::checkpoint {

DType dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return DType::kF32;
    case at::kBFloat16:
      return DType::kBF16;
    case at::kHalf:
      return DType::kF16;
    case at::kDouble:
      return DType::kF64;
    case at::kLong:
      return DType::kI64;
    default:
      throw Error(ErrorKind::kInternal, "dtype", "no stored form for this element type",
                  {.got = c10::toString(type), .want = {}, .hint = {}});
  }
}

at::ScalarType scalar_type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return at::kFloat;
    case DType::kBF16:
      return at::kBFloat16;
    case DType::kF16:
      return at::kHalf;
    case DType::kF64:
      return at::kDouble;
    default:
      throw Error(ErrorKind::kInternal, "dtype", "not an element type of weights",
                  {.got = std::string(torch_name(dtype)), .want = {}, .hint = {}});
  }
}

void push_bytes(const at::Tensor& tensor, const std::function<void(std::span<const std::byte>)>& sink) {
  constexpr int64_t kPieceBytes = int64_t{16} << 20;
  const at::Tensor flat = tensor.detach().view({-1});
  const int64_t piece = std::max<int64_t>(1, kPieceBytes / static_cast<int64_t>(flat.element_size()));
  for (int64_t begin = 0; begin < flat.numel(); begin += piece) {
    const at::Tensor part = flat.narrow(0, begin, std::min(piece, flat.numel() - begin)).cpu();
    sink({static_cast<const std::byte*>(part.const_data_ptr()),
          static_cast<size_t>(part.numel()) * part.element_size()});
  }
}

void fill_bytes(const at::Tensor& tensor, const std::function<void(std::span<std::byte>)>& fill) {
  at::Tensor target = tensor.detach();
  at::Tensor host = target.is_cpu() ? target : at::empty(target.sizes(), target.options().device(at::kCPU));
  fill({static_cast<std::byte*>(host.data_ptr()), static_cast<size_t>(host.numel()) * host.element_size()});
  if (!host.is_same(target)) target.copy_(host);
}

}  // namespace rialto::checkpoint
