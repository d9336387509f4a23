// Parts of a folder of fine-tuning rows. Source of the file names: Megatron Bridge, FinetuningDatasetBuilder.
#include "rialto/data/open_sft.h"

#include <array>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

constexpr std::array<const char*, 3> kFiles{"training.jsonl", "validation.jsonl", "test.jsonl"};

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

fs::path SftOpener::file(Part part) const {
  return fs::path(section_.dataset_root) / kFiles[static_cast<size_t>(part)];
}

bool SftOpener::has(Part part) const { return fs::exists(file(part)); }

std::unique_ptr<Dataset> SftOpener::open(Part part, int64_t num_samples) {
  const fs::path path = file(part);
  if (!has(part))
    throw Error(ErrorKind::kConfig, "dataset.dataset_root", "a part that the run needs is not there",
                {.got = "no " + path.string(),
                 .want = {},
                 .hint = part == Part::kValid ? "write it, or evaluate never: validation.eval_interval=null" : ""});
  if (!encoder_) {
    if (options_.tokenizer.empty())
      throw Error(ErrorKind::kConfig, "tokenizer.tokenizer_model", "no tokenizer is known for the rows of dataset_root",
                  {.got = {}, .want = "a Hugging Face folder with tokenizer.json", .hint = {}});
    encoder_ = std::make_unique<SftEncoder>(encoding_of(section_, options_.tokenizer));
  }
  auto& rows = opened_[part];
  if (!rows) {
    SftFiles files{.paths = {path}, .max_tokens = options_.seq_length + 1};
    files.truncation = truncation_of(section_.truncation);
    if (part == Part::kTrain && section_.max_train_samples) files.count = *section_.max_train_samples;
    rows = std::make_shared<const SftTokens>(tokenize_sft(files, *encoder_, options_.cache, options_.progress));
    if (options_.progress && rows->cut + rows->left_out > 0)
      options_.progress->notice(fmt::format("{}: {} rows of {} were longer than {} tokens and were {}", path.string(),
                                            rows->cut + rows->left_out, rows->num_rows() + rows->left_out,
                                            options_.seq_length, rows->cut > 0 ? "cut" : "left out"));
  }
  return std::make_unique<SftDataset>(SftDatasetOptions{.source = path.string(),
                                                        .seq_length = options_.seq_length,
                                                        .num_samples = num_samples,
                                                        .seed = section_.random_seed,
                                                        .shuffled = part == Part::kTrain,
                                                        .pad_token = encoder_->eos().value_or(0)},
                                      rows);
}

}  // namespace rialto::data
