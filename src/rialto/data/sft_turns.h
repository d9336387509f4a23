// Which tokens of a rendered conversation are an answer. Inside data only.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "rialto/data/sft_sample.h"

namespace rialto::data {

/// A conversation that was rendered and tokenized.
struct RenderedChat {
  const hub::ChatTemplate& chat;
  const hub::Tokenizer& tokenizer;
  const std::unordered_set<int32_t>& special_ids;
  const SftRow& row;
  hub::ChatOptions options;  ///< that it was rendered with
  hub::ChatText rendered;
  hub::PlacedTokens tokens;
};

/// Tokens [first, last) and the weight of their loss.
struct TrainedTokens {
  size_t first = 0, last = 0;
  double weight = 1;
};

/// The answers of `mode`, by the template's marks or by rendering beginnings of the conversation. Throws kInput with
/// `where` when they cannot be told.
std::vector<TrainedTokens> trained_tokens(const RenderedChat& chat, LossMode mode, const std::string& where);

/// Whose turn each token is in, as far as rendering beginnings of the conversation tells; "" elsewhere.
std::vector<std::string> roles_of(const RenderedChat& chat);

}  // namespace rialto::data
