// A decoder layer, built from its spec: mixer and ffn are alternatives with one interface each, norms may be missing.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "rialto/comm/mesh.h"
#include "rialto/model/block_recipes.h"
#include "rialto/model/functions.h"
#include "rialto/model/pass.h"
#include "rialto/model/routing.h"

namespace rialto::model {

/// normed [T,H] -> [T,H]. `cache`: this layer's, or null.
class Mixer {
 public:
  virtual ~Mixer() = default;
  virtual at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, Pass& pass, LayerCache* cache) const = 0;
};

class Ffn {
 public:
  virtual ~Ffn() = default;
  /// `routing`: what mixture-of-experts layers report; null: nothing is asked.
  virtual at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, Routing* routing) const = 0;
};

/// What a part is built from. `prefix`: "decoder.layers.3.".
struct Parts {
  const Weights& weights;
  const comm::Mesh& mesh;
  std::string prefix;
  BlockRecipes* recipes = nullptr;    ///< null: every product in the model's dtype
  std::optional<int64_t> layer = {};  ///< decoder layer, counted over the whole model
  const Weight& operator()(const std::string& leaf) const { return weights.at(prefix + leaf); }
  /// The linear layer with these weights, in the recipe of its block. `bias`: "" for none.
  Linear linear(const std::string& weight, const std::string& bias = "") const;
  /// The norm whose weight is `leaf`; its bias, if it has one, has the same name with "bias" for "weight".
  Norm norm(const std::string& leaf, const spec::Norm& spec) const;
};

std::unique_ptr<Mixer> make_attention(const spec::Attention& spec, const Parts& parts);
std::unique_ptr<Mixer> make_latent_attention(const spec::LatentAttention& spec, const Parts& parts);
/// `module`: where its weights are: "mlp." or "mlp.shared_experts.".
std::unique_ptr<Ffn> make_dense_ffn(const spec::DenseFfn& spec, const Parts& parts, const std::string& module = "mlp.");
std::unique_ptr<Ffn> make_moe_ffn(const spec::MoeFfn& spec, const Parts& parts);
kernels::Activation make_activation(spec::Activation activation, bool gated, const std::optional<double>& clamp);

/// One alternative per layer kind; throws kConfig for kinds without model code.
std::unique_ptr<Mixer> make_mixer(const spec::Mixer& spec, const Parts& parts);
std::unique_ptr<Ffn> make_ffn(const spec::Ffn& spec, const Parts& parts);

/// The residual stream between two parts: x + delta. The addition is left to the next norm, which fuses it.
struct Stream {
  at::Tensor x, delta;  ///< [T,H]; delta undefined: nothing to add
  at::Tensor sum() const;
};

/// The same values, recorded so that the watch is told when the gradients of layers from `layer` on are complete: this
/// place's backward runs after everything that the stream went into.
Stream watched(const Recorder& recorder, const Stream& stream, int64_t layer);

/// x += post(mixer(pre(x))); x += post(ffn(pre(x))), each norm only where the spec has it.
class DecoderLayer {
 public:
  DecoderLayer(const spec::Layer& spec, const Parts& parts);
  void forward(const Recorder& recorder, Stream& stream, Pass& pass, LayerCache* cache, Routing* routing) const;

 private:
  struct Norms {
    std::optional<Norm> pre, post;
  };
  at::Tensor run_ffn(const Recorder& recorder, const at::Tensor& x_TH, Routing* routing) const;

  std::string prefix_;
  Module ffn_module_;
  Norms mixer_norms_, ffn_norms_;
  std::unique_ptr<Mixer> mixer_;
  std::unique_ptr<Ffn> ffn_;
};

/// Layers that run again in the backward pass, as one part. They must outlive it. `routing` is reported to once.
Stream run_layers(const Recorder& recorder, Stream stream, std::span<const DecoderLayer> layers,
                  const std::shared_ptr<Pass>& pass, Routing* routing);

}  // namespace rialto::model
