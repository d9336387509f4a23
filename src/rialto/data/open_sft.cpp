// Parts of a folder of fine-tuning rows, and packed files.
#include "rialto/data/open_sft.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/data/binned_dataset.h"
#include "rialto/data/packed_dataset.h"

namespace rialto::data {
namespace {

constexpr std::array<const char*, 3> kNames{"training", "validation", "test"};

/// What notices and the ledger call them.
std::string source_of(const std::vector<fs::path>& paths) {
  if (paths.size() == 1) return paths.front().string();
  return fmt::format("{} and {} more", paths.front().string(), paths.size() - 1);
}

SftOptions encoding_of(const config::DatasetSection& section, const fs::path& tokenizer) {
  return {.tokenizer = tokenizer,
          .loss = loss_mode_of(section.loss_mode),
          .clock = section.template_clock,
          .allow_special = section.special_tokens_in_text};
}

Truncation truncation_of(const std::string& name) {
  if (name == "right") return Truncation::kRight;
  return name == "drop" ? Truncation::kDrop : Truncation::kRefuse;
}

}  // namespace

SftOpener::SftOpener(const config::DatasetSection& section, OpenSftOptions options)
    : section_(section), options_(std::move(options)) {}

std::vector<fs::path> SftOpener::files(Part part) const {
  if (section_.dataset_root.empty()) return {};
  return part_files(section_.dataset_root, part, section_.dataset_subset);
}

const std::string& SftOpener::packed_path(Part part) const {
  static const std::string none;
  if (part == Part::kTrain) return section_.packed_train_data_path;
  return part == Part::kValid ? section_.packed_val_data_path : none;
}

bool SftOpener::has(Part part) const { return !packed_path(part).empty() || !files(part).empty(); }

SftDatasetOptions SftOpener::options_of(Part part, const std::string& source, int64_t num_samples) const {
  const std::optional<int32_t> pad = encoder_ && encoder_->eos() ? encoder_->eos() : options_.eod_token;
  return {.source = source,
          .seq_length = section_.has_packed_samples() ? section_.packed_sequence_size : options_.seq_length,
          .num_samples = num_samples,
          .seed = section_.random_seed,
          .shuffled = part == Part::kTrain,
          .pad_token = pad.value_or(0),
          .padded = !section_.pack_sequences_in_batch};
}

std::unique_ptr<Dataset> SftOpener::open_packed(Part part, int64_t num_samples) {
  const std::string& path = packed_path(part);
  auto& bins = packed_[part];
  if (!bins) bins = std::make_shared<const PackedTokens>(read_packed_tokens(packed_files(path), options_.cache));
  return std::make_unique<PackedDataset>(options_of(part, path, num_samples), bins, options_.seq_length);
}

std::shared_ptr<const SftTokens> SftOpener::rows_of(Part part) {
  const std::vector<fs::path> paths = files(part);
  if (paths.empty())
    throw Error(ErrorKind::kConfig, "dataset.dataset_root", "a part that the run needs is not there",
                {.got = fmt::format("no {}.jsonl in {}", kNames[static_cast<size_t>(part)], section_.dataset_root),
                 .want = {},
                 .hint = part == Part::kValid ? "write it, or evaluate never: validation.eval_interval=null" : ""});
  if (!encoder_) {
    if (options_.tokenizer.empty())
      throw Error(ErrorKind::kConfig, "tokenizer.tokenizer_model", "no tokenizer is known for the rows of dataset_root",
                  {.got = {}, .want = "a Hugging Face folder with tokenizer.json", .hint = {}});
    encoder_ = std::make_unique<SftEncoder>(encoding_of(section_, options_.tokenizer));
  }
  auto& rows = opened_[part];
  if (rows) return rows;
  int64_t room = options_.seq_length;
  if (section_.has_packed_samples()) {
    const int64_t multiple = section_.pad_seq_to_mult;
    room = std::min(room, section_.packed_sequence_size / multiple * multiple);
  }
  SftFiles files{.paths = paths, .max_tokens = room + 1};
  files.truncation = truncation_of(section_.truncation);
  if (part == Part::kTrain && section_.max_train_samples) files.count = *section_.max_train_samples;
  rows = std::make_shared<const SftTokens>(tokenize_sft(files, *encoder_, options_.cache, options_.progress));
  if (options_.progress && rows->cut + rows->left_out > 0)
    options_.progress->notice(fmt::format("{}: {} rows of {} were longer than {} tokens and were {}", source_of(paths),
                                          rows->cut + rows->left_out, rows->num_rows() + rows->left_out, room,
                                          rows->cut > 0 ? "cut" : "left out"));
  return rows;
}

std::unique_ptr<Dataset> SftOpener::open(Part part, int64_t num_samples) {
  if (!packed_path(part).empty()) return open_packed(part, num_samples);
  const std::shared_ptr<const SftTokens> rows = rows_of(part);
  SftDatasetOptions options = options_of(part, source_of(files(part)), num_samples);
  if (section_.has_packed_samples())
    return std::make_unique<BinnedDataset>(std::move(options), rows, section_.pad_seq_to_mult, section_.packing_window);
  return std::make_unique<SftDataset>(std::move(options), rows);
}

}  // namespace rialto::data
