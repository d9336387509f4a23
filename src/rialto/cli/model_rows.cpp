// `rialto models show`.
#include "rialto/cli/model_rows.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/bridge/plan.h"
#include "rialto/resolve/resolve.h"

namespace rialto::cli {
namespace {

using bridge::ConfigKind;
using bridge::Op;

const families::Family& family_of(const std::string& name) {
  if (const families::Family* family = families::find_by_name(name)) return *family;
  if (const families::Family* family = families::find_by_architecture(name)) return *family;
  std::vector<std::string> known;
  for (const families::Family* family : families::registry()) known.emplace_back(family->name);
  const std::string near = nearest(name, known);
  throw Error(ErrorKind::kUsage, "models show", fmt::format("no family or architecture '{}'", name),
              {.want = fmt::format("{}", fmt::join(known, ", ")),
               .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)});
}

std::string_view how(Op op) {
  switch (op) {
    case Op::kSame:
      return "as it is";
    case Op::kQkv:
      return "per key/value group: its query heads, then its key, then its value";
    case Op::kFusedQkv:
      return "all queries, keys, values regrouped: per group its query heads, key, value";
    case Op::kGateUp:
      return "all rows of gate, then all of up";
    case Op::kSwapHalves:
      return "the two halves of the columns change places";
    case Op::kRowVector:
      return "the one row";
    case Op::kPacked:
      return "one expert of the stack";
    case Op::kPackedGateUp:
      return "one expert of each stack: gate rows, then up rows";
    case Op::kPackedReversed:
      return "one expert of the stack, transposed; gate and up alternate";
    case Op::kPackedAlternating:
      return "one expert of the stack; gate and up rows alternate";
    case Op::kRepeat:
      return "a repetition that a file may carry; checked to be equal";
    case Op::kLayerPrefix:
      return "every row of decoder.layers.{l} holds here too";
  }
  return "";
}

/// Sizes whose defaults belong to a model's true size, not to a small one's.
bool goes_with_size(ConfigKind kind) {
  constexpr ConfigKind kSizes[] = {ConfigKind::kGroups,  ConfigKind::kHeadDim,      ConfigKind::kTopK,
                                   ConfigKind::kExperts, ConfigKind::kRouterGroups, ConfigKind::kTopGroups};
  return std::find(std::begin(kSizes), std::end(kSizes), kind) != std::end(kSizes);
}

/// A small value for each size that a config must state.
Json example_value(ConfigKind kind) {
  switch (kind) {
    case ConfigKind::kLayers:
    case ConfigKind::kHeads:
      return 4;
    case ConfigKind::kGroups:
    case ConfigKind::kTopK:
      return 2;
    case ConfigKind::kExperts:
      return 8;
    case ConfigKind::kVocab:
      return 256;
    case ConfigKind::kFfnHidden:
      return 96;
    case ConfigKind::kMaxPositions:
      return 128;
    case ConfigKind::kQkNopeDim:
    case ConfigKind::kVHeadDim:
    case ConfigKind::kHeadDim:
      return 16;
    case ConfigKind::kQkRopeDim:
      return 8;
    case ConfigKind::kRouterGroups:
    case ConfigKind::kTopGroups:
      return 1;
    case ConfigKind::kExpertHidden:
    case ConfigKind::kKvLoraRank:
    case ConfigKind::kQLoraRank:
      return 32;
    default:
      return 64;
  }
}

Json example_config(const families::Family& family) {
  Json config = {{"architectures", {std::string(family.architectures.front())}},
                 {"model_type", std::string(family.model_type)}};
  std::vector<ConfigKind> said;
  for (const bridge::ConfigRow& row : family.config) {
    const bool required = row.value.empty() && row.kind != ConfigKind::kKept && row.kind != ConfigKind::kMustEqual;
    if (!(required || goes_with_size(row.kind)) || std::find(said.begin(), said.end(), row.kind) != said.end())
      continue;
    said.push_back(row.kind);
    // A latent is projected up for every head: those families have as many groups.
    const bool ungrouped = family.traits.latent && row.kind == ConfigKind::kGroups;
    config[std::string(row.key)] = example_value(ungrouped ? ConfigKind::kHeads : row.kind);
  }
  return config;
}

/// The pieces of one layer, experts but the first left out.
Json layer_pieces(const spec::ModelSpec& model, const families::Family& family, int64_t number) {
  const bridge::Map map = bridge::make_map(model, family.params);
  const std::vector<spec::Param> params = spec::param_table(model);
  Json pieces = Json::array();
  for (const bridge::Piece& piece : map.pieces) {
    if (piece.native.lo.empty() || piece.hf.lo.empty()) continue;
    const spec::Param& param = params[piece.native.tensor];
    if (param.stack != spec::Stack::kDecoder || param.layer != number || param.expert > 0) continue;
    const bridge::TensorInfo& hf = map.hf[piece.hf.tensor];
    pieces.push_back({{"hf", hf.name},
                      {"hf_shape", to_text(hf.shape)},
                      {"native", param.name},
                      {"native_view", to_text(param.view)},
                      {"box", fmt::format("{} to {}", to_text(piece.native.lo), to_text(piece.native.hi))}});
  }
  return pieces;
}

}  // namespace

