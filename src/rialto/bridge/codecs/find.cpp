// Which stored tensors are codes, and which are their scales.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/codecs/codec.h"

namespace rialto::bridge {
namespace {

constexpr int64_t kFp8Block = 128, kMxfp4Group = 32;

[[noreturn]] void refuse(const std::string& name, std::string_view what, const ErrorParts& parts = {}) {
  throw Error(ErrorKind::kInput, name, what, parts);
}

class Finder {
 public:
  Finder(std::span<const SourceTensor> stored, DType decoded) : stored_(stored), decoded_(decoded) {
    for (uint32_t i = 0; i < stored.size(); ++i) index_.emplace(stored[i].name, i);
    member_.resize(stored.size(), false);
  }

  DecodedSource run() {
    for (uint32_t i = 0; i < stored_.size(); ++i) {
      const std::string& name = stored_[i].name;
      if (stored_[i].dtype == DType::kF8E4M3)
        add_fp8(i);
      else if (stored_[i].dtype == DType::kF8E5M2)
        refuse(name, "is stored as F8_E5M2, which no published model uses for weights");
      else if (name.ends_with("_blocks") && stored_[i].dtype == DType::kU8)
        add_mxfp4(i);
      else if (name.ends_with("_packed") && stored_[i].dtype == DType::kI32)
        add_int4(i, name.substr(0, name.size() - 7));
    }
    for (uint32_t i = 0; i < stored_.size(); ++i) {
      if (member_[i]) continue;
      source_.tensors.push_back(stored_[i]);
      source_.stored.push_back(i);
    }
    for (uint32_t i = 0; i < source_.coded.size(); ++i) {
      source_.tensors.push_back({source_.coded[i].name, source_.coded[i].shape, decoded_});
      source_.stored.push_back(kCodedBase + i);
    }
    return std::move(source_);
  }

 private:
  /// The stored tensor of this name, now a member of a coded one.
  std::optional<uint32_t> take(const std::string& name) {
    const auto found = index_.find(name);
    if (found == index_.end()) return {};
    member_[found->second] = true;
    return found->second;
  }

  uint32_t need(const std::string& codes, const std::string& name) {
    const std::optional<uint32_t> found = take(name);
    if (!found) refuse(codes, "holds codes without their scales", {.want = name});
    return *found;
  }

  void add(CodedTensor coded, const Shape& scales) {
    const Shape& got = stored_[coded.scales].shape;
    if (got != scales)
      refuse(stored_[coded.scales].name, fmt::format("holds scales that do not fit '{}'", stored_[coded.codes].name),
             {.got = to_text(got), .want = to_text(scales)});
    coded.scale_dtype = stored_[coded.scales].dtype;
    member_[coded.codes] = true;
    source_.coded.push_back(std::move(coded));
  }

  static void set_matrix(CodedTensor& coded) {
    coded.cols = coded.shape.empty() ? 1 : coded.shape.back();
    coded.rows = num_elements(coded.shape) / std::max<int64_t>(coded.cols, 1);
  }

  void require_scale_type(uint32_t scales, std::initializer_list<DType> types) const {
    if (std::find(types.begin(), types.end(), stored_[scales].dtype) == types.end())
      refuse(stored_[scales].name, "holds scales of an unexpected type",
             {.got = std::string(safetensors_name(stored_[scales].dtype)),
              .want = std::string(safetensors_name(*types.begin()))});
  }

  void add_fp8(uint32_t codes) {
    const std::string& name = stored_[codes].name;
    std::optional<uint32_t> scales = take(name + "_scale_inv");
    if (!scales) scales = take(name + "_scale");
    if (!scales) scales = need(name, name + "_scale_inv");  // says so
    require_scale_type(*scales, {DType::kF32, DType::kBF16});
    CodedTensor coded{.name = name, .shape = stored_[codes].shape, .codes = codes, .scales = *scales};
    set_matrix(coded);
    const Shape& shape = stored_[*scales].shape;
    if (num_elements(shape) == 1 && (shape.size() < 2 || coded.rows > kFp8Block || coded.cols > kFp8Block)) {
      coded.codec = Codec::kFp8Tensor;
      coded.block_rows = std::max<int64_t>(coded.rows, 1);
      coded.block_cols = std::max<int64_t>(coded.cols, 1);
      add(std::move(coded), shape);
      return;
    }
    coded.block_rows = coded.block_cols = kFp8Block;
    const Shape want = {coded.scale_rows(), coded.scale_cols()};
    add(std::move(coded), want);
  }

