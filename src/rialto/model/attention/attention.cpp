// Grouped-query self-attention. Shape letters as in attention/functions.h.
#include <ATen/Functions.h>

#include "rialto/model/attention/functions.h"
#include "rialto/model/cache.h"
#include "rialto/model/layer.h"

namespace rialto::model {
namespace {

class SelfAttention final : public Mixer {
 public:
  SelfAttention(const spec::Attention& spec, const Parts& parts)
      : spec_(spec), mesh_(parts.mesh), groups_(spec.num_groups / parts.mesh.size(comm::Axis::kTp)) {
    qkv_.weight = &parts("self_attention.linear_qkv.weight");
    if (spec.qkv_bias) qkv_.bias = &parts("self_attention.linear_qkv.bias");
    proj_.weight = &parts("self_attention.linear_proj.weight");
    if (spec.qk_norm) {
      q_norm_ = &parts("self_attention.q_layernorm.weight");
      k_norm_ = &parts("self_attention.k_layernorm.weight");
    }
  }

  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, Pass& pass, LayerCache* cache) const override {
    const at::Tensor qkv = linear(recorder, comm::copy_to(x_TH, mesh_, comm::Axis::kTp), qkv_);
    const kernels::RopeTable& rope = pass.rope(spec_.rope);
    kernels::Heads heads =
        split_heads(recorder, qkv, groups_, spec_.head_dim, spec_.qk_norm ? kernels::RopeTable{} : rope);
    if (spec_.qk_norm) {
      heads.q_TND = rotate(recorder, add_norm(recorder, heads.q_TND, {}, *q_norm_, spec_.qk_norm->eps).y, rope);
      heads.k_TGD = rotate(recorder, add_norm(recorder, heads.k_TGD, {}, *k_norm_, spec_.qk_norm->eps).y, rope);
    }
    const auto rows = [&](const at::Tensor& x) { return x.view({pass.rows(), pass.tokens(), x.size(1), x.size(2)}); };
    const at::Tensor q = rows(heads.q_TND), k = rows(heads.k_TGD), v = rows(heads.v_TGD);
    at::Tensor mixed;
    if (cache) {
      const CachedKeys keys = append(*cache, k, v, pass.context().cache->next_position, spec_.window);
      mixed = attention(recorder, q, keys.k_BKGD, keys.v_BKGD, keys.range, {.scale = spec_.softmax_scale});
    } else {
      mixed = attention(recorder, q, k, v, pass.range(spec_.window), {.scale = spec_.softmax_scale});
    }
    return comm::reduce_from(linear(recorder, mixed, proj_), mesh_, comm::Axis::kTp);
  }

 private:
  spec::Attention spec_;
  const comm::Mesh& mesh_;
  int64_t groups_;
  Linear qkv_, proj_;
  const Weight *q_norm_ = nullptr, *k_norm_ = nullptr;
};

}  // namespace

std::unique_ptr<Mixer> make_attention(const spec::Attention& spec, const Parts& parts) {
  return std::make_unique<SelfAttention>(spec, parts);
}

}  // namespace rialto::model
