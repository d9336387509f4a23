// A decoder-only transformer built from ModelSpec. Knows axes, never ranks. Shape letters: B batch, S sequence, H
// hidden, V vocabulary, N query heads, G key/value heads, D head size.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/edge.h>

#include <memory>
#include <vector>

#include "rialto/comm/mesh.h"
#include "rialto/model/batch.h"
#include "rialto/model/block_recipes.h"
#include "rialto/model/cache.h"
#include "rialto/model/routing.h"
#include "rialto/model/tape.h"
#include "rialto/model/weights.h"
#include "rialto/spec/model_spec.h"

namespace rialto::model {

/// Probabilities of dropout in training, and what its random bits are made of.
struct Dropping {
  double hidden = 0;     ///< of the embedding, and of what attention and ffn add to the residual stream
  double attention = 0;  ///< of the weights of attention
  uint64_t seed = 0;
  std::vector<int64_t> samples = {};  ///< number of the sample in each row
};

/// What attention needs besides q, k, v: never a bare causal flag.
struct AttentionContext {
  at::Tensor positions_BS;     ///< of the queries
  at::Tensor documents_BS;     ///< undefined: one document per row
  Cache* cache = nullptr;      ///< generation: keys so far
  Routing* routing = nullptr;  ///< collects what mixture-of-experts layers report
  Dropping dropping = {};
};

/// What training adds to the next-token loss. All 0: nothing, and what only serves it is not computed.
struct Objective {
  double moe_aux_loss_coeff = 0, moe_z_loss_coeff = 0;
  /// Each of the D depths of multi-token prediction counts this / D of its token losses.
  double mtp_loss_scaling_factor = 0;
  /// How a depth's losses are divided: by the tokens of the main loss, or (false, Megatron's default) by its own.
  bool per_token = true;
  Capacity capacity = {};  ///< of experts, in evaluations too
};

/// What one depth of multi-token prediction lost, without the objective's factor: to be reported.
struct DepthLoss {
  at::Tensor sum;     ///< fp32 scalar without gradient
  double weight = 0;  ///< of the tokens that have one so far ahead
};

/// Parts of an objective before their coefficients, for reports: without gradient, absent where the objective lacks
/// them.
struct ObjectiveParts {
  at::Tensor aux, z;  ///< scalars: means over the routers, times the batch's weight
  std::vector<DepthLoss> mtp;
};

/// Sum of weighted token losses and sum of weights; the caller divides once.
struct LossSum {
  at::Tensor sum;  ///< fp32 scalar with gradient
  double weight = 0;
  /// What the objective adds to `sum` for the gradient, on the same scale: a mean loss counts `weight` times.
  /// Undefined: nothing.
  at::Tensor extra;
  ObjectiveParts parts;
  std::vector<RoutedTokens> routed;  ///< with gradients only
};

/// What one stage makes of a micro-batch.
struct StageOutput {
  at::Tensor hidden_TH;  ///< for the next stage, with gradient, the only owner of its memory; undefined on the last
  LossSum loss;          ///< `sum` on the last stage alone; weight, extra, parts and routed of what this stage computed
};

/// Where a stage's backward pass starts. Holds none of the stage's outputs.
class StageBackward {
 public:
  StageBackward() = default;
  explicit StageBackward(const StageOutput& output);
  /// Adds gradients of the objective, times `scale`, into main_grad, and into the stage's input. `dhidden_TH`: of
  /// hidden_TH, scaled likewise; undefined on the last stage. Once.
  void run(const at::Tensor& dhidden_TH, double scale);

 private:
  std::vector<torch::autograd::Edge> roots_;  ///< hidden_TH or the loss sum, then what the objective adds
  at::TensorOptions options_;                 ///< of the losses
  bool hands_on_ = false;                     ///< the first root is hidden_TH
};

class Model {
 public:
  /// `weights` and `recipes` must outlive the model; without recipes every product is in the weights' dtype. Throws
  /// kConfig for layer kinds without model code.
  Model(const spec::ModelSpec& spec, Weights& weights, const comm::Mesh& mesh, const spec::StageRange& stage,
        BlockRecipes* recipes = nullptr);
  ~Model();

  at::Tensor embed(const at::Tensor& tokens_BS) const;  ///< -> [B,S,H]
  /// This stage's layers, with parts computed again in the backward pass as the plan says. With a cache: the queries
  /// follow what it holds, and it grows by them.
  at::Tensor blocks(at::Tensor hidden_BSH, const AttentionContext& context) const;
  at::Tensor logits(const at::Tensor& hidden_BSH) const;  ///< final norm, head -> fp32 [B,S,V]
  /// Final norm, head and cross entropy, fused and chunked: never holds B*S*V fp32 logits.
  LossSum loss(const at::Tensor& hidden_BSH, const at::Tensor& labels_BS, const at::Tensor& loss_weights_BS) const;

  /// Whole-model conveniences (one stage). While gradients are recorded, forward_loss also computes what the objective
  /// adds.
  LossSum forward_loss(const Batch& batch) const;
  /// The same of one stage: tokens or, from the second stage on, the hidden states [T,H] of the one before. T counts
  /// the tokens of this rank, of the context- and sequence-parallel ones; the batch is whole.
  StageOutput forward_stage(const Batch& batch, const at::Tensor& hidden_TH) const;
  /// Memory for the hidden states of a micro-batch of so many tokens between stages.
  at::Tensor blank_hidden(int64_t tokens) const;
  bool has_head() const;
  int64_t num_depths() const;  ///< of multi-token prediction, on this stage
  /// fp32 [B,S,V]; positions continue the cache. `routing`: gets what mixture-of-experts layers report.
  at::Tensor forward_logits(const at::Tensor& tokens_BS, Cache* cache = nullptr, Routing* routing = nullptr) const;

  Cache make_cache() const;

  /// Where kept tensors wait and where weight gradients go; both outlive the passes they serve. Null: the plain way.
  void set_recorder(const Recorder& recorder);
  void set_objective(const Objective& objective);
  /// Holds for forward_loss while gradients are recorded; samples are those of the batch.
  void set_dropout(double hidden, double attention, uint64_t seed);
  void set_memory(const MemoryPlan& plan);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Gradients of the loss sum, scaled by `scale` (1 / total weight), are added into each weight's main_grad.
void backward(const LossSum& loss, double scale);

}  // namespace rialto::model
