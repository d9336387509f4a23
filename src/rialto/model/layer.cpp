// Chooses the code of each layer kind and runs a layer.
#include "rialto/model/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>

#include "rialto/base/error.h"

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

DecoderLayer::DecoderLayer(const spec::Layer& spec, const Parts& parts)
    : mixer_(make_mixer(spec.mixer, parts)), ffn_(make_ffn(spec.ffn, parts)) {
  const auto norm = [&](const std::optional<spec::Norm>& has, const char* leaf) {
    return has ? std::optional(parts.norm(leaf, *has)) : std::nullopt;
  };
  // Where Megatron fuses a norm with the product behind it, the product's name leads.
  const bool latent = std::holds_alternative<spec::LatentAttention>(spec.mixer);
  const bool experts = std::holds_alternative<spec::MoeFfn>(spec.ffn);
  mixer_norms_.pre =
      norm(spec.mixer_norm, latent ? "input_layernorm.weight" : "self_attention.linear_qkv.layer_norm_weight");
  mixer_norms_.post = norm(spec.mixer_post_norm, "self_attention.linear_proj.post_layernorm.weight");
  ffn_norms_.pre = norm(spec.ffn_norm, experts ? "pre_mlp_layernorm.weight" : "mlp.linear_fc1.layer_norm_weight");
  ffn_norms_.post = norm(spec.ffn_post_norm, "mlp.linear_fc2.post_layernorm.weight");
}

void DecoderLayer::forward(const Recorder& recorder, Stream& stream, Pass& pass, LayerCache* cache,
                           Routing* routing) const {
  const auto branch = [&](const Norms& norms, const auto& run) {
    at::Tensor in;
    if (norms.pre) {
      const NormOutput out = add_norm(recorder, stream.x, stream.delta, *norms.pre);
      stream.x = out.sum;
      in = out.y;
    } else {
      in = stream.x = stream.sum();
    }
    const at::Tensor out = run(in);
    stream.delta = norms.post ? add_norm(recorder, out, {}, *norms.post).y : out;
  };
  branch(mixer_norms_, [&](const at::Tensor& x) { return mixer_->forward(recorder, x, pass, cache); });
  branch(ffn_norms_, [&](const at::Tensor& x) { return ffn_->forward(recorder, x, routing); });
}

}  // namespace rialto::model
