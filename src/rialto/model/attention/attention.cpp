// Grouped-query self-attention. Shape letters as in attention/functions.h.
#include <ATen/Functions.h>

#include <algorithm>

#include "rialto/model/attention/context_parallel.h"
#include "rialto/model/cache.h"
#include "rialto/model/layer.h"
#include "rialto/model/recompute.h"

namespace rialto::model {
namespace {

class SelfAttention final : public Mixer {
 public:
  SelfAttention(const spec::Attention& spec, const Parts& parts)
      : spec_(spec),
        place_(parts.prefix + "core_attention"),
        mesh_(parts.mesh),
        way_(parts.mesh.layout().context_way(parts.layer)),
        groups_(std::max<int64_t>(1, spec.num_groups / parts.mesh.size(comm::Axis::kTp))),
        scores_{.scale = spec.softmax_scale, .softcap = spec.softcap} {
    qkv_ = parts.linear("self_attention.linear_qkv.weight", spec.qkv_bias ? "self_attention.linear_qkv.bias" : "");
    if (spec.qk_norm) {
      q_norm_ = parts.norm("self_attention.q_layernorm.weight", *spec.qk_norm);
      k_norm_ = parts.norm("self_attention.k_layernorm.weight", *spec.qk_norm);
    }
    if (spec.sinks) scores_.sinks = &parts("self_attention.core_attention.softmax_offset");
    proj_ = parts.linear("self_attention.linear_proj.weight", spec.out_bias ? "self_attention.linear_proj.bias" : "");
  }

  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, Pass& pass, LayerCache* cache) const override {
    const Entered in(recorder.in(Module::kQkvLinear), x_TH, mesh_);
    const at::Tensor qkv = own_heads(recorder, linear(in.recorder(), in.x(), qkv_));
    const kernels::RopeTable& rope = pass.rope(spec_.rope);
    kernels::Heads heads =
        split_heads(recorder, qkv, groups_, spec_.head_dim, spec_.qk_norm ? kernels::RopeTable{} : rope);
    if (spec_.qk_norm) {
      heads.q_TND = rotate(recorder, head_norm(recorder, heads.q_TND, q_norm_), rope);
      heads.k_TGD = rotate(recorder, head_norm(recorder, heads.k_TGD, k_norm_), rope);
    }
    const auto rows = [&](const at::Tensor& x) { return x.view({pass.rows(), pass.tokens(), x.size(1), x.size(2)}); };
    const at::Tensor q = rows(heads.q_TND), k = rows(heads.k_TGD), v = rows(heads.v_TGD);
    if (!cache) {
      Scores scores = scores_;
      scores.dropout = pass.attention_dropout(place_);
      return project(recorder, context_attention(recorder, q, k, v, pass, spec_.window, scores, mesh_, way_));
    }
    const CachedKeys keys =
        append(cache_of<KeyValueCache>(*cache), k, v, pass.context().cache->next_position, spec_.window);
    return project(recorder, attention(recorder, q, keys.k_BKGD, keys.v_BKGD, keys.range, scores_));
  }

 private:
  /// Of a key/value head that several ranks hold, this one's query heads, then key and value.
  at::Tensor own_heads(const Recorder& recorder, const at::Tensor& qkv) const {
    const int copies = mesh_.size(comm::Axis::kKeyCopies);
    if (copies == 1) return qkv;
    const int64_t queries = spec_.num_heads / mesh_.size(comm::Axis::kTp) * spec_.head_dim;
    const int64_t first = mesh_.index(comm::Axis::kKeyCopies) * queries, keys = copies * queries;
    Tape tape(recorder, {qkv});
    const at::Tensor own = at::cat({qkv.narrow(1, first, queries), qkv.narrow(1, keys, qkv.size(1) - keys)}, 1);
    tape.record(
        {own},
        [first, queries, keys, width = qkv.size(1)](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
          const at::Tensor dqkv = at::zeros({douts[0].size(0), width}, douts[0].options());
          dqkv.narrow(1, first, queries).copy_(douts[0].narrow(1, 0, queries));
          dqkv.narrow(1, keys, width - keys).copy_(douts[0].narrow(1, queries, width - keys));
          return {dqkv};
        },
        "own_heads");
    return own;
  }
  /// Of each head, or of all heads together.
  at::Tensor head_norm(const Recorder& recorder, const at::Tensor& x_TND, const Norm& norm) const {
    if (spec_.qk_norm_width == spec::QkNormWidth::kHead) return add_norm(recorder, x_TND, {}, norm).y;
    return full_width_norm(recorder, x_TND.flatten(1), norm, mesh_).view(x_TND.sizes());
  }

  at::Tensor project(const Recorder& recorder, const at::Tensor& mixed) const {
    return row_parallel(recorder.in(Module::kAttnProj), mixed, proj_, mesh_);
  }

  spec::Attention spec_;
  std::string place_;
  const comm::Mesh& mesh_;
  spec::ContextWay way_;
  int64_t groups_;
  Scores scores_;
  Linear qkv_, proj_;
  Norm q_norm_, k_norm_;
};

}  // namespace

std::unique_ptr<Mixer> make_attention(const spec::Attention& spec, const Parts& parts) {
  return std::make_unique<SelfAttention>(spec, parts);
}

}  // namespace rialto::model
