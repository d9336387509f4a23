// Multi-head latent attention: training and prompts expand the latents into keys and values of every head; a single
// query moves into the latent space instead, so that a step reads one row per token and not one per head.
// Shape letters as in attention/functions.h. Source: DeepSeek-V2 report (arXiv:2405.04434), 2.1 and appendix C.
#include <ATen/Functions.h>

#include "rialto/model/attention/context_parallel.h"
#include "rialto/model/cache.h"
#include "rialto/model/layer.h"
#include "rialto/model/recompute.h"

namespace rialto::model {
namespace {

class LatentAttention final : public Mixer {
 public:
  LatentAttention(const spec::LatentAttention& spec, const Parts& parts)
      : spec_(spec),
        place_(parts.prefix + "core_attention"),
        mesh_(parts.mesh),
        way_(parts.mesh.layout().context_way(parts.layer)),
        heads_(spec.num_heads / parts.mesh.size(comm::Axis::kTp)),
        scores_{.scale = spec.softmax_scale} {
    if (spec.q_lora_rank) {
      q_down_ = parts.linear("self_attention.linear_q_down_proj.weight");
      q_norm_ = parts.norm("self_attention.linear_q_up_proj.layer_norm_weight", spec.latent_norm);
      q_up_ = parts.linear("self_attention.linear_q_up_proj.weight");
    } else {
      q_up_ = parts.linear("self_attention.linear_q_proj.weight");
    }
    kv_down_ = parts.linear("self_attention.linear_kv_down_proj.weight");
    kv_norm_ = parts.norm("self_attention.linear_kv_up_proj.layer_norm_weight", spec.latent_norm);
    kv_up_ = parts.linear("self_attention.linear_kv_up_proj.weight");
    proj_ = parts.linear("self_attention.linear_proj.weight");
  }

  at::Tensor forward(const Recorder& given, const at::Tensor& x_TH, Pass& pass, LayerCache* cache) const override {
    const Recorder recorder = given.in(Module::kQkvLinear);
    const at::Tensor q_in = spec_.q_lora_rank ? linear(recorder, x_TH, q_down_) : x_TH;
    const LatentParts parts = split_latent(recorder, linear(recorder, x_TH, kv_down_), spec_.kv_lora_rank);
    const kernels::RopeTable& rope = pass.rope(spec_.rope);
    if (cache) {
      const at::Tensor latent_TC = add_norm(recorder, parts.latent_TC, {}, kv_norm_).y;
      const at::Tensor key_T1R = rotate(recorder, parts.key_T1R, rope);
      return project(recorder, continued(recorder, queries(recorder, q_in, rope), latent_TC, key_T1R, pass, *cache));
    }
    const Body up = [this, rope](const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
      const at::Tensor q_TND = queries(r, in[0], rope);
      const at::Tensor latent_TC = add_norm(r, in[1], {}, kv_norm_).y;
      const ExpandedKeys keys = expand(r, latent_TC, in[2], rope);
      return {q_TND, keys.k_TND, keys.v_TNV};
    };
    const Recomputed heads(recorder, Module::kMlaUpProj, {q_in, parts.latent_TC, parts.key_T1R}, up);
    const auto rows = [&](size_t i) {
      const at::Tensor& x = heads.outputs()[i];
      return x.view({pass.rows(), pass.tokens(), x.size(1), x.size(2)});
    };
    Scores scores = scores_;
    scores.dropout = pass.attention_dropout(place_);
    return project(recorder,
                   context_attention(heads.recorder(), rows(0), rows(1), rows(2), pass, {}, scores, mesh_, way_));
  }

 private:
  /// Of x, or of the latent that x was projected to.
  at::Tensor queries(const Recorder& recorder, const at::Tensor& x, const kernels::RopeTable& rope) const {
    const at::Tensor in = spec_.q_lora_rank ? add_norm(recorder, x, {}, q_norm_).y : x;
    // Every rank has the latent whole and its own heads, so their gradients are added up here.
    const Entered whole(recorder, in, mesh_);
    const at::Tensor q = linear(whole.recorder(), whole.x(), q_up_);
    return rotate(recorder, q.view({q.size(0), heads_, spec_.qk_nope_dim + spec_.qk_rope_dim}), rope,
                  spec_.qk_nope_dim);
  }

