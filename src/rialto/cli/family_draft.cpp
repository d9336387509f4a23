// Comparing a model's tensors and config keys with the rows of the nearest family.
#include "rialto/cli/family_draft.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/plan.h"
#include "rialto/cli/nearest_family.h"
#include "rialto/resolve/architecture.h"
#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/resolve.h"

namespace rialto::cli {
namespace {

using bridge::ConfigKind;
using bridge::ConfigRow;
using bridge::SourceTensor;

bool is_word(std::string_view text, std::string_view more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

/// The name is a file's, and part of a C++ identifier, in which two underscores in a row are reserved.
void check_name(const std::string& name) {
  const bool plain = is_word(name, "_") && name.front() >= 'a' && name.front() <= 'z' && name.back() != '_' &&
                     name.find("__") == std::string::npos &&
                     std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!plain)
    throw Error(ErrorKind::kUsage, "models new", "the name of a family is that of its file",
                {.got = name, .want = "small letters, digits and single underscores: qwen3_moe"});
  if (const families::Family* family = families::find_by_name(name))
    throw Error(ErrorKind::kUsage, "models new", fmt::format("there is a family '{}' ({})", name, family->title),
                {.hint = fmt::format("`rialto models show {}` prints it", name)});
}

/// The title of a family is its architecture's, without what every class name ends with.
std::string title_of(const std::string& architecture) {
  constexpr std::string_view kEnding = "ForCausalLM";
  return architecture.size() > kEnding.size() && architecture.ends_with(kEnding)
             ? architecture.substr(0, architecture.size() - kEnding.size())
             : architecture;
}

const ConfigRow* row_of(std::span<const ConfigRow> rows, std::string_view key) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const ConfigRow& row) { return row.key == key; });
  return found == rows.end() ? nullptr : &*found;
}

int64_t num_layers_of(const Json& config) {
  const auto found = config.find("num_hidden_layers");
  const bool fits = found != config.end() && found->is_number_integer() && *found > 0 && *found < kManyLayers;
  return fits ? found->get<int64_t>() : kManyLayers;
}

/// "glm4_moe has a row: ..." for a tensor that only other families know; "" where none does.
std::string known_elsewhere(const std::string& pattern, int64_t num_layers) {
  for (const families::Family* family : families::registry())
    for (const RowName& row : row_names(*family, num_layers))
      if (row.pattern == pattern) return fmt::format("{} has a row: {} -> {}", family->name, row.hf, row.native);
  return "";
}

std::string key_known_elsewhere(const std::string& key) {
  for (const families::Family* family : families::registry())
    if (row_of(family->config, key)) return fmt::format("{} has a row", family->name);
  return "";
}

/// Keys without a row, values that no row accepts, keys that a row requires. Returns what is left of the config: what
/// the rows can make a model of.
Json compare_keys(const Json& config, FamilyDraft& draft) {
  Json known = config;
  known["architectures"] = {std::string(draft.base->architectures.front())};
  std::set<ConfigKind> said;
  for (const auto& [key, value] : config.items()) {
    const ConfigRow* row = row_of(draft.base->config, key);
    if (row && !value.is_null()) said.insert(row->kind);
    if (!row) row = row_of(families::common_config(), key);
    if (!row) {
      draft.new_keys.push_back({key, value.dump(), key_known_elsewhere(key)});
      known.erase(key);
    } else if (row->kind == ConfigKind::kMustEqual) {
      const std::vector<Json> accepted = resolve::accepted_values(*row);
      if (std::find(accepted.begin(), accepted.end(), value) != accepted.end()) continue;
      draft.refused_keys.push_back({key, value.dump(), fmt::format("a row accepts {}", row->value)});
      known.erase(key);
    }
  }
  for (const ConfigRow& row : draft.base->config)
    if (row.value.empty() && row.kind != ConfigKind::kKept && said.insert(row.kind).second)
      draft.absent_keys.emplace_back(row.key);
  return known;
}

/// The tensors of a model made by the base's rows; nothing when they make none of this config.
std::optional<bridge::Map> try_rows(const Json& config, const DraftSource& source, FamilyDraft& draft) {
  try {
    resolve::Resolved resolved = resolve::model_from_hf(config, source.where);
    bridge::drop_absent_mtp(resolved.model, resolved.family->params, source.tensors);
    return bridge::make_map(resolved.model, resolved.family->params, source.tensors);
  } catch (const Error& error) {
    draft.refusal = error.what();
    return {};
  }
}

/// Sorts tensors into those that the model of this config takes and the others.
class Sorter {
 public:
  Sorter(const DraftSource& source, FamilyDraft& draft)
      : source_(source), draft_(draft), num_layers_(num_layers_of(source.config)) {
    for (const RowName& row : row_names(*draft.base, num_layers_)) named_.insert(row.pattern);
    ignored_ = ignored_patterns(*draft.base, num_layers_);
  }

