// The dense feed-forward block: gate and up in one product, SwiGLU, down.
#include "rialto/model/layer.h"

namespace rialto::model {
namespace {

class DenseFfn final : public Ffn {
 public:
  explicit DenseFfn(const Parts& parts) : mesh_(parts.mesh) {
    fc1_.weight = &parts("mlp.linear_fc1.weight");
    fc2_.weight = &parts("mlp.linear_fc2.weight");
  }

  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH) const override {
    const at::Tensor gate_up = linear(recorder, comm::copy_to(x_TH, mesh_, comm::Axis::kTp), fc1_);
    return comm::reduce_from(linear(recorder, swiglu(recorder, gate_up), fc2_), mesh_, comm::Axis::kTp);
  }

 private:
  const comm::Mesh& mesh_;
  Linear fc1_, fc2_;
};

}  // namespace

std::unique_ptr<Ffn> make_dense_ffn(const spec::DenseFfn&, const Parts& parts) {
  return std::make_unique<DenseFfn>(parts);
}

}  // namespace rialto::model
