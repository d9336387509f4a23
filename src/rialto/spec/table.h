// Collects rows of the parameter table: what every kind of parameter has in common.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rialto/spec/param.h"

namespace rialto::spec {

/// Where rows are being added: how names and disk keys begin, which axes the disk puts first.
struct Scope {
  Stack stack = Stack::kDecoder;
  int64_t layer = -1;
  std::string name, key;  ///< prefixes, with the last dot
  std::vector<DiskAxis> axes = {};
  int64_t expert = -1;

  Scope inside(std::string_view module) const {
    Scope scope = *this;
    scope.name += module;
    scope.key += module;
    return scope;
  }
};

class Table {
 public:
  std::vector<Param> params;

  /// A matrix keeps its last axis and joins the others into rows.
  Param& weight(const Scope& at, std::string_view leaf, Shape view, std::optional<int> tp_axis,
                Init init = Init::kNormal) {
    Param& param = add(at, leaf, std::move(view));
    param.shape = {num_elements(Shape(param.view.begin(), param.view.end() - 1)), param.view.back()};
    param.tp_axis = tp_axis;
    param.init = init;
    return param;
  }

  /// One axis, not decayed. Replicated ones are used by parts of the sequence, so their gradients are summed over TP.
  Param& vector(const Scope& at, std::string_view leaf, Shape view, std::optional<int> tp_axis, Init init) {
    Param& param = add(at, leaf, std::move(view));
    param.shape = {num_elements(param.view)};
    param.tp_axis = tp_axis;
    param.weight_decay = false;
    param.sequence_parallel_sum = !tp_axis;
    param.init = init;
    return param;
  }

  /// `stem` is all but "weight" and "bias"; `alias` the stem under which the local layer spec looks for the same norm.
  void norm(const Scope& at, std::string_view stem, int64_t width, const Norm& norm, std::string_view alias = {},
            std::optional<int> tp_axis = {}) {
    for (const std::string_view part : {"weight", "bias"}) {
      if (part == "bias" && !norm.bias) continue;
      const Init init = part == "bias" || norm.zero_centered ? Init::kZeros : Init::kOnes;
      Param& param = vector(at, std::string(stem) + std::string(part), {width}, tp_axis, init);
      if (!alias.empty()) param.disk.aliases.push_back(at.key + std::string(alias) + std::string(part));
    }
  }

 private:
  Param& add(const Scope& at, std::string_view leaf, Shape view) {
    Param& param = params.emplace_back();
    param.name = at.name + std::string(leaf);
    param.stack = at.stack;
    param.layer = at.layer;
    param.expert = at.expert;
    param.view = std::move(view);
    param.disk.key = at.key + std::string(leaf);
    param.disk.axes = at.axes;
    return param;
  }
};

/// Rows of a layer's attention with the norms around it. Throws kShape when groups do not divide heads.
void add_mixer(Table& table, const Scope& at, int64_t hidden, const Layer& layer);

/// Rows of a layer's feed-forward part with the norms around it.
void add_ffn(Table& table, const Scope& at, int64_t hidden, const Layer& layer);

}  // namespace rialto::spec
