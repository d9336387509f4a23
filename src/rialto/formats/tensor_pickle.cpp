// Source: torch/_utils.py (_rebuild_tensor_v2, _v3), torch/_tensor.py (__reduce_ex__), torch/serialization.py.
#include "rialto/formats/tensor_pickle.h"

#include <array>

#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::formats {

namespace {

using Kind = PickleValue::Kind;

struct StorageRow {
  DType dtype;
  std::string_view cls;  ///< in module torch
};

/// Dtypes without a row are stored untyped and rebuilt by _rebuild_tensor_v3, which names the dtype.
constexpr std::array<StorageRow, 10> kStorages = {{
    {DType::kF64, "DoubleStorage"},
    {DType::kF32, "FloatStorage"},
    {DType::kF16, "HalfStorage"},
    {DType::kBF16, "BFloat16Storage"},
    {DType::kI64, "LongStorage"},
    {DType::kI32, "IntStorage"},
    {DType::kI16, "ShortStorage"},
    {DType::kI8, "CharStorage"},
    {DType::kU8, "ByteStorage"},
    {DType::kBool, "BoolStorage"},
}};

constexpr std::array<std::string_view, 27> kGlobals = {"torch._utils._rebuild_tensor_v2",
                                                       "torch._utils._rebuild_tensor_v3",
                                                       "collections.OrderedDict",
                                                       "torch.storage.UntypedStorage",
                                                       "torch.DoubleStorage",
                                                       "torch.FloatStorage",
                                                       "torch.HalfStorage",
                                                       "torch.BFloat16Storage",
                                                       "torch.LongStorage",
                                                       "torch.IntStorage",
                                                       "torch.ShortStorage",
                                                       "torch.CharStorage",
                                                       "torch.ByteStorage",
                                                       "torch.BoolStorage",
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
                                                       "torch.bool"};

constexpr std::string_view kV2 = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kV3 = "torch._utils._rebuild_tensor_v3";

[[noreturn]] void damaged(std::string_view where, std::string_view what) {
  throw Error(ErrorKind::kInput, where, "a pickled tensor " + std::string(what));
}

const PickleValue& argument(const std::vector<PicklePtr>& arguments, size_t i, Kind kind, std::string_view where) {
  if (i >= arguments.size() || arguments[i]->kind != kind) damaged(where, "has other arguments than torch writes");
  return *arguments[i];
}

Shape sizes_of(const PickleValue& tuple, std::string_view where) {
  Shape sizes;
  for (const PicklePtr& item : tuple.items) {
    if (item->kind != Kind::kInt || item->integer < 0) damaged(where, "has sizes that are not whole numbers");
    sizes.push_back(item->integer);
  }
  return sizes;
}

/// Row-major without gaps. Strides of axes with one element mean nothing.
bool is_contiguous(const Shape& shape, const Shape& strides) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

uint64_t times(int64_t count, size_t size, std::string_view where) {
  uint64_t bytes = 0;
  if (count < 0 || __builtin_mul_overflow(static_cast<uint64_t>(count), uint64_t{size}, &bytes))
    damaged(where, "is too large to exist");
  return bytes;
}

}  // namespace

std::span<const std::string_view> tensor_globals() { return kGlobals; }

bool is_tensor_call(const PickleValue& value) {
  return value.kind == Kind::kCall && (value.class_name() == kV2 || value.class_name() == kV3);
}

TensorRef parse_tensor(const PickleValue& value, std::string_view where) {
  if (!is_tensor_call(value)) damaged(where, "was expected, something else stands there");
  const std::vector<PicklePtr>& arguments = value.items[0]->items;
  const PickleValue& persistent = argument(arguments, 0, Kind::kPersistentId, where);
  const std::vector<PicklePtr>& id = argument(persistent.items, 0, Kind::kTuple, where).items;
  if (argument(id, 0, Kind::kString, where).text != "storage") damaged(where, "has no storage");
  const std::string& cls = argument(id, 1, Kind::kGlobal, where).text;
  TensorRef ref;
  ref.key = argument(id, 2, Kind::kString, where).text;
  const int64_t storage_elements = argument(id, 4, Kind::kInt, where).integer;

  if (value.class_name() == kV3) {
    const auto dtype = dtype_from_torch(argument(arguments, 6, Kind::kGlobal, where).text);
    if (!dtype || cls != "torch.storage.UntypedStorage")
      damaged(where, "has a dtype or storage class that is not known");
    ref.dtype = *dtype;
  } else {
    bool known = false;
    for (const StorageRow& row : kStorages) {
      if (cls != "torch." + std::string(row.cls)) continue;
      ref.dtype = row.dtype;
      known = true;
    }
    if (!known) damaged(where, "has a storage class that is not known: " + cls);
  }
  ref.shape = sizes_of(argument(arguments, 2, Kind::kTuple, where), where);
  const Shape strides = sizes_of(argument(arguments, 3, Kind::kTuple, where), where);
  if (strides.size() != ref.shape.size()) damaged(where, "has other numbers of sizes and strides");

  int64_t count = 0;
  try {
    count = num_elements(ref.shape);
  } catch (const Error&) {
    damaged(where, "is too large to exist");
  }
  if (count != 0 && !is_contiguous(ref.shape, strides)) damaged(where, "is not contiguous");
  const size_t size = size_of(ref.dtype);
  ref.bytes = times(count, size, where);
  ref.first_byte = times(argument(arguments, 1, Kind::kInt, where).integer, size, where);
  const uint64_t storage_bytes = times(storage_elements, value.class_name() == kV3 ? 1 : size, where);
  if (ref.first_byte > storage_bytes || ref.bytes > storage_bytes - ref.first_byte)
    damaged(where, "lies outside its storage");
  return ref;
}

PicklePtr p_tensor(DType dtype, const Shape& shape, std::string_view key) {
  std::string_view cls;
  for (const StorageRow& row : kStorages) {
    if (row.dtype == dtype) cls = row.cls;
  }
  const bool typed = !cls.empty();
  const int64_t count = num_elements(shape);
  std::vector<PicklePtr> sizes, strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = p_int(step);
    step *= shape[i] > 1 ? shape[i] : 1;
  }
  for (const int64_t size : shape) sizes.push_back(p_int(size));
  const int64_t units = typed ? count : count * static_cast<int64_t>(size_of(dtype));
  const PicklePtr storage =
      p_tuple({p_str("storage"), typed ? p_global("torch", cls) : p_global("torch.storage", "UntypedStorage"),
               p_str(std::string(key)), p_str("cpu"), p_int(units)});
  std::vector<PicklePtr> arguments = {
      p_persistent(storage),       p_int(0),      p_tuple(std::move(sizes)),
      p_tuple(std::move(strides)), p_bool(false), p_call(p_global("collections", "OrderedDict"), {})};
  if (!typed) arguments.push_back(p_global("torch", torch_name(dtype)));
  return p_call(p_global("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3"), std::move(arguments));
}

}  // namespace rialto::formats
