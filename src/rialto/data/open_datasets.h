// From the `dataset` section to samples by number.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rialto/config/run_config.h"
#include "rialto/data/blend.h"
#include "rialto/data/gpt_dataset.h"
#include "rialto/data/open_sft.h"

namespace rialto::data {

/// What the section itself does not say.
struct OpenOptions {
  int64_t seq_length = 0;
  std::optional<int32_t> eod_token = {};  ///< needed for masks and positions by document
  FileOps* ops = nullptr;                 ///< writes the cache; null when dataset.path_to_cache is not set
  fs::path tokenizer = {};                ///< folder, for fine-tuning rows
  Progress* progress = nullptr;
};

/// Opens the parts of a run's data as Megatron's BlendedMegatronDatasetBuilder builds them: the split of one blend, or
/// a blend for each part. A source that is alone and has no weight is not blended. With dataset.dataset_root: its
/// fine-tuning rows.
class DatasetOpener {
 public:
  /// Reads the file of words, when the section names one. Throws kConfig, kInput.
  DatasetOpener(const config::DatasetSection& section, OpenOptions options);

  /// True when there is a document for this part. Throws as open() does.
  bool has(Part part);
  /// At least num_samples samples (0: all of one epoch). Throws kConfig when the part is empty, has too few samples
  /// without weights, or has weights and is asked for an epoch; kInput for damaged or missing files.
  std::unique_ptr<Dataset> open(Part part, int64_t num_samples);

 private:
  Blend blend(Part part) const;
  const Tokens& tokens(const std::string& prefix);
  /// The sequences [first, last) of a source that are this part's.
  std::pair<int64_t, int64_t> range(const std::string& prefix, Part part);
  std::unique_ptr<Dataset> open_source(const std::string& prefix, Part part, int64_t num_samples);
  const std::vector<std::string>& words(Part part) const;

  config::DatasetSection section_;
  OpenOptions options_;
  bool per_part_ = false;                          ///< words_ has a blend for each part
  std::array<std::vector<std::string>, 3> words_;  ///< of the train part alone when one blend is split
  std::map<std::string, Tokens> opened_;           ///< by prefix: train and validation share an index
  std::optional<SftOpener> sft_;                   ///< with dataset.dataset_root, instead of all that
};

}  // namespace rialto::data