  void sort(const std::optional<bridge::Map>& map) {
    std::map<std::string, const Shape*> wanted;
    if (map) {
      for (const bridge::TensorInfo& tensor : map->hf) wanted.emplace(tensor.name, &tensor.shape);
      for (const bridge::OptionalCopy& copy : map->optional) wanted.emplace(copy.hf, &map->native[copy.native].shape);
    }
    for (const SourceTensor& tensor : source_.tensors) sort_one(tensor, wanted, map.has_value());
    std::vector<SourceTensor> missing;
    if (map)
      for (const bridge::TensorInfo& tensor : map->hf)
        if (wanted.contains(tensor.name)) missing.push_back({tensor.name, tensor.shape, {}});
    draft_.num_tensors = source_.tensors.size();
    draft_.unmatched = grouped(unmatched_, true);
    draft_.unused = grouped(unused_, false);
    draft_.reshaped = grouped(reshaped_, false);
    draft_.missing = group_by_pattern(missing, num_layers_, true);
    for (TensorGroup& group : draft_.reshaped)
      group.note = fmt::format("the model has {}", to_text(*wanted_shape_.at(group.pattern)));
    add_idle_rows();
  }

 private:
  /// Takes what it finds out of `wanted`.
  void sort_one(const SourceTensor& tensor, std::map<std::string, const Shape*>& wanted, bool have_model) {
    const std::string pattern = pattern_of(tensor.name, num_layers_).pattern;
    present_.insert(pattern);
    const auto found = wanted.find(tensor.name);
    if (found != wanted.end()) {
      if (source_.has_shapes && *found->second != tensor.shape) {
        wanted_shape_.emplace(pattern, found->second);
        reshaped_.push_back(tensor);
      } else {
        ++draft_.num_matched;
      }
      wanted.erase(found);
    } else if (ignored_.contains(pattern)) {
      ++draft_.num_matched;
    } else if (!named_.contains(pattern)) {
      unmatched_.push_back(tensor);
    } else if (have_model) {
      unused_.push_back(tensor);
    } else {
      ++draft_.num_matched;
    }
  }

  std::vector<TensorGroup> grouped(const std::vector<SourceTensor>& tensors, bool look_elsewhere) const {
    std::vector<TensorGroup> groups = group_by_pattern(tensors, num_layers_, source_.has_shapes);
    if (look_elsewhere)
      for (TensorGroup& group : groups) group.note = known_elsewhere(group.pattern, num_layers_);
    return groups;
  }

  /// A row that names several tensors is idle when none of them is there.
  void add_idle_rows() {
    std::set<std::string> found;
    for (const RowName& row : row_names(*draft_.base, num_layers_))
      if (present_.contains(row.pattern)) found.insert(row.hf);
    for (const bridge::ParamRow& row : draft_.base->params)
      if (found.insert(std::string(row.hf)).second) draft_.idle_rows.emplace_back(row.hf);
  }

  const DraftSource& source_;
  FamilyDraft& draft_;
  int64_t num_layers_;
  std::set<std::string> named_, ignored_, present_;
  std::map<std::string, const Shape*> wanted_shape_;
  std::vector<SourceTensor> unmatched_, unused_, reshaped_;
};

}  // namespace

FamilyDraft draft_family(const std::string& name, const DraftSource& source) {
  check_name(name);
  FamilyDraft draft{.name = name};
  draft.architecture = resolve::architecture_of(source.config, source.where);
  if (!is_word(draft.architecture, "_"))
    throw Error(ErrorKind::kInput, source.where, "the architecture is no class name", {.got = draft.architecture});
  draft.title = title_of(draft.architecture);
  draft.model_type = name;
  if (const auto type = source.config.find("model_type"); type != source.config.end() && !type->is_null()) {
    if (!type->is_string() || !is_word(type->get<std::string>(), "_-."))
      throw Error(ErrorKind::kInput, source.where, "'model_type' is no name", {.got = type->dump()});
    draft.model_type = type->get<std::string>();
  }
  draft.has_shapes = source.has_shapes;
  draft.notes = source.notes;
  const int64_t num_layers = num_layers_of(source.config);
  std::set<std::string> patterns;
  for (const SourceTensor& tensor : source.tensors) patterns.insert(pattern_of(tensor.name, num_layers).pattern);
  draft.base = &nearest_family(patterns, source.config, draft.architecture, num_layers);
  const Json known = compare_keys(source.config, draft);
  Sorter(source, draft).sort(try_rows(known, source, draft));
  return draft;
}

}  // namespace rialto::cli