  /// Keys and values of every head from `latent` [B*K,C] and `key` [B*K,1,R], which `rope` turns (none: it is turned).
  ExpandedKeys expand(const Recorder& recorder, const at::Tensor& latent_TC, const at::Tensor& key_T1R,
                      const kernels::RopeTable& rope = {}) const {
    const Entered whole(recorder, latent_TC, mesh_);
    const at::Tensor up = linear(whole.recorder(), whole.x(), kv_up_);
    return expand_keys(recorder, up.view({up.size(0), heads_, spec_.qk_nope_dim + spec_.v_head_dim}),
                       rotate(recorder, comm::into_tp(key_T1R, mesh_), rope), spec_.qk_nope_dim);
  }

  /// Generation: appends the new rows and looks at all of them.
  at::Tensor continued(const Recorder& recorder, const at::Tensor& q_TND, const at::Tensor& latent_TC,
                       const at::Tensor& key_T1R, const Pass& pass, LayerCache& cache) const {
    const at::Tensor rows = at::cat({latent_TC, key_T1R.flatten(1)}, 1);
    const CachedLatents held =
        append(cache_of<LatentCache>(cache), rows.view({pass.rows(), pass.tokens(), rows.size(1)}));
    if (pass.tokens() == 1 && !kv_up_.adapter) return absorbed(recorder, q_TND, held);
    const at::Tensor all = held.rows_BKC.flatten(0, 1);
    const at::Tensor latents = all.narrow(1, 0, spec_.kv_lora_rank).contiguous();
    const at::Tensor keys = all.narrow(1, spec_.kv_lora_rank, spec_.qk_rope_dim).unsqueeze(1);
    const ExpandedKeys expanded = expand(recorder, latents, keys);
    const auto by_row = [&](const at::Tensor& x) { return x.view({pass.rows(), -1, x.size(1), x.size(2)}); };
    return attention(recorder, by_row(q_TND), by_row(expanded.k_TND), by_row(expanded.v_TNV), held.range, scores_);
  }

  /// One query per row: q_nope (W_k c) = (q_nope W_k) c, so the latent rows are the keys of all heads at once and their
  /// first part the values, which W_v takes up afterwards. No gradients.
  at::Tensor absorbed(const Recorder& recorder, const at::Tensor& q_TND, const CachedLatents& held) const {
    const at::NoGradGuard no_grad;
    const int64_t plain = spec_.qk_nope_dim;
    const at::Tensor up = kv_up_.weight->data.detach().view({heads_, plain + spec_.v_head_dim, spec_.kv_lora_rank});
    const at::Tensor q_NTC = at::bmm(q_TND.narrow(2, 0, plain).transpose(0, 1), up.narrow(1, 0, plain));
    const at::Tensor q = at::cat({q_NTC.transpose(0, 1), q_TND.narrow(2, plain, spec_.qk_rope_dim)}, 2).unsqueeze(1);
    const at::Tensor keys_BK1C = held.rows_BKC.unsqueeze(2);
    const at::Tensor mixed = attention(recorder, q, keys_BK1C, keys_BK1C.narrow(3, 0, spec_.kv_lora_rank), held.range,
                                       scores_);  // [B, N*C]
    const at::Tensor mixed_NTC = mixed.view({q.size(0), heads_, spec_.kv_lora_rank}).transpose(0, 1);
    const at::Tensor out_NTV = at::bmm(mixed_NTC, up.narrow(1, plain, spec_.v_head_dim).transpose(1, 2));
    return out_NTV.transpose(0, 1).flatten(1);
  }

  at::Tensor project(const Recorder& recorder, const at::Tensor& mixed) const {
    return row_parallel(recorder.in(Module::kAttnProj), mixed, proj_, mesh_);
  }

  spec::LatentAttention spec_;
  std::string place_;
  const comm::Mesh& mesh_;
  spec::ContextWay way_;
  int64_t heads_;
  Scores scores_;
  Linear q_down_, q_up_, kv_down_, kv_up_, proj_;
  Norm q_norm_, kv_norm_;
};

}  // namespace

std::unique_ptr<Mixer> make_latent_attention(const spec::LatentAttention& spec, const Parts& parts) {
  return std::make_unique<LatentAttention>(spec, parts);
}

}  // namespace rialto::model
