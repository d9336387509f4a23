// The parts of a ModelSpec that config files speak of.
#include "rialto/resolve/model_parts.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"

namespace rialto::resolve {
namespace {

template <class T, class Variant>
void take_first(const T*& first, const Variant& part) {
  if (!first) first = std::get_if<T>(&part);
}

}  // namespace

ModelParts::ModelParts(const spec::ModelSpec& model) : model(model) {
  if (model.layers.empty()) throw Error(ErrorKind::kConfig, model.family, "has no layers");
  const spec::Rope* global_rope = nullptr;
  for (const spec::Layer& layer : model.layers) {
    take_first(attention, layer.mixer);
    take_first(latent, layer.mixer);
    take_first(dense, layer.ffn);
    take_first(moe, layer.ffn);
    is_moe.push_back(std::holds_alternative<spec::MoeFfn>(layer.ffn));
    const auto* mixer = std::get_if<spec::Attention>(&layer.mixer);
    windows.push_back(mixer ? mixer->window : std::nullopt);
    const spec::Rope*& slot = windows.back() ? local_rope : global_rope;
    if (!slot && mixer && mixer->rope) slot = &*mixer->rope;
  }
  for (const spec::MtpBlock& block : model.mtp) take_first(dense, block.layer.ffn);
  if (latent && latent->rope) global_rope = &*latent->rope;
  rope = global_rope ? global_rope : local_rope;
}

int64_t ModelParts::num_heads() const { return attention ? attention->num_heads : latent->num_heads; }

std::optional<int64_t> ModelParts::window() const {
  for (const std::optional<int64_t>& each : windows)
    if (each) return each;
  return {};
}

spec::Activation ModelParts::activation() const { return dense ? dense->activation : moe->activation; }

const families::Family& family_named(const std::string& name) {
  if (const families::Family* family = families::find_by_name(name)) return *family;
  std::vector<std::string> known;
  for (const families::Family* family : families::registry()) known.emplace_back(family->name);
  throw Error(ErrorKind::kConfig, "model.family", "there is no such family",
              {.got = fmt::format("'{}'", name), .want = fmt::format("{}", fmt::join(known, ", "))});
}

bool holds(const std::vector<bool>& flags, bool value) {
  return std::find(flags.begin(), flags.end(), value) != flags.end();
}

}  // namespace rialto::resolve
