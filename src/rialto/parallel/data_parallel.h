// Data parallelism of one run: ranks that hold the same weights and each compute a share of the global batch (of
// experts: the ranks that hold the same experts); beside them, what tensor-parallel ranks and the ends of a pipeline
// add to gradients. With one rank every function is the identity.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "rialto/comm/mesh.h"
#include "rialto/model/tape.h"
#include "rialto/model/weights.h"
#include "rialto/parallel/buckets.h"

namespace rialto::parallel {

struct Options {
  int64_t bucket_size = INT64_MAX;   ///< elements
  bool overlap_grad_reduce = false;  ///< a bucket's reduction starts when its gradients are complete
  bool average_in_collective =
      false;  ///< the collective averages gradients that each rank scaled up, instead of summing
  bool check_for_nan_in_grad = false;
  bool shard_optimizer = false;       ///< ZeRO-1: each rank reduces and updates its part of every bucket alone
  bool overlap_param_gather = false;  ///< updated weights are awaited before they are used, not at once
};

/// All functions but the plain getters are collective over the ranks of a stage, whose gradients are parts of one sum:
/// every rank calls the same in the same order.
class DataParallel {
 public:
  /// `weights` must outlive it.
  DataParallel(model::Weights& weights, const comm::Mesh& mesh, const Options& options);
  ~DataParallel();

  /// What the optimizer of this rank updates; nullopt: everything.
  std::optional<std::vector<Range>> owned() const;
  /// What gradients have to be scaled by before they are reduced.
  double loss_scale() const;
  /// To be the recorder's; null without overlap.
  model::GradWatch* watch();

  /// Of the next backward pass the gradients are reduced: it is the last one of an iteration.
  void expect_last_backward();
  /// Starts what the backward pass did not and waits for all. Then flat_grad holds the sum over ranks (of weights that
  /// tensor-parallel ranks use for their own heads or tokens, over those too; of an embedding that both ends of a
  /// pipeline hold, over both); with shard_optimizer in the owned ranges only. Throws kInternal naming bucket and rank
  /// when check_for_nan_in_grad finds something.
  void reduce_gradients();
  /// Of the reduced gradients, over all of the model. The same bits on every rank, with and without shard_optimizer.
  double grad_norm() const;

  /// Adds up what each rank found in the gradients that it owns, one value for each of weights.all(); with every
  /// gradient on every rank it is there already.
  void sum_over_owners(std::vector<double>& values) const;

  /// After the optimizer's step: hands the updated weights around.
  void gather_weights();
  /// Returns when all weights are there. Before anything reads weights.
  void await_weights();

 private:
  class Reducer;
  class TensorSums;
  void sum_over_ends();  ///< gradients of what the pipeline's ends both hold
  Range own(const Bucket& bucket) const;
  std::vector<Range> own_parts() const;  ///< of all buckets, ascending
  /// Of this rank's part of the model: of experts, of the rest. Each counts what no other rank does.
  double sum_of_squares(bool experts) const;
  double sum_of_squares_counted_by_others(bool experts) const;  ///< of what it holds and another rank counts
  model::Weights& weights_;
  comm::Mesh mesh_;
  Options options_;
  std::vector<Bucket> buckets_;
  std::unique_ptr<TensorSums> tensor_sums_;
  std::unique_ptr<Reducer> reducer_;
  std::vector<std::unique_ptr<comm::Pending>> gathering_;
};

}  // namespace rialto::parallel
