// Chooses the code of each layer kind and runs a layer.
#include "rialto/model/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>

#include "rialto/base/error.h"
#include "rialto/model/recompute.h"

namespace rialto::model {
namespace {

template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;

}  // namespace

std::unique_ptr<Mixer> make_mixer(const spec::Mixer& spec, const Parts& parts) {
  return std::visit(Overload{[&](const spec::Attention& attention) { return make_attention(attention, parts); },
                             [&](const spec::LatentAttention& latent) { return make_latent_attention(latent, parts); }},
                    spec);
}

std::unique_ptr<Ffn> make_ffn(const spec::Ffn& spec, const Parts& parts) {
  return std::visit(Overload{[&](const spec::DenseFfn& ffn) { return make_dense_ffn(ffn, parts); },
                             [&](const spec::MoeFfn& moe) { return make_moe_ffn(moe, parts); }},
                    spec);
}

kernels::Activation make_activation(spec::Activation activation, bool gated, const std::optional<double>& clamp) {
  const auto kind = [&] {
    switch (activation) {
      case spec::Activation::kSilu:
        return kernels::ActivationKind::kSilu;
      case spec::Activation::kGeluTanh:
        return kernels::ActivationKind::kGeluTanh;
      case spec::Activation::kRelu2:
        return kernels::ActivationKind::kRelu2;
      case spec::Activation::kGptOss:
        return kernels::ActivationKind::kGptOss;
    }
    throw Error(ErrorKind::kInternal, "activation", "unknown kind");
  };
  return {.kind = kind(), .gated = gated, .clamp = clamp.value_or(std::numeric_limits<double>::infinity())};
}

Linear Parts::linear(const std::string& weight, const std::string& bias) const {
  Linear linear{.weight = &(*this)(weight), .bias = bias.empty() ? nullptr : &(*this)(bias)};
  if (recipes) linear.recipe = recipes->of(prefix + weight, layer);
  return linear;
}

Norm Parts::norm(const std::string& leaf, const spec::Norm& spec) const {
  Norm norm{.weight = &(*this)(leaf), .bias = nullptr, .spec = spec};
  if (spec.bias) norm.bias = &(*this)(leaf.substr(0, leaf.rfind("weight")) + "bias");
  return norm;
}

at::Tensor Stream::sum() const { return delta.defined() ? at::add(x, delta) : x; }

Stream watched(const Recorder& recorder, const Stream& stream, int64_t layer) {
  Tape tape(recorder, {stream.x, stream.delta});
  if (!tape.active()) return stream;
  const Stream same{.x = stream.x.detach(), .delta = stream.delta.defined() ? stream.delta.detach() : at::Tensor()};
  std::vector<at::Tensor> outputs{same.x};
  if (same.delta.defined()) outputs.push_back(same.delta);
  tape.record(
      outputs,
      [watch = recorder.watch, layer](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        watch->done_from(layer);
        Grads dins = douts;
        dins.resize(2);
        return dins;
      },
      "watched");
  return same;
}

DecoderLayer::DecoderLayer(const spec::Layer& spec, const Parts& parts)
    : prefix_(parts.prefix),
      ffn_module_(std::holds_alternative<spec::MoeFfn>(spec.ffn) ? Module::kMoe : Module::kMlp),
      mixer_(make_mixer(spec.mixer, parts)),
      ffn_(make_ffn(spec.ffn, parts)) {
  const auto norm = [&](const std::optional<spec::Norm>& has, const char* leaf) {
    return has ? std::optional(parts.norm(leaf, *has)) : std::nullopt;
  };
  // Where Megatron fuses a norm with the product behind it, the product's name leads.
  const bool latent = std::holds_alternative<spec::LatentAttention>(spec.mixer);
  mixer_norms_.pre =
      norm(spec.mixer_norm, latent ? "input_layernorm.weight" : "self_attention.linear_qkv.layer_norm_weight");
  mixer_norms_.post = norm(spec.mixer_post_norm, "self_attention.linear_proj.post_layernorm.weight");
  ffn_norms_.pre = norm(spec.ffn_norm,
                        ffn_module_ == Module::kMoe ? "pre_mlp_layernorm.weight" : "mlp.linear_fc1.layer_norm_weight");
  ffn_norms_.post = norm(spec.ffn_post_norm, "mlp.linear_fc2.post_layernorm.weight");
}

at::Tensor DecoderLayer::run_ffn(const Recorder& recorder, const at::Tensor& x_TH, Routing* routing) const {
  if (!recorder.recomputes(ffn_module_)) return ffn_->forward(recorder, x_TH, routing);
  const bool reports = routing != nullptr;
  const Body body = [this, routing, reports, blank = reports ? routing->blank() : Routing{}](
                        const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
    Routing unread = blank;
    return {ffn_->forward(r, in[0], reports && r.replaying ? &unread : routing)};
  };
  return recompute(recorder.in(ffn_module_), {x_TH}, body)[0];
}

void DecoderLayer::forward(const Recorder& recorder, Stream& stream, Pass& pass, LayerCache* cache,
                           Routing* routing) const {
  const auto branch = [&](const Norms& norms, Module norm_module, const char* place, const auto& run) {
    at::Tensor out;
    if (norms.pre && recorder.recomputes(Module::kLayernorm)) {
      const Body body = [&norm = *norms.pre](const Recorder& r, const std::vector<at::Tensor>& in) {
        const NormOutput normed = add_norm(r, in[0], {}, norm);
        return std::vector<at::Tensor>{normed.y, normed.sum};
      };
      const Recomputed pre(recorder.in(norm_module), Module::kLayernorm, {stream.sum()}, body);
      stream.x = pre.outputs()[1];
      out = run(pre.recorder().in(Module::kNone), pre.outputs()[0]);
    } else if (norms.pre) {
      const NormOutput normed = add_norm(recorder.in(norm_module), stream.x, stream.delta, *norms.pre);
      stream.x = normed.sum;
      const Remade pre(recorder, normed.y, normed.sum,
                       [norm = *norms.pre](const at::Tensor& sum) { return norm_of(sum, norm); });
      out = run(pre.recorder(), normed.y);
    } else {
      stream.x = stream.sum();
      out = run(recorder, stream.x);
    }
    if (norms.post) out = add_norm(recorder, out, {}, *norms.post).y;
    stream.delta = dropout(recorder, out, pass.hidden_dropout(prefix_ + place));
  };
  branch(mixer_norms_, Module::kAttnNorm, "self_attention",
         [&](const Recorder& r, const at::Tensor& x) { return mixer_->forward(r, x, pass, cache); });
  branch(ffn_norms_, Module::kMlpNorm, "mlp",
         [&](const Recorder& r, const at::Tensor& x) { return run_ffn(r, x, routing); });
}

Stream run_layers(const Recorder& recorder, Stream stream, std::span<const DecoderLayer> layers,
                  const std::shared_ptr<Pass>& pass, Routing* routing) {
  const bool reports = routing != nullptr;
  const Body body = [layers, pass, routing, reports, blank = reports ? routing->blank() : Routing{}](
                        const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
    Routing unread = blank;
    Stream through{.x = in[0], .delta = {}};
    for (const DecoderLayer& layer : layers)
      layer.forward(r, through, *pass, nullptr, reports && r.replaying ? &unread : routing);
    return {through.x, through.delta};
  };
  const auto out = recompute(recorder, {stream.sum()}, body);
  return {out[0], out[1]};
}

}  // namespace rialto::model
