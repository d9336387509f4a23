// What the model writes after the beginning of a held-out sample: to be read by people beside the curves.
#pragma once

#include <optional>

#include "rialto/hub/tokenizer.h"
#include "rialto/train/records.h"
#include "rialto/train/setup.h"

namespace rialto::train {

class SampleWriter {
 public:
  /// Text needs a tokenizer: tokenizer.tokenizer_model, or the folder that the weights came from; else samples are
  /// token numbers.
  explicit SampleWriter(const Setup& setup);
  /// Goes on from the first tokens of the first validation sample, always with the likeliest token,
  /// logger.sample_tokens times or to the end of the text. Not collective.
  SampleRecord write() const;

 private:
  const Setup& setup_;
  std::optional<hub::Tokenizer> tokenizer_;
  model::Model
      model_;  ///< of the same weights on this rank alone: it writes whole sequences, which others do not share
};

}  // namespace rialto::train