Json model_rows(const std::string& name, const std::optional<fs::path>& from, std::optional<int64_t> number) {
  const families::Family& family = family_of(name);
  const std::string where = from ? (*from / "config.json").string() : "an example";
  const Json config = from ? read_json_file(*from / "config.json") : example_config(family);
  const resolve::Resolved resolved = resolve::model_from_hf(config, where);
  if (resolved.family != &family)
    throw Error(ErrorKind::kInput, where, "is of another family",
                {.got = std::string(resolved.family->name), .want = std::string(family.name)});
  const auto layers = static_cast<int64_t>(resolved.model.layers.size());
  const int64_t layer = number.value_or(layers - 1);
  if (layer < 0 || layer >= layers)
    throw Error(ErrorKind::kUsage, "--layer", "there is no such layer",
                {.got = fmt::to_string(layer), .want = fmt::format("0 to {}", layers - 1)});
  Json rows = Json::array();
  for (const bridge::ParamRow& row : family.params)
    rows.push_back(
        {{"hf", std::string(row.hf)}, {"native", std::string(row.native)}, {"how", std::string(how(row.op))}});
  Json keys = Json::array();
  for (const bridge::ConfigRow& row : family.config) keys.push_back(std::string(row.key));
  return {{"name", std::string(family.name)},
          {"title", std::string(family.title)},
          {"architectures", std::vector<std::string>(family.architectures.begin(), family.architectures.end())},
          {"config_keys", keys},
          {"rows", rows},
          {"layer", {{"of", where}, {"number", layer}, {"pieces", layer_pieces(resolved.model, family, layer)}}}};
}

std::string model_rows_text(const Json& rows) {
  std::string text =
      fmt::format("{} ({})\n  architectures: {}\n  config keys: {}\n\nTensors: Hugging Face -> Megatron\n",
                  rows["title"].get<std::string>(), rows["name"].get<std::string>(),
                  fmt::join(rows["architectures"].get<std::vector<std::string>>(), ", "),
                  fmt::join(rows["config_keys"].get<std::vector<std::string>>(), ", "));
  for (const Json& row : rows["rows"])
    text += fmt::format("  {}\n    -> {}\n       {}\n", row["hf"].get<std::string>(), row["native"].get<std::string>(),
                        row["how"].get<std::string>());
  const Json& layer = rows["layer"];
  text += fmt::format("\nLayer {} of {}: which box of the Megatron tensor each Hugging Face tensor fills{}\n",
                      layer["number"].get<int64_t>(), layer["of"].get<std::string>(), "; of experts, number 0");
  for (const Json& piece : layer["pieces"])
    text += fmt::format("  {} {}\n    -> {}, seen as {}: {}\n", piece["hf"].get<std::string>(),
                        piece["hf_shape"].get<std::string>(), piece["native"].get<std::string>(),
                        piece["native_view"].get<std::string>(), piece["box"].get<std::string>());
  return text;
}

}  // namespace rialto::cli
