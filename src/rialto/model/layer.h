// The parts of a decoder layer, built from its spec: mixer and ffn are alternatives with one interface each.
#pragma once

#include <memory>
#include <string>

#include "rialto/comm/mesh.h"
#include "rialto/model/functions.h"
#include "rialto/model/pass.h"

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
  virtual at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH) const = 0;
};

/// What a part is built from. `prefix`: "decoder.layers.3.".
struct Parts {
  const Weights& weights;
  const comm::Mesh& mesh;
  std::string prefix;
  const Weight& operator()(const std::string& leaf) const { return weights.at(prefix + leaf); }
};

std::unique_ptr<Mixer> make_attention(const spec::Attention& spec, const Parts& parts);
std::unique_ptr<Ffn> make_dense_ffn(const spec::DenseFfn& spec, const Parts& parts);

/// One alternative per layer kind; throws kConfig for kinds without model code.
std::unique_ptr<Mixer> make_mixer(const spec::Mixer& spec, const Parts& parts);
std::unique_ptr<Ffn> make_ffn(const spec::Ffn& spec, const Parts& parts);

}  // namespace rialto::model
