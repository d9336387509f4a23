// Element types of stored tensors and their names in each format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rialto {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kI64, kI32, kI16, kI8, kU8, kU16, kBool };

size_t size_of(DType dtype);
bool is_floating(DType dtype);

/// "F32", "BF16", "F8_E4M3", ... as safetensors headers spell it.
std::string_view safetensors_name(DType dtype);
std::optional<DType> dtype_from_safetensors(std::string_view name);

/// "float32", "bfloat16", "float8_e4m3fn", ... as torch and HF configs spell it (without "torch.").
std::string_view torch_name(DType dtype);
/// Accepts torch names, with or without "torch.", and the short forms fp32, fp16, bf16.
std::optional<DType> dtype_from_torch(std::string_view name);

}  // namespace rialto
