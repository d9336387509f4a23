// The map against what a source really holds.
#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/bridge/names.h"
#include "rialto/bridge/plan.h"

namespace rialto::bridge {
namespace {

/// Everything that does not fit, said in one line.
class Complaints {
 public:
  void add(std::string_view kind, std::string text) {
    const auto found = std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& k) { return k.name == kind; });
    Kind& entry = found != kinds_.end() ? *found : kinds_.emplace_back(Kind{std::string(kind), 0, {}});
    if (++entry.count <= kMaxListed) entry.listed.push_back(std::move(text));
  }
  void raise() const {
    if (kinds_.empty()) return;
    std::vector<std::string> parts;
    for (const Kind& kind : kinds_)
      parts.push_back(fmt::format("{} {}: {}{}", kind.count, kind.name, fmt::join(kind.listed, ", "),
                                  kind.count > kMaxListed ? ", ..." : ""));
    throw Error(ErrorKind::kInput, "hf tensors",
                fmt::format("the weights do not fit the model: {}", fmt::join(parts, "; ")),
                {.hint = "is config.json the one that these weights were saved with?"});
  }

 private:
  static constexpr size_t kMaxListed = 10;
  struct Kind {
    std::string name;
    size_t count = 0;
    std::vector<std::string> listed;
  };
  std::vector<Kind> kinds_;
};

/// The narrowest type that holds every value of both.
DType join(DType a, DType b) {
  if (a == b) return a;
  if (size_of(a) == size_of(b)) return DType::kF32;  // bf16 and fp16
  return size_of(a) > size_of(b) ? a : b;
}

bool is_plain(DType dtype) { return is_floating(dtype) && size_of(dtype) >= 2; }

/// The HF tensor of the copy, as wide as the native one.
TensorInfo& add_copy(Map& map, const OptionalCopy& copy) {
  TensorInfo info = map.native[copy.native];
  info.name = copy.hf;
  const Box whole{.tensor = copy.native, .lo = Shape(info.view.size(), 0), .hi = info.view};
  Box hf = whole;
  hf.tensor = static_cast<uint32_t>(map.hf.size());
  map.pieces.push_back({.hf = hf, .native = whole, .relation = Relation::kCopies});
  return map.hf.emplace_back(std::move(info));
}

class Matcher {
 public:
  Matcher(Map& map, std::span<const SourceTensor> source) : map_(map) {
    for (const SourceTensor& tensor : source)
      if (!left_.emplace(tensor.name, &tensor).second) complaints_.add("twice", tensor.name);
  }

  void match_required() {
    for (TensorInfo& want : map_.hf) {
      const SourceTensor* tensor = take(want.name);
      if (!tensor)
        complaints_.add("missing", want.name);
      else
        accept(want, *tensor);
    }
  }

  void match_optional() {
    for (const OptionalCopy& copy : map_.optional) {
      const SourceTensor* tensor = take(copy.hf);
      if (!tensor) continue;
      accept(add_copy(map_, copy), *tensor);
    }
    map_.optional.clear();
  }

  void match_rest(std::span<const SourceTensor> source, std::span<const IgnoredRow> ignored) {
    for (const SourceTensor& tensor : source) {
      if (!left_.contains(tensor.name)) continue;
      const auto row = std::find_if(ignored.begin(), ignored.end(),
                                    [&](const IgnoredRow& r) { return match_pattern(r.hf, tensor.name).has_value(); });
      if (row == ignored.end())
        complaints_.add("extra", tensor.name);
      else
        map_.ignored.push_back({tensor.name, std::string(row->reason)});
    }
  }

  void raise() const { complaints_.raise(); }

 private:
  const SourceTensor* take(const std::string& name) {
    const auto found = left_.find(name);
    if (found == left_.end()) return nullptr;
    const SourceTensor* tensor = found->second;
    left_.erase(found);
    return tensor;
  }

  void accept(TensorInfo& want, const SourceTensor& tensor) {
    if (tensor.shape != want.shape)
      complaints_.add("of another shape",
                      fmt::format("{} {} instead of {}", want.name, to_text(tensor.shape), to_text(want.shape)));
    if (!is_plain(tensor.dtype))
      complaints_.add("of a type that needs scales or is no number",
                      fmt::format("{} {}", want.name, safetensors_name(tensor.dtype)));
    want.dtype = tensor.dtype;
  }

  Map& map_;
  std::unordered_map<std::string_view, const SourceTensor*> left_;
  Complaints complaints_;
};

void set_native_dtypes(Map& map) {
  std::vector<bool> seen(map.native.size(), false);
  for (const Piece& piece : map.pieces) {
    if (piece.relation != Relation::kCopy || map.native[piece.native.tensor].pinned) continue;
    DType& native = map.native[piece.native.tensor].dtype;
    const DType hf = map.hf[piece.hf.tensor].dtype;
    native = seen[piece.native.tensor] ? join(native, hf) : hf;
    seen[piece.native.tensor] = true;
  }
}

}  // namespace

void match_source(Map& map, std::span<const SourceTensor> source, std::span<const IgnoredRow> ignored) {
  Matcher matcher(map, source);
  matcher.match_required();
  matcher.match_optional();
  matcher.match_rest(source, ignored);
  matcher.raise();
  set_native_dtypes(map);
}

void add_written_copies(Map& map) {
  for (const OptionalCopy& copy : map.optional)
    if (copy.written) add_copy(map, copy);
  map.optional.clear();
}

}  // namespace rialto::bridge
