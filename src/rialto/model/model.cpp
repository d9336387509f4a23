// Builds the layers of a stage and runs them.
#include "rialto/model/model.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/model/layer.h"

namespace rialto::model {
namespace {

struct Layer {
  const Weight *mixer_norm = nullptr, *ffn_norm = nullptr;
  double mixer_eps = 0, ffn_eps = 0;
  std::unique_ptr<Mixer> mixer;
  std::unique_ptr<Ffn> ffn;
};

/// Sum of the weights of a batch, fp64, in order.
double total(const at::Tensor& weights) {
  const at::Tensor host = weights.to(at::kCPU, at::kFloat).contiguous();
  const float* w = host.const_data_ptr<float>();
  double sum = 0;
  for (int64_t i = 0; i < host.numel(); ++i) sum += static_cast<double>(w[i]);
  return sum;
}

void check_stage(const void* part, const char* what) {
  if (!part) throw Error(ErrorKind::kInternal, "model", fmt::format("this stage has no {}", what));
}

}  // namespace

struct Model::Impl {
  comm::Mesh mesh;
  Recorder recorder;
  const Weights& weights;
  std::vector<Layer> layers;
  const Weight *embedding = nullptr, *final_norm = nullptr, *head = nullptr;
  double final_eps = 0;

  Impl(const comm::Mesh& m, const Weights& w) : mesh(m), weights(w) {}
  at::Tensor final_normed(const at::Tensor& hidden_BSH) const {
    check_stage(head, "head");
    return add_norm(recorder, hidden_BSH.view({-1, hidden_BSH.size(-1)}), {}, *final_norm, final_eps).y;
  }
};

Model::Model(const spec::ModelSpec& spec, Weights& weights, const comm::Mesh& mesh, const spec::StageRange& stage)
    : impl_(std::make_unique<Impl>(mesh, weights)) {
  Impl& m = *impl_;
  const auto num_layers = static_cast<int64_t>(spec.layers.size());
  if (stage.first < 0 || stage.last > num_layers || stage.first > stage.last) {
    throw Error(ErrorKind::kInternal, "model", "layer range outside the model",
                {.got = fmt::format("[{}, {})", stage.first, stage.last),
                 .want = fmt::format("within [0, {})", num_layers),
                 .hint = {}});
  }
  for (int64_t l = stage.first; l < stage.last; ++l) {
    const spec::Layer& layer = spec.layers[static_cast<size_t>(l)];
    const Parts parts{weights, m.mesh, fmt::format("decoder.layers.{}.", l)};
    Layer built{.mixer_norm = nullptr,
                .ffn_norm = nullptr,
                .mixer_eps = layer.mixer_norm->eps,
                .ffn_eps = layer.ffn_norm->eps,
                .mixer = make_mixer(layer.mixer, parts),
                .ffn = make_ffn(layer.ffn, parts)};
    built.mixer_norm = &parts("self_attention.linear_qkv.layer_norm_weight");
    built.ffn_norm = &parts("mlp.linear_fc1.layer_norm_weight");
    m.layers.push_back(std::move(built));
  }
  if (stage.embedding) m.embedding = &weights.at("embedding.word_embeddings.weight");
  if (stage.head) {
    m.final_norm = &weights.at("decoder.final_layernorm.weight");
    m.final_eps = spec.final_norm.eps;
    m.head = &weights.at(spec.tied ? "embedding.word_embeddings.weight" : "output_layer.weight");
  }
}

Model::~Model() = default;

void Model::set_recorder(const Recorder& recorder) { impl_->recorder = recorder; }

at::Tensor Model::embed(const at::Tensor& tokens_BS) const {
  check_stage(impl_->embedding, "embedding");
  const at::Tensor rows = embedding(impl_->recorder, tokens_BS.reshape({-1}), *impl_->embedding);
  return rows.view({tokens_BS.size(0), tokens_BS.size(1), rows.size(1)});
}

at::Tensor Model::blocks(at::Tensor hidden_BSH, const AttentionContext& context) const {
  const Recorder& recorder = impl_->recorder;
  const int64_t rows = hidden_BSH.size(0), tokens = hidden_BSH.size(1);
  Pass pass(rows, tokens, context);
  if (context.cache && context.documents_BS.defined()) {
    throw Error(ErrorKind::kInternal, "model", "a cache holds one document per row; the batch is packed");
  }
  at::Tensor x = hidden_BSH.view({rows * tokens, hidden_BSH.size(2)}), delta;
  for (size_t l = 0; l < impl_->layers.size(); ++l) {
    const Layer& layer = impl_->layers[l];
    LayerCache* cache = context.cache ? &context.cache->layers.at(l) : nullptr;
    // The residual addition of one part is done by the norm of the next.
    NormOutput in = add_norm(recorder, x, delta, *layer.mixer_norm, layer.mixer_eps);
    delta = layer.mixer->forward(recorder, in.y, pass, cache);
    NormOutput mid = add_norm(recorder, in.sum, delta, *layer.ffn_norm, layer.ffn_eps);
    delta = layer.ffn->forward(recorder, mid.y);
    x = mid.sum;
  }
  if (context.cache) context.cache->next_position += tokens;
  if (delta.defined()) x = at::add(x, delta);
  return x.view({rows, tokens, x.size(1)});
}

at::Tensor Model::logits(const at::Tensor& hidden_BSH) const {
  const at::Tensor normed = impl_->final_normed(hidden_BSH);
  const at::NoGradGuard no_grad;
  return kernels::gemm_forward(normed.detach(), impl_->head->data, {},
                               at::promote_types(at::kFloat, normed.scalar_type()))
      .view({hidden_BSH.size(0), hidden_BSH.size(1), -1});
}

LossSum Model::loss(const at::Tensor& hidden_BSH, const at::Tensor& labels_BS,
                    const at::Tensor& loss_weights_BS) const {
  const at::Tensor normed = impl_->final_normed(hidden_BSH);
  return {linear_cross_entropy(impl_->recorder, normed, *impl_->head, labels_BS.reshape({-1}),
                               loss_weights_BS.reshape({-1})),
          total(loss_weights_BS)};
}

LossSum Model::forward_loss(const Batch& batch) const {
  const at::Tensor hidden =
      blocks(embed(batch.tokens_BS),
             {.positions_BS = batch.positions_BS, .documents_BS = batch.documents_BS, .cache = nullptr});
  return loss(hidden, batch.labels_BS, batch.loss_weights_BS);
}

at::Tensor Model::forward_logits(const at::Tensor& tokens_BS, Cache* cache) const {
  const int64_t first = cache ? cache->next_position : 0;
  const at::Tensor positions = at::arange(first, first + tokens_BS.size(1), tokens_BS.options().dtype(at::kLong))
                                   .unsqueeze(0)
                                   .expand_as(tokens_BS)
                                   .contiguous();
  return logits(blocks(embed(tokens_BS), {.positions_BS = positions, .documents_BS = {}, .cache = cache}));
}

Cache Model::make_cache() const {
  Cache cache;
  cache.layers.resize(impl_->layers.size());
  return cache;
}

void backward(const LossSum& loss, double scale) {
  if (!loss.sum.requires_grad()) return;  // everything is frozen
  loss.sum.backward(at::scalar_tensor(scale, loss.sum.options().requires_grad(false)));
}

}  // namespace rialto::model
