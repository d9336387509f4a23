// Rows -> map: which row a parameter has, and the pieces that its op makes.
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/names.h"
#include "rialto/bridge/ops.h"
#include "rialto/bridge/plan.h"

namespace rialto::bridge {
namespace {

/// A row as it applies to one parameter: its HF pattern may begin with another layer's prefix (Op::kLayerPrefix).
struct Choice {
  const ParamRow* row = nullptr;
  std::string hf;
};

/// The native pattern that names a parameter: its numbers become wildcards.
std::string pattern_of(const spec::Param& param) {
  std::string pattern = param.name;
  if (param.expert >= 0) {
    pattern.resize(pattern.size() - std::to_string(param.expert).size());
    pattern += "{e}";
  }
  const std::string_view stack = param.stack == spec::Stack::kDecoder ? "decoder.layers."
                                 : param.stack == spec::Stack::kMtp   ? "mtp.layers."
                                                                      : "";
  if (!stack.empty())
    pattern.replace(stack.size(), std::to_string(param.layer).size(),
                    param.stack == spec::Stack::kDecoder ? "{l}" : "{m}");
  return pattern;
}

/// Rows by native pattern.
class RowIndex {
 public:
  explicit RowIndex(std::span<const ParamRow> rows) {
    for (const ParamRow& row : rows) {
      if (row.op == Op::kLayerPrefix)
        prefix_ = &row;
      else
        rows_[row.native].push_back(&row);
    }
  }

  /// A row may also name one numbered parameter (K-EXAONE's only prediction block).
  std::vector<Choice> find(const std::string& pattern, const std::string& name) const {
    std::vector<Choice> choices = find(pattern);
    return choices.empty() ? find(name) : choices;
  }

 private:
  std::vector<Choice> find(const std::string& pattern) const {
    std::vector<Choice> choices;
    if (const auto found = rows_.find(pattern); found != rows_.end()) {
      for (const ParamRow* row : found->second) choices.push_back({row, std::string(row->hf)});
      return choices;
    }
    if (!prefix_ || !pattern.starts_with(prefix_->native)) return choices;
    constexpr std::string_view kLayer = "{l}.";
    const auto found = rows_.find("decoder.layers.{l}." + pattern.substr(prefix_->native.size()));
    if (found == rows_.end()) return choices;
    for (const ParamRow* row : found->second)
      choices.push_back(
          {row, std::string(prefix_->hf) + std::string(row->hf.substr(row->hf.find(kLayer) + kLayer.size()))});
    return choices;
  }

  std::unordered_map<std::string_view, std::vector<const ParamRow*>> rows_;
  const ParamRow* prefix_ = nullptr;
};

using NameSet = std::unordered_set<std::string_view>;
NameSet names_of(std::span<const SourceTensor> source) {
  NameSet names(source.size());
  for (const SourceTensor& tensor : source) names.insert(tensor.name);
  return names;
}

bool holds(When when, const spec::ModelSpec& model) {
  return when == When::kTied ? model.tied : when == When::kUntied ? !model.tied : true;
}

Indices indices_of(const spec::Param& param, const spec::ModelSpec& model) {
  const bool mtp = param.stack == spec::Stack::kMtp;
  return {.layer = mtp ? -1 : param.layer,
          .expert = param.expert,
          .depth = mtp ? param.layer : -1,
          .num_layers = static_cast<int64_t>(model.layers.size())};
}

class Maker {
 public:
  Maker(const spec::ModelSpec& model, std::span<const ParamRow> rows, std::span<const SourceTensor> source)
      : model_(model), rows_(rows), present_(names_of(source)) {}

  Map make() {
    const std::vector<spec::Param> params = spec::param_table(model_);
    map_.native.reserve(params.size());
    map_.hf.reserve(params.size() * 3 / 2);
    map_.pieces.reserve(params.size() * 3 / 2);
    for (const spec::Param& param : params) add(param);
    return std::move(map_);
  }

