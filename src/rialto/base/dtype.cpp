// One row per element type: its size and its name in each format.
#include "rialto/base/dtype.h"

#include <array>

namespace rialto {

namespace {

struct Row {
  DType dtype;
  size_t size;
  bool floating;
  std::string_view safetensors;
  std::string_view torch;
};

constexpr std::array<Row, 13> kRows = {{
    {DType::kF64, 8, true, "F64", "float64"},
    {DType::kF32, 4, true, "F32", "float32"},
    {DType::kF16, 2, true, "F16", "float16"},
    {DType::kBF16, 2, true, "BF16", "bfloat16"},
    {DType::kF8E4M3, 1, true, "F8_E4M3", "float8_e4m3fn"},
    {DType::kF8E5M2, 1, true, "F8_E5M2", "float8_e5m2"},
    {DType::kI64, 8, false, "I64", "int64"},
    {DType::kI32, 4, false, "I32", "int32"},
    {DType::kI16, 2, false, "I16", "int16"},
    {DType::kI8, 1, false, "I8", "int8"},
    {DType::kU8, 1, false, "U8", "uint8"},
    {DType::kU16, 2, false, "U16", "uint16"},
    {DType::kBool, 1, false, "BOOL", "bool"},
}};

constexpr bool rows_are_in_enum_order() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_enum_order());

const Row& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

struct Alias {
  std::string_view name;
  DType dtype;
};

constexpr std::array<Alias, 9> kAliases = {{
    {"fp32", DType::kF32},
    {"fp16", DType::kF16},
    {"bf16", DType::kBF16},
    {"float", DType::kF32},
    {"double", DType::kF64},
    {"half", DType::kF16},
    {"long", DType::kI64},
    {"int", DType::kI32},
    {"short", DType::kI16},
}};

}  // namespace

size_t size_of(DType dtype) { return row(dtype).size; }
bool is_floating(DType dtype) { return row(dtype).floating; }
std::string_view safetensors_name(DType dtype) { return row(dtype).safetensors; }
std::string_view torch_name(DType dtype) { return row(dtype).torch; }

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const Row& r : kRows) {
    if (r.safetensors == name) return r.dtype;
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_torch(std::string_view name) {
  if (name.starts_with("torch.")) name.remove_prefix(6);
  for (const Row& r : kRows) {
    if (r.torch == name) return r.dtype;
  }
  for (const Alias& alias : kAliases) {
    if (alias.name == name) return alias.dtype;
  }
  return std::nullopt;
}

}  // namespace rialto
