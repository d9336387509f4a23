// What one forward pass over a stage's layers shares between them: rotation tables and key ranges, each made once.
#pragma once

#include <map>
#include <optional>

#include "rialto/kernels/attention.h"
#include "rialto/kernels/rope.h"
#include "rialto/model/model.h"

namespace rialto::model {

/// Two layers share a rotation table exactly when these agree.
std::string rope_key(const spec::Rope& rope);

/// Visible keys of each query in a row without a cache: from the start of its document or its window, whichever is
/// later, to itself. documents [B,S] or undefined. Throws kInput when a document's tokens are not adjacent.
kernels::KeyRange key_range(int64_t rows, int64_t tokens, const at::Tensor& documents_BS, std::optional<int64_t> window,
                            const at::Device& device);
/// The same for queries that follow `held` cached keys, all in position order.
kernels::KeyRange cached_key_range(int64_t rows, int64_t tokens, int64_t held, std::optional<int64_t> window,
                                   const at::Device& device);

/// Which tokens a rank has.
struct TokenShare {
  std::optional<int64_t> first_token = {};  ///< of the batch, outside of what tensor-parallel ranks share; unset: all
  at::Tensor places = {};  ///< in each row, of a context-parallel rank: int64, ascending; undefined: all
  int64_t sequence = 0;    ///< tokens of a whole row, with places
};

/// Places of context-parallel rank `index` of `size` in a row of `sequence` tokens: of 2 * size equal chunks the
/// index-th from both ends, so that causal attention gives all ranks as much to do.
at::Tensor context_places(int64_t sequence, int index, int size);

class Pass {
 public:
  /// `tokens` of each row; `share`: when they are not all of them, or not on this rank everywhere.
  Pass(int64_t rows, int64_t tokens, AttentionContext context, TokenShare share = {})
      : rows_(rows), tokens_(tokens), share_(std::move(share)), context_(std::move(context)) {}
  int64_t rows() const { return rows_; }
  int64_t tokens() const { return tokens_; }  ///< of a row, that attention on this rank has queries for
  const AttentionContext& context() const { return context_; }
  const kernels::RopeTable& rope(const std::optional<spec::Rope>& rope);
  const kernels::KeyRange& range(std::optional<int64_t> window);
  /// What is dropped at one place of the model: "decoder.layers.3.mlp".
  kernels::Dropout hidden_dropout(const std::string& place) const;
  kernels::Dropout attention_dropout(const std::string& place) const {
    return dropout(context_.dropping.attention, place);
  }

 private:
  kernels::Dropout dropout(double probability, const std::string& place) const;

  int64_t rows_, tokens_;
  TokenShare share_;
  AttentionContext context_;
  kernels::RopeTable none_;
  std::map<std::string, kernels::RopeTable> ropes_;
  std::map<int64_t, kernels::KeyRange> ranges_;  ///< by window; 0: none
};

}  // namespace rialto::model
