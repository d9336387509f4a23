// Reading the folder of a model that no family has.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/bridge/codecs/codec.h"
#include "rialto/cli/family_draft.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/resolve/architecture.h"
#include "rialto/source/hf_weights.h"

namespace rialto::cli {
namespace {

void refuse_known(const DraftSource& source) {
  const std::string architecture = resolve::architecture_of(source.config, source.where);
  const families::Family* family = families::find_by_architecture(architecture);
  if (!family) return;
  throw Error(
      ErrorKind::kConfig, source.where,
      fmt::format("the architecture {} is known: family '{}' ({}) has it", architecture, family->name, family->title),
      {.hint = fmt::format("`rialto models show {} --from DIR` prints where its tensors go", family->name)});
}

/// The published code says what a config key changes: whoever adds the family reads it.
void add_code(const fs::path& path, DraftSource& source) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.is_regular_file() && entry.path().extension() == ".py") names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  if (!names.empty())
    source.notes.push_back(
        fmt::format("the repository's Python code is never run; it is the source to read: {}", fmt::join(names, ", ")));
}

/// Codes and scales are one tensor; where they do not fit, the draft is made of what is stored.
void add_decoded(const std::vector<bridge::SourceTensor>& stored, DraftSource& source) {
  try {
    source.tensors = bridge::find_coded(stored, DType::kBF16).tensors;
  } catch (const Error& error) {
    source.tensors = stored;
    source.notes.push_back(fmt::format("tensors are listed as they are stored, coded ones too: {}", error.what()));
  }
}

}  // namespace

DraftSource read_draft_source(const fs::path& path) {
  if (!hub::is_hf_directory(path))
    throw Error(ErrorKind::kInput, path.string(), "has no config.json", {.hint = "is this a Hugging Face model?"});
  DraftSource source;
  source.where = (path / "config.json").string();
  source.config = read_json_file(source.where);
  if (!source.config.is_object()) throw Error(ErrorKind::kInput, source.where, "is not a JSON object");
  refuse_known(source);
  add_code(path, source);
  const hub::HfDirectory directory(path, hub::Absent::kNamesOnly);
  if (directory.unseen().empty()) {
    add_decoded(source::stored_tensors(directory), source);
    return source;
  }
  source.has_shapes = false;
  for (const auto& [name, tensor] : directory.tensors()) source.tensors.push_back({name, {}, {}});
  for (const std::string& name : directory.unseen()) source.tensors.push_back({name, {}, {}});
  source.notes.push_back(
      fmt::format("{} of {} tensors are known from the index only: names were compared, shapes were not",
                  directory.unseen().size(), source.tensors.size()));
  return source;
}

}  // namespace rialto::cli
