// From the `dataset` section to samples of fine-tuning rows.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "rialto/config/run_config.h"
#include "rialto/data/packed_tokens.h"
#include "rialto/data/sft_dataset.h"
#include "rialto/data/sft_parts.h"

namespace rialto::data {

/// What the section itself does not say.
struct OpenSftOptions {
  int64_t seq_length = 0;
  fs::path tokenizer = {};                ///< folder; "" where none is known
  std::optional<int32_t> eod_token = {};  ///< pads packed files, whose tokenizer nobody asks for
  IndexCache cache = {};
  Progress* progress = nullptr;  ///< is told how many rows were cut or left out
};

/// The parts of dataset.dataset_root, see part_files(); where dataset.packed_sequence_specs
/// names files, they are the part. Rows of a part are tokenized once, when it is first opened. A sample is a row; a bin
/// of a packed file; or, with packed_sequence_size alone, rows that are packed as they are read.
class SftOpener {
 public:
  SftOpener(const config::DatasetSection& section, OpenSftOptions options);
  bool has(Part part) const;
  /// Throws kConfig when the part has no file or no tokenizer is known; kInput for the first bad row.
  std::unique_ptr<Dataset> open(Part part, int64_t num_samples);

 private:
  std::vector<fs::path> files(Part part) const;
  const std::string& packed_path(Part part) const;
  SftDatasetOptions options_of(Part part, const std::string& source, int64_t num_samples) const;
  std::unique_ptr<Dataset> open_packed(Part part, int64_t num_samples);
  std::shared_ptr<const SftTokens> rows_of(Part part);

  config::DatasetSection section_;
  OpenSftOptions options_;
  std::unique_ptr<SftEncoder> encoder_;  ///< made when the first part is opened
  std::map<Part, std::shared_ptr<const SftTokens>> opened_;
  std::map<Part, std::shared_ptr<const PackedTokens>> packed_;
};

}  // namespace rialto::data
