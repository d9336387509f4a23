// A mixture-of-experts block: router, experts, and a shared block beside them.
#include <ATen/Functions.h>

#include "rialto/model/ffn/experts.h"
#include "rialto/model/recompute.h"

namespace rialto::model {
namespace {

class MoeFfn final : public Ffn {
 public:
  MoeFfn(const spec::MoeFfn& spec, const Parts& parts) : router_(spec, parts), experts_(spec, parts) {
    if (spec.shared_hidden == 0) return;
    const spec::DenseFfn shared{
        .hidden = spec.shared_hidden, .activation = spec.activation, .clamp = spec.shared_clamp};
    shared_ = make_dense_ffn(shared, parts, "mlp.shared_experts.");
    if (spec.shared_gate) gate_.weight = &parts("mlp.shared_experts.gate_weight");
  }

  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, Routing* routing) const override {
    const at::Tensor routed = experts_.forward(recorder, x_TH, router_.forward(recorder, x_TH, routing));
    if (!shared_) return routed;
    return at::add(routed, shared(recorder, x_TH));
  }

 private:
  at::Tensor shared(const Recorder& recorder, const at::Tensor& x_TH) const {
    const Body body = [this](const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
      const at::Tensor y = shared_->forward(r, in[0], nullptr);
      return {gate_.weight ? gate_rows(r, y, linear(r, in[0], gate_)) : y};
    };
    if (!recorder.recomputes(Module::kSharedExperts)) return body(recorder, {x_TH})[0];
    return recompute(recorder.in(Module::kSharedExperts), {x_TH}, body)[0];
  }

  Router router_;
  Experts experts_;
  std::unique_ptr<Ffn> shared_;  ///< null: none
  Linear gate_;
};

}  // namespace

std::unique_ptr<Ffn> make_moe_ffn(const spec::MoeFfn& spec, const Parts& parts) {
  return std::make_unique<MoeFfn>(spec, parts);
}

}  // namespace rialto::model
