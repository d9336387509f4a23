// The data of a run, by what its configuration asks for.
#pragma once

#include "rialto/data/open_datasets.h"
#include "rialto/train/setup.h"

namespace rialto::train {

/// The folder (or file) of the run's tokenizer: tokenizer.tokenizer_model, or where the weights came from; "" when
/// neither holds one.
fs::path tokenizer_folder(const config::RunConfig& config, const Setup& setup);

/// Of setup.model_spec, setup's sources and setup.seq_length. Throws kConfig, kInput.
data::DatasetOpener data_opener(const config::RunConfig& config, const Hooks& hooks, const Setup& setup);

/// Opens setup.train_data for every sample up to the run's end; when the run evaluates, setup.valid_data, and
/// setup.test_data where there is data for it. Throws kConfig, kInput; kIo when the index cache cannot be written.
void open_data(data::DatasetOpener& opener, Setup& setup);

/// How the data of a resumed run differs from what its ledger says was read, in words; nullopt: it does not, or there
/// is no ledger. Throws kInput for a damaged one.
std::optional<std::string> changed_data(const Setup& setup);

}  // namespace rialto::train
