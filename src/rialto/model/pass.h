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

/// A part of every row: of 2 * size equal chunks the index-th from both ends.
struct Part {
  int index = 0, size = 1;
  auto operator<=>(const Part&) const = default;
};

/// Which tokens a rank has.
struct TokenShare {
  /// Of its rows, outside of what tensor-parallel ranks share; unset: all.
  std::optional<kernels::Dropout::Run> outside = {};
  Part part = {};        ///< of a context-parallel rank
  int64_t sequence = 0;  ///< tokens of a whole row; 0: those of the pass
};

/// Places of a part in a row of `sequence` tokens: int64, ascending. As context-parallel ranks have them, so that
/// causal attention gives all as much to do.
at::Tensor context_places(int64_t sequence, int index, int size);

/// What a rank's queries see of the keys of one other: of queries [first_query, first_query + queries) of its rows and
/// keys [first_key, first_key + keys) of the other's, counted from there. Without any queries nothing is seen.
struct RingStep {
  int64_t first_query = 0, queries = 0, first_key = 0, keys = 0;
  kernels::KeyRange range;
  kernels::WeightPlaces places = {};
};
/// Step t: of the rank t places behind, beginning with itself.
using Ring = std::vector<RingStep>;
/// `range`: what the queries of `part` see of whole rows of `sequence` tokens.
Ring ring_steps(const kernels::KeyRange& range, int64_t sequence, Part part);

class Pass {
 public:
  /// `tokens` of each row; `share`: when they are not all of them, or not on this rank everywhere.
  Pass(int64_t rows, int64_t tokens, AttentionContext context, TokenShare share = {})
      : rows_(rows), tokens_(tokens), share_(std::move(share)), context_(std::move(context)) {
    if (share_.sequence == 0) share_.sequence = tokens;
    if (context_.dropping.hidden > 0) runs_ = token_runs();
  }
  int64_t rows() const { return rows_; }
  int64_t tokens() const { return tokens_; }  ///< of a row, that attention on this rank has queries for
  const AttentionContext& context() const { return context_; }
  const kernels::RopeTable& rope(const std::optional<spec::Rope>& rope);
  Part part() const { return share_.part; }
  at::Tensor places(Part part) const {
    return context_places(share_.sequence, part.index, part.size);
  }  ///< on the host
  /// Keys of whole rows that the queries of a part see; unsaid: of this rank's.
  const kernels::KeyRange& range(std::optional<int64_t> window, Part part);
  const kernels::KeyRange& range(std::optional<int64_t> window) { return range(window, share_.part); }
  const Ring& ring(std::optional<int64_t> window, Part part);
  /// What is dropped at one place of the model: "decoder.layers.3.mlp".
  kernels::Dropout hidden_dropout(const std::string& place) const;
  kernels::Dropout attention_dropout(const std::string& place) const {
    return dropout(context_.dropping.attention, place);
  }

 private:
  using PartKey = std::pair<int64_t, Part>;  ///< window, 0: none
  kernels::Dropout dropout(double probability, const std::string& place) const;
  std::vector<kernels::Dropout::Run> token_runs() const;

  int64_t rows_, tokens_;
  TokenShare share_;
  AttentionContext context_;
  kernels::RopeTable none_;
  std::map<std::string, kernels::RopeTable> ropes_;
  std::map<PartKey, kernels::KeyRange> ranges_;
  std::map<PartKey, Ring> rings_;
  std::vector<kernels::Dropout::Run> runs_;  ///< of this rank's tokens outside of what tensor-parallel ranks share
};

}  // namespace rialto::model
