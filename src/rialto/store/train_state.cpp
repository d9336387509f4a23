// The eight 0-dim tensors of Megatron Bridge's TrainState. Source of names and dtypes: what Bridge 0.3.1 writes.
#include "rialto/store/train_state.h"

#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::store {
namespace {

/// Every name that a train state file may ask for.
constexpr std::string_view kAllowed[] = {"torch._utils._rebuild_tensor_v2",
                                         "collections.OrderedDict",
                                         "torch.IntStorage",
                                         "torch.LongStorage",
                                         "torch.FloatStorage",
                                         "torch.DoubleStorage",
                                         "torch.BoolStorage",
                                         "torch.ByteStorage"};

class StateBuilder {
 public:
  void add(std::string_view name, DType dtype, const void* value) {
    const std::string key = std::to_string(storages.size());
    storages.emplace_back(key, std::string(static_cast<const char*>(value), size_of(dtype)));
    entries.emplace_back(formats::p_str(std::string(name)), formats::p_tensor(dtype, {}, key));
  }
  /// int32 as Bridge writes it; int64 once it no longer fits.
  void add_count(std::string_view name, int64_t value) {
    if (value > std::numeric_limits<int32_t>::max()) return add(name, DType::kI64, &value);
    const auto narrow = static_cast<int32_t>(value);
    add(name, DType::kI32, &narrow);
  }
  void add_flag(std::string_view name, bool value) {
    const uint8_t byte = value;
    add(name, DType::kBool, &byte);
  }

  std::vector<std::pair<std::string, std::string>> storages;
  std::vector<std::pair<formats::PicklePtr, formats::PicklePtr>> entries;
};

template <class T>
double load_as(const std::string& bytes) {
  T value;
  if (bytes.size() < sizeof value) return std::numeric_limits<double>::quiet_NaN();
  std::memcpy(&value, bytes.data(), sizeof value);
  return static_cast<double>(value);
}

/// The number of a plain value or of a rebuilt 0-dim tensor; NaN when it is neither.
double scalar_of(const formats::PickleValue* value, const formats::TorchFile& file) {
  using Kind = formats::PickleValue::Kind;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (!value) return kNone;
  if (value->kind == Kind::kInt) return static_cast<double>(value->integer);
  if (value->kind == Kind::kFloat) return value->number;
  if (value->kind == Kind::kBool) return value->boolean;
  if (value->kind != Kind::kCall || value->items.empty() || value->items[0]->items.empty()) return kNone;
  const formats::PickleValue& storage =
      *value->items[0]->items[0];  // a persistent id: ("storage", class, key, device, count)
  if (storage.kind != Kind::kPersistentId || storage.items.empty() || storage.items[0]->items.size() < 3) return kNone;
  const std::string_view type = storage.items[0]->items[1]->class_name();
  const std::string& key = storage.items[0]->items[2]->text;
  for (const auto& [name, bytes] : file.storages) {
    if (name != key) continue;
    if (type == "torch.IntStorage") return load_as<int32_t>(bytes);
    if (type == "torch.LongStorage") return load_as<int64_t>(bytes);
    if (type == "torch.FloatStorage") return load_as<float>(bytes);
    if (type == "torch.DoubleStorage") return load_as<double>(bytes);
    if (type == "torch.BoolStorage" || type == "torch.ByteStorage") return load_as<uint8_t>(bytes);
  }
  return kNone;
}

}  // namespace

std::string make_train_state(const CheckpointWriter::TrainState& state) {
  StateBuilder builder;
  builder.add_count("step", state.step);
  builder.add_count("consumed_train_samples", state.consumed_train_samples);
  builder.add_count("skipped_train_samples", state.skipped_train_samples);
  builder.add_count("consumed_valid_samples", state.consumed_valid_samples);
  // Bridge stores float32, which would not survive a resume bit for bit; its reader takes any dtype (`.item()`).
  builder.add("floating_point_operations_so_far", DType::kF64, &state.floating_point_operations_so_far);
  builder.add_flag("do_train", state.do_train);
  builder.add_flag("do_valid", state.do_valid);
  builder.add_flag("do_test", state.do_test);
  return formats::make_torch_file(*formats::p_dict(std::move(builder.entries)), builder.storages);
}

CheckpointWriter::TrainState read_train_state(const fs::path& path) {
  const ReadFile file(path);
  const formats::TorchFile read = formats::read_torch_file(file, 0, file.size(), kAllowed);
  CheckpointWriter::TrainState state;
  const auto number = [&](std::string_view name, bool required) {
    const double value = scalar_of(read.value->get(name), read);
    if (value == value && value >= 0 && value < 9e18) return value;
    if (!required && value != value) return 0.0;
    throw Error(ErrorKind::kInput, path.string(), fmt::format("'{}' is missing or is not a number", name));
  };
  state.step = static_cast<int64_t>(number("step", true));
  state.consumed_train_samples = static_cast<int64_t>(number("consumed_train_samples", false));
  state.skipped_train_samples = static_cast<int64_t>(number("skipped_train_samples", false));
  state.consumed_valid_samples = static_cast<int64_t>(number("consumed_valid_samples", false));
  const double flops = scalar_of(read.value->get("floating_point_operations_so_far"), read);
  state.floating_point_operations_so_far = flops == flops ? flops : 0;
  state.do_train = number("do_train", false) != 0;
  state.do_valid = number("do_valid", false) != 0;
  state.do_test = number("do_test", false) != 0;
  return state;
}

}  // namespace rialto::store