 private:
  void add(const spec::Param& param) {
    map_.native.push_back({.name = param.name,
                           .shape = param.shape,
                           .view = param.view,
                           .dtype = param.pinned_dtype.value_or(model_.dtype),
                           .pinned = param.pinned_dtype.has_value()});
    const Indices indices = indices_of(param, model_);
    std::optional<Choice> chosen;
    bool by_source = false;  // the first row whose tensors the source has, else the first
    for (Choice& choice : rows_.find(pattern_of(param), param.name)) {
      if (!holds(choice.row->when, model_)) continue;
      if (choice.row->op == Op::kRepeat) {
        add_repeats(choice.hf, indices, choice.row->when == When::kWritten);
        continue;
      }
      if (by_source || (chosen && present_.empty())) continue;
      by_source = !present_.empty() && present_.contains(expand_pattern(choice.hf, indices).front());
      if (!chosen || by_source) chosen = std::move(choice);
    }
    if (!chosen)
      throw Error(ErrorKind::kInternal, fmt::format("families.{}", model_.family),
                  fmt::format("no row for parameter '{}'", param.name));
    add_pieces(param, *chosen->row, expand_pattern(chosen->hf, indices));
  }

  /// Where only the HF side counts depths, there is a copy for each.
  void add_repeats(const std::string& hf, Indices indices, bool written) {
    const auto native = static_cast<uint32_t>(map_.native.size() - 1);
    const bool each = indices.depth < 0 && groups_of(hf).depths > 0;
    for (size_t depth = 0; depth < (each ? model_.mtp.size() : 1); ++depth) {
      if (each) indices.depth = static_cast<int64_t>(depth);
      map_.optional.push_back({expand_pattern(hf, indices).front(), native, written});
    }
  }

  void add_pieces(const spec::Param& param, const ParamRow& row, std::vector<std::string> names) {
    const auto native = static_cast<uint32_t>(map_.native.size() - 1);
    const spec::Layer* layer = spec::layer_of(param, model_);
    const auto* moe = layer ? std::get_if<spec::MoeFfn>(&layer->ffn) : nullptr;
    std::vector<HfPart> parts = parts_of(row.op, param, moe ? moe->num_experts : 0);
    for (size_t part = 0; part < parts.size(); ++part) {
      const uint32_t hf = hf_index(std::move(names[part]), parts[part], is_packed(row.op));
      for (BoxPair& pair : parts[part].pairs)
        map_.pieces.push_back({.hf = {hf, std::move(pair.hf.lo), std::move(pair.hf.hi)},
                               .native = {native, std::move(pair.native.lo), std::move(pair.native.hi)},
                               .axes = std::move(pair.axes)});
    }
  }

  /// A packed tensor is met once for every expert.
  uint32_t hf_index(std::string name, HfPart& part, bool packed) {
    const auto next = static_cast<uint32_t>(map_.hf.size());
    if (packed) {
      const auto [found, fresh] = packed_.try_emplace(name, next);
      if (!fresh) {
        if (map_.hf[found->second].view != part.view)
          throw Error(ErrorKind::kInternal, name, "experts of one tensor differ in shape");
        return found->second;
      }
    }
    map_.hf.push_back({.name = std::move(name),
                       .shape = std::move(part.shape),
                       .view = std::move(part.view),
                       .dtype = map_.native.back().dtype});
    return next;
  }

  const spec::ModelSpec& model_;
  RowIndex rows_;
  NameSet present_;
  std::unordered_map<std::string, uint32_t> packed_;
  Map map_;
};

}  // namespace

Map make_map(const spec::ModelSpec& model, std::span<const ParamRow> rows, std::span<const SourceTensor> source) {
  return Maker(model, rows, source).make();
}

void drop_absent_mtp(spec::ModelSpec& model, std::span<const ParamRow> rows, std::span<const SourceTensor> source) {
  if (model.mtp.empty()) return;
  const RowIndex index(rows);
  const NameSet present = names_of(source);
  const auto is_absent = [&](int64_t depth) {
    const std::vector<Choice> choices =
        index.find("mtp.layers.{m}.eh_proj.weight", fmt::format("mtp.layers.{}.eh_proj.weight", depth));
    const Indices indices{.depth = depth, .num_layers = static_cast<int64_t>(model.layers.size())};
    for (const Choice& choice : choices)
      if (present.contains(expand_pattern(choice.hf, indices).front())) return false;
    return !choices.empty();
  };
  while (!model.mtp.empty() && is_absent(static_cast<int64_t>(model.mtp.size()) - 1)) model.mtp.pop_back();
}

}  // namespace rialto::bridge
