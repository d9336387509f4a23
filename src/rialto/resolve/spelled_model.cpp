// A training YAML's model, read by the reader of Megatron's keys.
#include "rialto/resolve/spelled_model.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/model_keys.h"
#include "rialto/resolve/model_parts.h"
#include "rialto/resolve/model_section.h"
#include "rialto/resolve/section_family.h"
#include "rialto/resolve/section_model.h"

namespace rialto::resolve {
namespace {

const YamlSection::Wording kWording = {
    .kind = ErrorKind::kConfig,
    .missing = "is not set: a model with random weights needs it",
    .hint = "or set checkpoint.pretrained_checkpoint to start from a model",
};
const YamlSection::Wording kChecking = {.kind = ErrorKind::kConfig, .hint = "leave the key out"};

Error says_nothing(const Node& value, std::string_view key, const families::Family& family) {
  return Error(ErrorKind::kConfig, value.where(), fmt::format("'model.{}' says nothing of this model", key),
               {.got = text_of(value),
                .want = fmt::format("nothing: models of family {} have no use for it", family.name),
                .hint = "leave the key out, or set the one that makes it count"});
}

/// Whether the model has no use for what the key says. Megatron's files hold its defaults for parts that a model has
/// not.
bool says_nothing_here(const YamlSection& keys, std::string_view key, const Node& value) {
  if (keys.asked(key)) return false;
  for (const config::ModelKey& row : config::model_keys())
    if (row.key == key) return row.off.empty() || !same_value(value, parse_yaml_value(row.off));
  return true;
}

/// What a model writes of itself, for its family to read again.
config::ModelSection written_section(const spec::ModelSpec& model) {
  config::ModelSection section;
  const Node written = parse_yaml(write_model_section(model), "model section");
  const Node& keys = *written.find("model");
  for (size_t i = 0; i < keys.keys.size(); ++i)
    if (keys.keys[i] != "rope_scaling_type") section.set(keys.keys[i], keys.items[i]);
  return section;
}

/// As named; by a provider that several families share, the one that fits the keys; else llama.
const families::Family& family_of_section(config::ModelSection section, const YamlSection& keys) {
  if (const families::Family* named = named_family(keys)) return *named;
  if (!keys.find("_target_")) return family_named("llama");
  section.set("params_dtype", "{_target_: torch.float32}");
  try {
    return family_named(model_from_megatron(section.keys).family);
  } catch (const Error&) {
    throw keys.bad("_target_", "a class of one family, or model.family beside this one, which several share");
  }
}

/// A key that stands for the family.
bool names_family(std::string_view key) { return key == "family" || key == "_target_"; }

void check_key(std::string_view key, const Node& value, config::ModelSection section, const spec::ModelSpec& written,
               const families::Family& family) {
  const Node* had = section.find(key);
  Error differs(ErrorKind::kConfig, value.where(), fmt::format("'model.{}': the loaded model says otherwise", key),
                {.got = text_of(value), .want = had ? text_of(*had) : "nothing", .hint = "leave the key out"});
  section.set(key, value);
  const YamlSection keys(section.keys, "model", kChecking);
  std::optional<spec::ModelSpec> model;
  try {
    model = read_section_model({keys, family, Dialect::kTraining}, written.dtype);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) throw;
    throw differs;
  }
  if (*model != written) throw differs;
  if (says_nothing_here(keys, key, value)) throw says_nothing(value, key, family);
}

}  // namespace

spec::ModelSpec model_from_section(const config::ModelSection& given, std::optional<int64_t> tokenizer_vocab,
                                   DType dtype) {
  config::ModelSection section = given;
  section.keys.file = "model";
  if (!section.find("vocab_size") && tokenizer_vocab) section.set("vocab_size", fmt::to_string(*tokenizer_vocab));
  const YamlSection keys(section.keys, "model", kWording);
  const families::Family& family = family_of_section(section, keys);
  spec::ModelSpec model = read_section_model({keys, family, Dialect::kTraining}, dtype);
  for (size_t i = 0; i < section.keys.keys.size(); ++i)
    if (const std::string& key = section.keys.keys[i];
        !names_family(key) && says_nothing_here(keys, key, section.keys.items[i]))
      throw says_nothing(section.keys.items[i], key, family);
  return model;
}

void check_against_model(const config::ModelSection& section, const spec::ModelSpec& model) {
  const families::Family& family = family_named(model.family);
  const config::ModelSection written = written_section(model);
  const YamlSection keys(written.keys, "model", kChecking);
  std::optional<spec::ModelSpec> read;
  for (size_t i = 0; i < section.keys.keys.size(); ++i) {
    const std::string& key = section.keys.keys[i];
    const Node& value = section.keys.items[i];
    if (key == "seq_length" || key == "init_method_std") continue;
    if (names_family(key)) {
      const families::Family* named = named_family(YamlSection(section.keys, "model", kChecking));
      if (named && named != &family)
        throw Error(ErrorKind::kConfig, value.where(), fmt::format("'model.{}': the loaded model says otherwise", key),
                    {.got = text_of(value), .want = std::string(family.name), .hint = "leave the key out"});
      continue;
    }
    if (!read) read = read_section_model({keys, family, Dialect::kTraining}, model.dtype);
    check_key(key, value, written, *read, family);
  }
}

}  // namespace rialto::resolve
