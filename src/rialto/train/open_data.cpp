// How many samples a run needs, and which token ends a document.
#include "rialto/train/open_data.h"

#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/config/batch_sizes.h"
#include "rialto/data/ledger.h"
#include "rialto/data/prefetching_dataset.h"
#include "rialto/hub/source_layout.h"
#include "rialto/hub/tokenizer_file.h"

namespace rialto::train {
namespace {

std::optional<int32_t> end_of_document(const config::RunConfig& config, const spec::ModelSpec& model) {
  const config::DatasetSection& data = config.dataset;
  if (!model.eos_token_ids.empty()) return static_cast<int32_t>(model.eos_token_ids.front());
  if (data.eod_mask_loss || data.reset_position_ids || data.reset_attention_mask) {
    throw Error(ErrorKind::kConfig, "dataset.eod_mask_loss", "no end-of-document token is known",
                {.got = {}, .want = "tokenizer.tokenizer_model, or a model with eos_token_id", .hint = {}});
  }
  return std::nullopt;
}

}  // namespace

fs::path tokenizer_folder(const config::RunConfig& config, const Setup& setup) {
  std::vector<fs::path> folders;
  if (!config.tokenizer.tokenizer_model.empty()) folders.emplace_back(config.tokenizer.tokenizer_model);
  if (setup.hf_source) folders.push_back(*setup.hf_source);
  if (setup.native_source) folders.push_back(*setup.native_source / hub::kSourceFolder);
  for (const fs::path& folder : folders)
    if (hub::has_tokenizer(folder)) return folder;
  return {};
}

data::DatasetOpener data_opener(const config::RunConfig& config, const Hooks& hooks, const Setup& setup) {
  return {config.dataset,
          {.seq_length = setup.seq_length,
           .eod_token = end_of_document(config, setup.model_spec),
           .ops = hooks.file_ops ? hooks.file_ops : &real_file_ops(),
           .tokenizer = tokenizer_folder(config, setup),
           .progress = hooks.progress}};
}

void open_data(data::DatasetOpener& opener, Setup& setup) {
  const config::RunConfig& config = setup.config;
  const int64_t left = std::max<int64_t>(0, config.train.train_iters - setup.state.iteration);
  const int64_t needed = std::max(config::planned_samples(config.train),
                                  setup.state.consumed_train_samples + left * config.train.global_batch_size);
  setup.train_data = opener.open(data::Part::kTrain, needed);
  if (const int64_t threads = config.dataset.num_workers; threads > 0)
    setup.train_data =
        std::make_unique<data::PrefetchingDataset>(std::move(setup.train_data), static_cast<size_t>(threads));
  if (!config::evaluates(config)) return;
  const int64_t evaluated = config::evaluation_samples(config);
  setup.valid_data = opener.open(data::Part::kValid, evaluated);
  if (opener.has(data::Part::kTest)) setup.test_data = opener.open(data::Part::kTest, evaluated);
}

std::optional<std::string> changed_data(const Setup& setup) {
  if (!setup.resumed_from) return std::nullopt;
  const fs::path path = setup.resumed_from->parent_path() / data::kLedgerName;
  if (!fs::exists(path)) return std::nullopt;
  const int64_t iteration = setup.state.iteration, samples = setup.state.consumed_train_samples;
  for (const data::LedgerEntry& then : data::read_ledger(path)) {
    if (then.iteration == iteration && then.samples == samples)
      return data::difference(then, data::ledger_entry(*setup.train_data, iteration, samples));
  }
  return std::nullopt;
}

}  // namespace rialto::train
