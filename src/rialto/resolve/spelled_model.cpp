// A training YAML's model, read by the reader of Megatron's keys.
#include "rialto/resolve/spelled_model.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
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

/// What a model writes of itself, for its family to read again.
config::ModelSection written_section(const spec::ModelSpec& model) {
  config::ModelSection section;
  const Node written = parse_yaml(write_model_section(model), "model section");
  const Node& keys = *written.find("model");
  for (size_t i = 0; i < keys.keys.size(); ++i)
    if (keys.keys[i] != "rope_scaling_type") section.set(keys.keys[i], keys.items[i]);
  return section;
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
  } catch (const Error&) {
    throw differs;
  }
  if (*model != written) throw differs;
  if (!keys.asked(key)) throw says_nothing(value, key, family);
}

}  // namespace

spec::ModelSpec model_from_section(const config::ModelSection& given, std::optional<int64_t> tokenizer_vocab,
                                   DType dtype) {
  config::ModelSection section = given;
  section.keys.file = "model";
  if (!section.find("vocab_size") && tokenizer_vocab) section.set("vocab_size", fmt::to_string(*tokenizer_vocab));
  const YamlSection keys(section.keys, "model", kWording);
  const families::Family* named = named_family(keys);
  const families::Family& family = named ? *named : family_named("llama");
  spec::ModelSpec model = read_section_model({keys, family, Dialect::kTraining}, dtype);
  for (size_t i = 0; i < section.keys.keys.size(); ++i)
    if (const std::string& key = section.keys.keys[i]; !keys.asked(key) && !names_family(key))
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
