// The `_extra_state` objects that readers demand: one per TransformerEngine module and layer, expert.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/spec/param.h"

namespace rialto::spec {
namespace {

/// Embedding, head, router and the shared experts' gate are plain Megatron modules; every other module with parameters
/// is TransformerEngine's.
bool is_transformer_engine(std::string_view module) {
  return !module.starts_with("embedding.") && !module.starts_with("output_layer") && !module.ends_with(".router") &&
         !module.ends_with(".shared_experts");
}

}  // namespace

std::string ExtraState::full_key() const {
  std::vector<int64_t> index, size;
  for (const DiskAxis& axis : axes) {
    index.push_back(axis.index);
    size.push_back(axis.size);
  }
  return fmt::format("{}/shard_{}_{}", key, fmt::join(index, "."), fmt::join(size, "."));
}

std::vector<ExtraState> extra_state_table(const ModelSpec& model) {
  std::vector<ExtraState> states;
  std::string last;
  for (const Param& param : param_table(model)) {
    const std::string module = param.disk.key.substr(0, param.disk.key.rfind('.'));
    if (!is_transformer_engine(module)) continue;
    ExtraState state{.key = module + "._extra_state", .axes = param.disk.axes};
    if (state.axes.empty()) state.axes.push_back({0, 1});
    std::string full = state.full_key();
    if (full == last) continue;  // a module's parameters stand side by side: its norm, weight, bias
    last = std::move(full);
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace rialto::spec
