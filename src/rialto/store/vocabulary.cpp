// How many rows of a stored embedding are tokens.
#include "rialto/store/vocabulary.h"

#include "rialto/base/schema.h"

namespace rialto::store {

std::optional<StatedVocabulary> stated_vocabulary(const fs::path& iter_dir, const Json& manifest) {
  if (manifest.is_object() && manifest.contains("facts") && manifest["facts"].contains("true_vocab") &&
      manifest["facts"]["true_vocab"].is_number_integer())
    return StatedVocabulary{manifest["facts"]["true_vocab"].get<int64_t>(), "manifest.json, true_vocab"};
  const fs::path path = iter_dir / "run_config.yaml";
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  const Node config = read_yaml_file(path.string());
  const Node* model = config.find("model");
  const Node* size = model ? model->find("vocab_size") : nullptr;
  if (!size || size->kind != Node::Kind::kInt) return {};
  return StatedVocabulary{size->integer, size->where() + ", model.vocab_size"};
}

}  // namespace rialto::store
