// Builds the layers of a stage and runs them.
#include "rialto/model/model.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/model/mtp.h"
#include "rialto/model/rope.h"

namespace rialto::model {
namespace {

/// Sum of the weights of a batch, fp64, in order.
double total(const at::Tensor& weights) {
  const at::Tensor host = weights.to(at::kCPU, at::kFloat).contiguous();
  const float* w = host.const_data_ptr<float>();
  double sum = 0;
  for (int64_t i = 0; i < host.numel(); ++i) sum += static_cast<double>(w[i]);
  return sum;
}

/// Places of every row, in their order; undefined: all.
Batch at_places(const Batch& batch, const at::Tensor& places) {
  if (!places.defined()) return batch;
  Batch part = batch;
  for (at::Tensor* tensor : {&part.tokens_BS, &part.labels_BS, &part.loss_weights_BS, &part.positions_BS})
    *tensor = tensor->index_select(1, places);
  return part;
}

void check_stage(const void* part, const char* what) {
  if (!part) throw Error(ErrorKind::kInternal, "model", fmt::format("this stage has no {}", what));
}

}  // namespace

struct Model::Impl {
  comm::Mesh mesh;
  Recorder recorder;
  const Weights& weights;
  Objective objective;
  Dropping dropping;
  MemoryPlan plan;
  std::vector<DecoderLayer> layers;
  int64_t first_layer = 0;
  int64_t rotation_limit = INT64_MAX;
  std::vector<MtpBlock> mtp;
  const Weight* embedding = nullptr;
  double embedding_scale = 1;
  Norm final_norm;
  Head head;
  int64_t hidden = 0;
  int64_t num_routers = 0, num_depth_routers = 0;  ///< of the whole model

  Impl(const comm::Mesh& m, const Weights& w) : mesh(m), weights(w) { recorder.plan = &plan; }

  at::Tensor embed(const at::Tensor& tokens_BS) const {
    check_stage(embedding, "embedding");
    return comm::out_of_tp(model::embedding(recorder, tokens_BS.reshape({-1}), *embedding, embedding_scale), mesh);
  }
  /// With dropout. `place`: "embedding", or a depth's own.
  at::Tensor embed(const at::Tensor& tokens_BS, const Pass& pass, const std::string& place) const {
    return dropout(recorder, embed(tokens_BS), pass.hidden_dropout(place));
  }
  Recorder layer_recorder(int64_t layer) const {
    Recorder r = recorder;
    r.host_layer = layer < plan.host_layers && at::GradMode::is_enabled();
    return r;
  }
  Stream run(Stream stream, const std::shared_ptr<Pass>& pass) const {
    const AttentionContext& context = pass->context();
    const auto count = static_cast<int64_t>(layers.size());
    const bool again = at::GradMode::is_enabled() && !context.cache;
    for (int64_t l = 0; l < count;) {
      const int64_t group = !again                    ? 0
                            : plan.uniform_layers > 0 ? std::min(plan.uniform_layers, count - l)
                            : l < plan.block_layers   ? 1
                                                      : 0;
      const auto first = static_cast<size_t>(l);
      if (recorder.watch) stream = watched(recorder, stream, first_layer + l);
      if (group > 0) {
        stream = run_layers(recorder, std::move(stream), std::span(layers).subspan(first, static_cast<size_t>(group)),
                            pass, context.routing);
        l += group;
      } else {
        LayerCache* cache = context.cache ? &context.cache->layers.at(first) : nullptr;
        layers[first].forward(layer_recorder(l), stream, *pass, cache, context.routing);
        ++l;
      }
    }
    return stream;
  }
  Dropping dropping_of(const Batch& batch) const {
    Dropping of = dropping;
    of.samples = batch.sample_numbers;
    if ((of.hidden > 0 || of.attention > 0) && static_cast<int64_t>(of.samples.size()) != batch.tokens_BS.size(0))
      throw Error(ErrorKind::kInternal, "dropout", "a batch without the numbers of its samples");
    return of;
  }
  at::Tensor final_normed(const at::Tensor& hidden_BSH) const {
    check_stage(head.weight, "head");
    return add_norm(recorder, hidden_BSH.view({-1, hidden_BSH.size(-1)}), {}, final_norm).y;
  }
  at::Tensor token_losses(const at::Tensor& normed_TH, const at::Tensor& labels_BS,
                          const at::Tensor& loss_weights_BS) const {
    return linear_cross_entropy(recorder, comm::into_tp(normed_TH, mesh), head, labels_BS.reshape({-1}),
                                loss_weights_BS.reshape({-1}), mesh);
  }

