// Text from a model in training.
#include "rialto/train/samples.h"

#include <algorithm>

#include "rialto/generate/generate.h"
#include "rialto/train/open_data.h"

namespace rialto::train {
namespace {

constexpr int64_t kPromptTokens = 16;

std::optional<hub::Tokenizer> tokenizer_of(const Setup& setup) {
  const fs::path folder = tokenizer_folder(setup.config, setup);
  if (folder.empty()) return std::nullopt;
  return hub::Tokenizer(folder);
}

}  // namespace

SampleWriter::SampleWriter(const Setup& setup)
    : setup_(setup),
      tokenizer_(tokenizer_of(setup)),
      model_(setup.model_spec, *setup.weights, {},
             spec::stage_range(static_cast<int64_t>(setup.model_spec.layers.size()), {}, 0), setup.recipes.get()) {}

SampleRecord SampleWriter::write() const {
  SampleRecord record{.iteration = setup_.state.iteration};
  const std::vector<int32_t> held_out = setup_.valid_data->get(0).tokens;
  const auto length = std::min<int64_t>(kPromptTokens, static_cast<int64_t>(held_out.size()));
  record.prompt.assign(held_out.begin(), held_out.begin() + length);
  const std::vector<int64_t> prompt(record.prompt.begin(), record.prompt.end());
  const int64_t room = setup_.model_spec.max_positions - length;
  generate::Sampling sampling;
  sampling.max_new_tokens = std::min(setup_.config.logger.sample_tokens, room);
  sampling.stop_ids = setup_.model_spec.eos_token_ids;
  const std::vector<int64_t> written =
      generate::generate(model_, prompt, sampling, [](int64_t) { return true; }, setup_.device);
  record.tokens.assign(written.begin(), written.end());
  if (tokenizer_) {
    record.prompt_text = tokenizer_->decode(record.prompt, false);
    record.text = tokenizer_->decode(record.tokens, false);
  }
  return record;
}

}  // namespace rialto::train
