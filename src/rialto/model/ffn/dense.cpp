// The dense feed-forward block: up (and gate) in one product, the activation, down.
#include "rialto/model/layer.h"
#include "rialto/model/recompute.h"

namespace rialto::model {
namespace {

class DenseFfn final : public Ffn {
 public:
  DenseFfn(const spec::DenseFfn& spec, const Parts& parts, const std::string& module)
      : mesh_(parts.mesh), activation_(make_activation(spec.activation, spec.gated, spec.clamp)) {
    fc1_ = parts.linear(module + "linear_fc1.weight");
    fc2_ = parts.linear(module + "linear_fc2.weight");
  }

  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, Routing*) const override {
    const Entered in(recorder, x_TH, mesh_);
    const at::Tensor inner = linear(in.recorder(), in.x(), fc1_);
    const at::Tensor mixed = activate(recorder, inner, activation_);
    const Remade remade(recorder, mixed, inner, [activation = activation_](const at::Tensor& from) {
      return kernels::activation_forward(from, activation);
    });
    return comm::out_of_tp(linear(remade.recorder(), mixed, fc2_), mesh_);
  }

 private:
  const comm::Mesh& mesh_;
  kernels::Activation activation_;
  Linear fc1_, fc2_;
};

}  // namespace

std::unique_ptr<Ffn> make_dense_ffn(const spec::DenseFfn& spec, const Parts& parts, const std::string& module) {
  return std::make_unique<DenseFfn>(spec, parts, module);
}

}  // namespace rialto::model