  TokenShare share_of(const Batch& batch) const {
    TokenShare share;
    const int ranks = mesh.size(comm::Axis::kCp), parts = mesh.token_ranks();
    const int64_t count = batch.tokens_BS.numel() / ranks / parts;
    if (parts > 1) share.outside = {.first = count * mesh.index(comm::Axis::kTp), .count = count};
    share.sequence = batch.tokens_BS.size(1);
    share.part = {.index = mesh.index(comm::Axis::kCp), .size = ranks};
    return share;
  }
  /// Of this rank in each row, on the batch's device; undefined: all.
  at::Tensor places_of(const Batch& batch) const {
    const int ranks = mesh.size(comm::Axis::kCp);
    if (ranks == 1) return {};
    return context_places(batch.tokens_BS.size(1), mesh.index(comm::Axis::kCp), ranks).to(batch.tokens_BS.device());
  }

  /// Sum over depths of their token losses at `places`, times the factor of each, to be divided by `main_weight`; every
  /// depth's own goes to `depths`.
  at::Tensor mtp_loss(const Batch& batch, const at::Tensor& normed_TH, const std::shared_ptr<Pass>& pass,
                      const at::Tensor& places, double main_weight, std::vector<DepthLoss>& depths) const {
    const double factor = objective.mtp_loss_scaling_factor / static_cast<double>(mtp.size());
    at::Tensor sum, hidden = normed_TH;
    for (size_t m = 0; m < mtp.size(); ++m) {
      const Batch whole = shifted(batch, static_cast<int64_t>(m) + 1), next = at_places(whole, places);
      const at::Tensor embedded = embed(next.tokens_BS, *pass, fmt::format("mtp.layers.{}.embedding", m));
      hidden = mtp[m].forward(recorder, embedded, hidden, pass, pass->context().routing);
      const at::Tensor tokens = token_losses(hidden, next.labels_BS, next.loss_weights_BS);
      depths.push_back({tokens.detach(), total(whole.loss_weights_BS)});
      const double share = objective.per_token ? 1 : main_weight / std::max(1.0, depths.back().weight);
      const at::Tensor loss = at::mul(tokens, factor * share);
      sum = sum.defined() ? at::add(sum, loss) : loss;
    }
    return sum;
  }
};

Model::Model(const spec::ModelSpec& spec, Weights& weights, const comm::Mesh& mesh, const spec::StageRange& stage,
             BlockRecipes* recipes)
    : impl_(std::make_unique<Impl>(mesh, weights)) {
  Impl& m = *impl_;
  const auto num_layers = static_cast<int64_t>(spec.layers.size());
  if (stage.first < 0 || stage.last > num_layers || stage.first > stage.last) {
    throw Error(ErrorKind::kInternal, "model", "layer range outside the model",
                {.got = fmt::format("[{}, {})", stage.first, stage.last),
                 .want = fmt::format("within [0, {})", num_layers),
                 .hint = {}});
  }
  m.first_layer = stage.first;
  m.hidden = spec.hidden;
  const auto routes = [](const spec::Layer& layer) { return std::holds_alternative<spec::MoeFfn>(layer.ffn); };
  m.num_routers = std::ranges::count_if(spec.layers, routes);
  m.num_depth_routers = std::ranges::count_if(spec.mtp, routes, &spec::MtpBlock::layer);
  for (int64_t l = stage.first; l < stage.last; ++l) {
    m.layers.emplace_back(spec.layers[static_cast<size_t>(l)],
                          Parts{weights, m.mesh, fmt::format("decoder.layers.{}.", l), recipes, l});
  }
  m.rotation_limit = rotation_limit(spec.layers);
  m.embedding_scale = spec.embedding_scale;
  if (stage.embedding || (stage.head && !spec.mtp.empty()))
    m.embedding = &weights.at("embedding.word_embeddings.weight");
  if (stage.head) {
    m.final_norm = Parts{weights, m.mesh, "decoder."}.norm("final_layernorm.weight", spec.final_norm);
    m.head.weight = &weights.at(spec.tied ? "embedding.word_embeddings.weight" : "output_layer.weight");
    m.head.softcap = spec.logit_softcap;
    for (size_t depth = 0; depth < spec.mtp.size(); ++depth)
      m.mtp.emplace_back(spec.mtp[depth], Parts{weights, m.mesh, fmt::format("mtp.layers.{}.", depth), recipes});
  }
}

Model::~Model() = default;

void Model::set_recorder(const Recorder& recorder) {
  impl_->recorder = recorder;
  impl_->recorder.plan = &impl_->plan;
}
void Model::set_objective(const Objective& objective) { impl_->objective = objective; }
void Model::set_dropout(double hidden, double attention, uint64_t seed) {
  impl_->dropping = {.hidden = hidden, .attention = attention, .seed = seed};
}
void Model::set_memory(const MemoryPlan& plan) { impl_->plan = plan; }

at::Tensor Model::embed(const at::Tensor& tokens_BS) const {
  const at::Tensor rows = impl_->embed(tokens_BS);
  return rows.view({tokens_BS.size(0), tokens_BS.size(1), rows.size(1)});
}

at::Tensor Model::blocks(at::Tensor hidden_BSH, const AttentionContext& context) const {
  const int64_t rows = hidden_BSH.size(0), tokens = hidden_BSH.size(1);
  if (context.cache && context.documents_BS.defined()) {
    throw Error(ErrorKind::kInternal, "model", "a cache holds one document per row; the batch is packed");
  }
  const Stream stream = impl_->run({.x = hidden_BSH.view({rows * tokens, hidden_BSH.size(2)}), .delta = {}},
                                   std::make_shared<Pass>(rows, tokens, context));
  if (context.cache) context.cache->next_position += tokens;
  const at::Tensor out = stream.sum();
  return out.view({rows, tokens, out.size(1)});
}

at::Tensor Model::logits(const at::Tensor& hidden_BSH) const {
  if (impl_->mesh.size(comm::Axis::kTp) > 1)
    throw Error(ErrorKind::kInternal, "model",
                "a tensor-parallel rank has the logits of its part of the vocabulary only");
  return head_logits(impl_->final_normed(hidden_BSH), impl_->head).view({hidden_BSH.size(0), hidden_BSH.size(1), -1});
}

LossSum Model::loss(const at::Tensor& hidden_BSH, const at::Tensor& labels_BS,
                    const at::Tensor& loss_weights_BS) const {
  LossSum loss;
  loss.sum = impl_->token_losses(impl_->final_normed(hidden_BSH), labels_BS, loss_weights_BS);
  loss.weight = total(loss_weights_BS);
  return loss;
}

LossSum Model::forward_loss(const Batch& batch) const {
  LossSum loss = forward_stage(batch, {}).loss;
  check_stage(loss.sum.defined() ? this : nullptr, "loss");
  return loss;
}

StageOutput Model::forward_stage(const Batch& batch, const at::Tensor& hidden_TH) const {
  const Objective& objective = impl_->objective;
  const bool training = at::GradMode::is_enabled();
  Routing routing{.capacity = objective.capacity};
  if (training) {
    routing.aux_loss_coeff = objective.moe_aux_loss_coeff;
    routing.z_loss_coeff = objective.moe_z_loss_coeff;
  }
  const TokenShare share = impl_->share_of(batch);
  const at::Tensor places = impl_->places_of(batch);
  const Batch own = at_places(batch, places);
  const AttentionContext context{.positions_BS = own.positions_BS,
                                 .documents_BS = batch.documents_BS,
                                 .cache = nullptr,
                                 .routing = &routing,
                                 .dropping = training ? impl_->dropping_of(batch) : Dropping{}};
  const auto pass = std::make_shared<Pass>(own.tokens_BS.size(0), own.tokens_BS.size(1), context, share);
  const at::Tensor in = hidden_TH.defined() ? hidden_TH : impl_->embed(own.tokens_BS, *pass, "embedding");
  StageOutput output;
  LossSum& loss = output.loss;
  loss.weight = total(batch.loss_weights_BS);
  const at::Tensor hidden = impl_->run({.x = in, .delta = {}}, pass).sum();
  const bool predicts = has_head() && training && objective.mtp_loss_scaling_factor != 0 && !impl_->mtp.empty();
  if (has_head()) {
    const at::Tensor normed = impl_->final_normed(hidden);
    loss.sum = impl_->token_losses(normed, own.labels_BS, own.loss_weights_BS);
    if (predicts) loss.extra = impl_->mtp_loss(batch, normed, pass, places, loss.weight, loss.parts.mtp);
  } else {
    output.hidden_TH = hidden.is_same(hidden_TH) ? at::clone(hidden) : hidden;  // a stage may have no layers
  }
  if (!training) return output;
  if (routing.loss.defined()) {
    const at::Tensor routers = at::mul(routing.loss, loss.weight);
    loss.extra = loss.extra.defined() ? at::add(loss.extra, routers) : routers;
    const bool depths = objective.mtp_loss_scaling_factor != 0;
    const int64_t reporting = impl_->num_routers + (depths ? impl_->num_depth_routers : 0);
    const double share = loss.weight / static_cast<double>(reporting);
    if (routing.aux_loss.defined()) loss.parts.aux = at::mul(routing.aux_loss, share);
    if (routing.z_loss.defined()) loss.parts.z = at::mul(routing.z_loss, share);
  }
  loss.routed = std::move(routing.tokens);
  return output;
}

at::Tensor Model::blank_hidden(int64_t tokens) const {
  const Context& context = impl_->weights.context();
  const int64_t parts = int64_t{impl_->mesh.token_ranks()} * impl_->mesh.size(comm::Axis::kCp);
  return at::empty({tokens / parts, impl_->hidden}, at::TensorOptions().dtype(context.dtype).device(context.device));
}

bool Model::has_head() const { return impl_->head.weight != nullptr; }

int64_t Model::num_depths() const { return static_cast<int64_t>(impl_->mtp.size()); }

StageBackward::StageBackward(const StageOutput& output) {
  const auto add_root = [&](const at::Tensor& root) {
    if (!root.defined() || !root.requires_grad()) return false;  // everything before it is frozen
    roots_.push_back(torch::autograd::impl::gradient_edge(root));
    return true;
  };
  hands_on_ = add_root(output.hidden_TH);
  for (const at::Tensor& loss : {output.loss.sum, output.loss.extra})
    if (add_root(loss)) options_ = loss.options();
}

void StageBackward::run(const at::Tensor& dhidden_TH, double scale) {
  if (roots_.empty()) return;
  torch::autograd::variable_list gradients;
  for (size_t i = 0; i < roots_.size(); ++i)
    gradients.push_back(hands_on_ && i == 0 ? dhidden_TH : at::scalar_tensor(scale, options_.requires_grad(false)));
  torch::autograd::Engine::get_default_engine().execute(std::exchange(roots_, {}), gradients, /*keep_graph=*/false,
                                                        /*create_graph=*/false, /*accumulate_grad=*/true);
}

at::Tensor Model::forward_logits(const at::Tensor& tokens_BS, Cache* cache, Routing* routing) const {
  const int64_t first = cache ? cache->next_position : 0;
  const at::Tensor positions = at::arange(first, first + tokens_BS.size(1), tokens_BS.options().dtype(at::kLong))
                                   .unsqueeze(0)
                                   .expand_as(tokens_BS)
                                   .contiguous();
  return logits(
      blocks(embed(tokens_BS), {.positions_BS = positions, .documents_BS = {}, .cache = cache, .routing = routing}));
}

Cache Model::make_cache() const {
  Cache cache;
  cache.layers.resize(impl_->layers.size());
  cache.rotation_limit = impl_->rotation_limit;
  return cache;
}

void backward(const LossSum& loss, double scale) { StageBackward({.hidden_TH = {}, .loss = loss}).run({}, scale); }

}  // namespace rialto::model
