// From the `dataset` section to samples of fine-tuning rows.
#pragma once

#include <map>
#include <memory>

#include "rialto/config/run_config.h"
#include "rialto/data/sft_dataset.h"

namespace rialto::data {

enum class Part { kTrain, kValid, kTest };

/// What the section itself does not say.
struct OpenSftOptions {
  int64_t seq_length = 0;
  fs::path tokenizer = {};  ///< folder; "" where none is known
  IndexCache cache = {};
  Progress* progress = nullptr;  ///< is told how many rows were cut or left out
};

/// The parts of dataset.dataset_root: training.jsonl, validation.jsonl, test.jsonl. Rows of a part are tokenized once,
/// when it is first opened. A file of packed rows would be another kind of part beside these.
class SftOpener {
 public:
  SftOpener(const config::DatasetSection& section, OpenSftOptions options);
  bool has(Part part) const;
  /// Throws kConfig when the part has no file or no tokenizer is known; kInput for the first bad row.
  std::unique_ptr<Dataset> open(Part part, int64_t num_samples);

 private:
  fs::path file(Part part) const;

  config::DatasetSection section_;
  OpenSftOptions options_;
  std::unique_ptr<SftEncoder> encoder_;  ///< made when the first part is opened
  std::map<Part, std::shared_ptr<const SftTokens>> opened_;
};

}  // namespace rialto::data