  /// Keeps its stored name: numbers of that name's stem would lie in another order (transformers transposes them).
  void add_mxfp4(uint32_t codes) {
    const std::string& name = stored_[codes].name;
    const uint32_t scales = need(name, name.substr(0, name.size() - 7) + "_scales");
    require_scale_type(scales, {DType::kU8});
    Shape shape = stored_[codes].shape;
    if (shape.size() < 3 || shape.back() != kMxfp4Group / 2)
      refuse(stored_[codes].name, "is no array of MXFP4 blocks", {.got = to_text(shape), .want = "[..., groups, 16]"});
    shape.pop_back();
    const Shape want = shape;
    shape.back() *= kMxfp4Group;
    CodedTensor coded{.name = name, .codec = Codec::kMxfp4, .shape = shape, .codes = codes, .scales = scales};
    set_matrix(coded);
    coded.block_rows = 1;
    coded.block_cols = kMxfp4Group;
    add(std::move(coded), want);
  }

  void add_int4(uint32_t codes, const std::string& name) {
    const uint32_t scales = need(stored_[codes].name, name + "_scale");
    const uint32_t shape = need(stored_[codes].name, name + "_shape");
    require_scale_type(scales, {DType::kBF16, DType::kF32});
    const Shape& packed = stored_[codes].shape;
    if (packed.size() != 2 || stored_[shape].shape != Shape{2} ||
        (stored_[shape].dtype != DType::kI64 && stored_[shape].dtype != DType::kI32) ||
        stored_[scales].shape.size() != 2 || stored_[scales].shape[1] < 1 ||
        packed[1] * 8 % stored_[scales].shape[1] != 0)
      refuse(stored_[codes].name, "is no array of packed 4-bit groups", {.got = to_text(packed), .want = "[R, C/8]"});
    CodedTensor coded{.name = name,
                      .codec = Codec::kInt4Group,
                      .shape = {packed[0], packed[1] * 8},
                      .codes = codes,
                      .scales = scales,
                      .shape_tensor = shape,
                      .shape_dtype = stored_[shape].dtype};
    set_matrix(coded);
    coded.block_rows = 1;
    coded.block_cols = coded.cols / stored_[scales].shape[1];
    const Shape want = {coded.rows, coded.cols / coded.block_cols};
    add(std::move(coded), want);
  }

  std::span<const SourceTensor> stored_;
  DType decoded_;
  std::unordered_map<std::string_view, uint32_t> index_;
  std::vector<bool> member_;
  DecodedSource source_;
};

/// The name without its ending; none when it ends otherwise.
std::optional<std::string> stem_of(const std::string& name, std::string_view ending) {
  if (!name.ends_with(ending)) return {};
  return name.substr(0, name.size() - ending.size());
}

}  // namespace

std::vector<std::string> decoded_names(std::span<const std::string> stored) {
  const std::unordered_set<std::string_view> present(stored.begin(), stored.end());
  const auto need = [&](const std::string& codes, const std::string& member) {
    if (!present.contains(member)) refuse(codes, "holds codes without their scales", {.want = member});
  };
  const auto is_beside = [&](const std::string& name, std::string_view ending, std::string_view codes) {
    const std::optional<std::string> stem = stem_of(name, ending);
    return stem && present.contains(*stem + std::string(codes));
  };
  std::vector<std::string> names;
  for (const std::string& name : stored) {
    if (is_beside(name, "_scale_inv", "") || is_beside(name, "_scale", "") || is_beside(name, "_scale", "_packed") ||
        is_beside(name, "_shape", "_packed") || is_beside(name, "_scales", "_blocks"))
      continue;
    if (const auto blocks = stem_of(name, "_blocks")) need(name, *blocks + "_scales");
    const std::optional<std::string> packed = stem_of(name, "_packed");
    if (packed)
      for (const char* member : {"_scale", "_shape"}) need(name, *packed + member);
    names.push_back(packed.value_or(name));
  }
  return names;
}

std::string_view name_of(Codec codec) {
  switch (codec) {
    case Codec::kFp8Block:
      return "FP8, blocks of 128 x 128";
    case Codec::kFp8Tensor:
      return "FP8, one scale a tensor";
    case Codec::kMxfp4:
      return "MXFP4";
    case Codec::kInt4Group:
      return "INT4 groups";
  }
  return "";
}

DecodedSource find_coded(std::span<const SourceTensor> stored, DType decoded) { return Finder(stored, decoded).run(); }

}  // namespace rialto::bridge
