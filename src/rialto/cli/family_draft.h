// `rialto models new`: what of a model without a family the nearest family explains, and what it does not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/cli/tensor_patterns.h"
#include "rialto/families/family.h"

namespace rialto::cli {

/// A model's files, as far as a family file needs them: no element of a tensor is read.
struct DraftSource {
  Json config;
  std::string where;  ///< of the config, for errors
  std::vector<bridge::SourceTensor> tensors;
  bool has_shapes = true;          ///< false where shards of the index are not here
  std::vector<std::string> notes;  ///< what a reader of the draft should know of these tensors
};
/// config.json and the headers of the weights; only names where shards of the index are not here. Coded tensors (FP8,
/// INT4, MXFP4) are seen decoded. Throws kInput for a folder without config.json, kConfig for an architecture that a
/// family has, and as hub::HfDirectory does.
DraftSource read_draft_source(const fs::path& path);

struct DraftKey {
  std::string key, value;  ///< JSON text
  std::string note;        ///< which family has a row of it; what a row accepts
};
struct FamilyDraft {
  std::string name, title, architecture, model_type;
  const families::Family* base = nullptr;  ///< the nearest family, whose tables and traits the draft has
  bool has_shapes = true;
  size_t num_tensors = 0, num_matched = 0;
  std::vector<TensorGroup> unmatched;    ///< that no row names
  std::vector<TensorGroup> unused;       ///< that a row names, for a part that the model of this config has not
  std::vector<TensorGroup> reshaped;     ///< of another shape than that model's
  std::vector<TensorGroup> missing;      ///< that that model has and the files lack
  std::vector<std::string> idle_rows;    ///< HF patterns of rows that found no tensor
  std::vector<DraftKey> new_keys;        ///< of config.json, that no row names
  std::vector<DraftKey> refused_keys;    ///< whose value no row accepts
  std::vector<std::string> absent_keys;  ///< that the rows require
  std::string refusal;  ///< why these rows make no model of this config otherwise; then `unused`... are not known
  std::vector<std::string> notes;
};

/// Throws kUsage for a name that is no snake_case identifier or that a family has; kInput for an architecture or a
/// model_type that could not stand in a source file.
FamilyDraft draft_family(const std::string& name, const DraftSource& source);

/// The family file: the nearest family's, under the new name, with what is unexplained as comments.
std::string family_file(const FamilyDraft& draft);

/// `out`: where the file went. The text names every tensor that is not matched.
Json draft_to_json(const FamilyDraft& draft, const std::string& out);
std::string draft_to_text(const Json& draft);

}  // namespace rialto::cli
