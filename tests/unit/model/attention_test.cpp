// Both kinds of attention as layers, against the same written in plain recorded operations as transformers has it:
// output, gradient of the input and of every weight, in fp64 and fp32.
#include <map>

#include "rialto/model/layer.h"
#include "rialto/model/rope.h"
#include "toy.h"

namespace rialto::model {
namespace {

constexpr int64_t kRows = 2, kTokens = 13, kHidden = 20;

/// The plain side: leaves by name, positions, and the fp32 tables, which have a test of their own.
class Plain {
 public:
  Plain(const Weights& weights, const at::Tensor& positions_BS) : positions_(positions_BS.reshape({-1})) {
    for (const Weight& w : weights.all())
      leaves_[w.param.name] = w.data.detach().to(at::kDouble).clone().set_requires_grad(true);
  }
  const at::Tensor& at(const std::string& leaf) const { return leaves_.at("decoder.layers.0.self_attention." + leaf); }
  const std::map<std::string, at::Tensor>& leaves() const { return leaves_; }

  at::Tensor norm(const at::Tensor& x, const std::string& leaf, const spec::Norm& spec) const {
    const at::Tensor normed = x * at::rsqrt(x.square().mean(-1, true) + spec.eps);
    return normed * (spec.zero_centered ? at(leaf) + 1 : at(leaf));
  }

  /// First `dim` channels of [B,N,S,D]. Neighbours as modeling_ernie4_5_moe.py.
  at::Tensor rotated(const at::Tensor& x, const std::optional<spec::Rope>& rope) const {
    if (!rope) return x;
    const kernels::RopeTable table = rope_table(*rope, positions_);
    const auto angles = [&](const at::Tensor& t) {
      const at::Tensor wide = t.to(at::kDouble);
      const at::Tensor both = table.adjacent ? wide.repeat_interleave(2, -1) : at::cat({wide, wide}, -1);
      return both.view({kRows, 1, -1, rope->dim});
    };
    const at::Tensor turning = x.narrow(-1, 0, rope->dim), rest = x.narrow(-1, rope->dim, x.size(-1) - rope->dim);
    const auto half = rope->dim / 2;
    const at::Tensor turned =
        table.adjacent
            ? at::stack({-turning.slice(-1, 1, INT64_MAX, 2), turning.slice(-1, 0, INT64_MAX, 2)}, -1).flatten(-2)
            : at::cat({-turning.narrow(-1, half, half), turning.narrow(-1, 0, half)}, -1);
    return at::cat({turning * angles(table.cos_TP) + turned * angles(table.sin_TP), rest}, -1);
  }

 private:
  at::Tensor positions_;
  std::map<std::string, at::Tensor> leaves_;
};

struct Softmax {
  double scale;
  std::optional<double> softcap;
  std::optional<int64_t> window;
  at::Tensor sinks;
};
/// q, k, v [B,N,S,*] -> [B,S,N*V]. Soft cap as modeling_gemma2.py, sinks as modeling_gpt_oss.py.
at::Tensor eager(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Softmax& o) {
  const int64_t tokens = q.size(2);
  const at::Tensor i = at::arange(tokens).unsqueeze(1), j = at::arange(tokens).unsqueeze(0);
  const at::Tensor seen = at::logical_and(j <= i, j > i - o.window.value_or(tokens));
  at::Tensor s = at::matmul(q, k.transpose(2, 3)) * o.scale;
  if (o.softcap) s = at::tanh(s / *o.softcap) * *o.softcap;
  s = s.masked_fill(at::logical_not(seen), -std::numeric_limits<double>::infinity());
  if (o.sinks.defined()) s = at::cat({s, o.sinks.view({1, -1, 1, 1}).expand({s.size(0), s.size(1), tokens, 1})}, -1);
  return at::matmul(at::softmax(s, -1).narrow(-1, 0, tokens), v).transpose(1, 2).flatten(2);
}

/// modeling_llama.py with the norms of modeling_olmoe.py (over all heads) or modeling_qwen3.py (of each).
at::Tensor plain_mixer(const spec::Attention& a, const Plain& p, const at::Tensor& x_BSH) {
  const int64_t per_group = a.num_heads / a.num_groups;
  at::Tensor qkv = at::linear(x_BSH, p.at("linear_qkv.weight"));
  if (a.qkv_bias) qkv = qkv + p.at("linear_qkv.bias");
  qkv = qkv.view({kRows, kTokens, a.num_groups, per_group + 2, a.head_dim});
  at::Tensor q = qkv.narrow(3, 0, per_group).flatten(2, 3), k = qkv.select(3, per_group);
  const auto normed = [&](const at::Tensor& x, const char* leaf) {
    if (!a.qk_norm) return x;
    if (a.qk_norm_width == spec::QkNormWidth::kHead) return p.norm(x, leaf, *a.qk_norm);
    return p.norm(x.flatten(2), leaf, *a.qk_norm).view(x.sizes());
  };
  q = p.rotated(normed(q, "q_layernorm.weight").transpose(1, 2), a.rope);
  k = p.rotated(normed(k, "k_layernorm.weight").transpose(1, 2), a.rope);
  const at::Tensor v = qkv.select(3, per_group + 1).transpose(1, 2);
  const at::Tensor sinks = a.sinks ? p.at("core_attention.softmax_offset") : at::Tensor();
  const at::Tensor mixed = eager(q, k.repeat_interleave(per_group, 1), v.repeat_interleave(per_group, 1),
                                 {a.softmax_scale, a.softcap, a.window, sinks});
  const at::Tensor y = at::linear(mixed, p.at("linear_proj.weight"));
  return a.out_bias ? y + p.at("linear_proj.bias") : y;
}

/// modeling_deepseek_v3.py: neighbours are taken apart into halves first, which changes no score.
at::Tensor plain_mixer(const spec::LatentAttention& a, const Plain& p, const at::Tensor& x_BSH) {
  const int64_t heads = a.num_heads, plain = a.qk_nope_dim, turning = a.qk_rope_dim;
  const at::Tensor q_BSE = a.q_lora_rank ? at::linear(p.norm(at::linear(x_BSH, p.at("linear_q_down_proj.weight")),
                                                             "linear_q_up_proj.layer_norm_weight", a.latent_norm),
                                                      p.at("linear_q_up_proj.weight"))
                                         : at::linear(x_BSH, p.at("linear_q_proj.weight"));
  const at::Tensor q = q_BSE.view({kRows, kTokens, heads, plain + turning}).transpose(1, 2);
  const at::Tensor down = at::linear(x_BSH, p.at("linear_kv_down_proj.weight"));
  const at::Tensor latent =
      p.norm(down.narrow(2, 0, a.kv_lora_rank), "linear_kv_up_proj.layer_norm_weight", a.latent_norm);
  const at::Tensor key = down.narrow(2, a.kv_lora_rank, turning).unsqueeze(1);
  std::optional<spec::Rope> halves = a.rope;
  const auto rotated = [&](const at::Tensor& x) {
    if (!a.rope || a.rope->pairing == spec::RopePairing::kHalf) return p.rotated(x, a.rope);
    halves->pairing = spec::RopePairing::kHalf;
    return p.rotated(x.unflatten(-1, {turning / 2, 2}).transpose(-1, -2).flatten(-2), halves);
  };
  const at::Tensor up = at::linear(latent, p.at("linear_kv_up_proj.weight"))
                            .view({kRows, kTokens, heads, plain + a.v_head_dim})
                            .transpose(1, 2);
  const at::Tensor queries = at::cat({q.narrow(3, 0, plain), rotated(q.narrow(3, plain, turning))}, -1);
  const at::Tensor keys = at::cat({up.narrow(3, 0, plain), rotated(key).expand({kRows, heads, kTokens, turning})}, -1);
  const at::Tensor mixed = eager(queries, keys, up.narrow(3, plain, a.v_head_dim), {a.softmax_scale, {}, {}, {}});
  return at::linear(mixed, p.at("linear_proj.weight"));
}

struct Named {
  const char* name;
  spec::Mixer mixer;
};
class MixerTest : public testing::TestWithParam<Named> {};

TEST_P(MixerTest, EqualsPlainOperations) {
  spec::ModelSpec spec = toy_spec({.hidden = kHidden, .layers = 1});
  spec.layers[0].mixer = GetParam().mixer;
  for (const auto type : {at::kDouble, at::kFloat}) {
    const double tolerance = type == at::kDouble ? 1e-10 : 1e-5;
    Weights weights = toy_weights(spec, type);
    const comm::Mesh mesh;
    const auto mixer = make_mixer(GetParam().mixer, {weights, mesh, "decoder.layers.0."});
    at::manual_seed(5);
    const at::Tensor positions = at::arange(kTokens, at::kLong).unsqueeze(0).repeat({kRows, 1});
    const at::Tensor x = (at::randn({kRows, kTokens, kHidden}) * 2).to(type).set_requires_grad(true);
    const at::Tensor x2 = x.detach().to(at::kDouble).clone().set_requires_grad(true);
    const at::Tensor g = at::randn({kRows, kTokens, kHidden}).to(type);
    const AttentionContext context{.positions_BS = positions, .documents_BS = {}, .cache = nullptr};
    Pass pass(kRows, kTokens, context);
    const at::Tensor y = mixer->forward({}, x.flatten(0, 1), pass, nullptr).view(x.sizes());
    const Plain plain(weights, positions);
    const at::Tensor y2 = std::visit([&](const auto& m) { return plain_mixer(m, plain, x2); }, GetParam().mixer);
    y.backward(g);
    y2.backward(g.to(at::kDouble));
    expect_close(y, y2, tolerance, "y");
    expect_close(x.grad(), x2.grad(), tolerance, "dx");
    int seen = 0;
    for (const Weight& w : weights.all()) {
      const at::Tensor& want = plain.leaves().at(w.param.name).grad();
      if (!want.defined()) continue;  // not of the mixer
      EXPECT_GT(want.abs().max().item<double>(), 1e-6) << w.param.name << " would pass unseen";
      expect_close(w.main_grad, want, tolerance, w.param.name, 1e-3);
      ++seen;
    }
    EXPECT_GE(seen, 2);
  }
}

constexpr spec::Norm kNorm{.eps = 1e-6}, kZeroNorm{.eps = 1e-5, .kind = spec::NormKind::kRms, .zero_centered = true};

spec::Attention grouped() {
  return {.num_heads = 6, .num_groups = 2, .head_dim = 10, .softmax_scale = 0.4, .rope = spec::Rope{1000, 10}};
}
template <class Change>
spec::Mixer with(spec::Attention attention, const Change& change) {
  change(attention);
  return attention;
}
spec::LatentAttention latent() {
  return {.num_heads = 3,
          .q_lora_rank = 7,
          .kv_lora_rank = 9,
          .qk_nope_dim = 5,
          .qk_rope_dim = 4,
          .v_head_dim = 6,
          .latent_norm = kNorm,
          .softmax_scale = 0.5,
          .rope = spec::Rope{10000, 4, {}, spec::RopePairing::kAdjacent}};
}
template <class Change>
spec::Mixer with(spec::LatentAttention attention, const Change& change) {
  change(attention);
  return attention;
}
using A = spec::Attention;
using L = spec::LatentAttention;

INSTANTIATE_TEST_SUITE_P(
    Grouped, MixerTest,
    testing::Values(
        Named{"plain", grouped()}, Named{"biases", with(grouped(), [](A& a) { a.qkv_bias = a.out_bias = true; })},
        Named{"head_norm", with(grouped(), [](A& a) { a.qk_norm = kNorm; })},
        Named{"zero_centered_norm", with(grouped(), [](A& a) { a.qk_norm = kZeroNorm; })},
        Named{"full_norm",
              with(grouped(), [](A& a) { a.qk_norm = kNorm, a.qk_norm_width = spec::QkNormWidth::kFull; })},
        Named{"sinks_window", with(grouped(), [](A& a) { a.sinks = a.qkv_bias = a.out_bias = true, a.window = 4; })},
        Named{"softcap", with(grouped(), [](A& a) { a.softcap = 1.5, a.softmax_scale = 0.7; })},
        Named{"no_positions", with(grouped(), [](A& a) { a.rope.reset(); })},
        Named{"no_positions_norm", with(grouped(), [](A& a) { a.rope.reset(), a.qk_norm = kNorm; })},
        Named{"partial", with(grouped(), [](A& a) { a.rope->dim = 4; })},
        Named{"neighbours", with(grouped(), [](A& a) { a.rope->pairing = spec::RopePairing::kAdjacent; })},
        Named{"partial_neighbours_norm",
              with(grouped(),
                   [](A& a) { a.rope = spec::Rope{500, 6, {}, spec::RopePairing::kAdjacent}, a.qk_norm = kNorm; })},
        Named{"yarn",
              with(grouped(),
                   [](A& a) { a.rope->scaling = spec::YarnScaling{.factor = 8, .original_max_positions = 64}; })}),
    [](const auto& param_info) { return param_info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Latent, MixerTest,
    testing::Values(Named{"q_lora", latent()}, Named{"no_q_lora", with(latent(), [](L& a) { a.q_lora_rank.reset(); })},
                    Named{"halves", with(latent(), [](L& a) { a.rope->pairing = spec::RopePairing::kHalf; })},
                    Named{"other_eps", with(latent(), [](L& a) { a.latent_norm.eps = 0.3; })},
                    Named{"yarn", with(latent(),
                                       [](L& a) {
                                         a.rope->scaling =
                                             spec::YarnScaling{.factor = 40, .mscale = 0.7, .mscale_all_dim = 1};
                                       })}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace rialto::model
