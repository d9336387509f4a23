// Flat buffers, initial values that no layout changes, and names that do not exist.
#include "rialto/model/weights.h"

#include "rialto/base/error.h"
#include "rialto/base/random.h"
#include "toy.h"

namespace rialto::model {
namespace {

TEST(Weights, LieInFlatBuffers) {
  const spec::ModelSpec spec = toy_spec({.qkv_bias = true});
  Weights weights(spec, {}, {}, {}, true);
  int64_t end = 0;
  for (Weight& w : weights.all()) {
    EXPECT_EQ(w.offset % 64, 0) << w.param.name;
    EXPECT_GE(w.offset, end);
    end = w.offset + w.size;
    EXPECT_EQ(w.data.sizes(), w.param.shape) << w.param.name;
    EXPECT_TRUE(w.data.is_leaf() && w.data.requires_grad());
    const at::NoGradGuard no_grad;
    w.data.fill_(3);
    w.main_grad.fill_(5);
    EXPECT_EQ(weights.flat_data()[w.offset].item<float>(), 3);
    EXPECT_EQ(weights.flat_grad()[end - 1].item<float>(), 5);
  }
  int64_t held = 0;
  for (const Weight& w : weights.all()) held += w.size;
  EXPECT_EQ(weights.flat_data().sum().item<double>(), 3.0 * static_cast<double>(held)) << "padding stays 0";
}

TEST(Weights, InferenceHasNoGradients) {
  Weights weights(toy_spec({}), {}, {}, {.device = at::kCPU, .dtype = at::kBFloat16}, false);
  EXPECT_FALSE(weights.flat_grad().defined());
  EXPECT_EQ(weights.flat_data().scalar_type(), at::kBFloat16);
  for (const Weight& w : weights.all()) EXPECT_FALSE(w.data.requires_grad());
  EXPECT_THROW(weights.set_frozen(weights.all()[0].param.name, false), Error);
  weights.zero_grad();
}

TEST(Weights, UnknownNameHintsAtTheNearest) {
  const Weights weights(toy_spec({}), {}, {}, {}, false);
  EXPECT_TRUE(weights.has("output_layer.weight"));
  EXPECT_FALSE(weights.has("output_layer.weigth"));
  try {
    weights.at("output_layer.weigth");
    FAIL() << "found";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'output_layer.weight'"), std::string::npos) << error.what();
  }
}

TEST(Weights, InitialValuesAreAFunctionOfNameAndElement) {
  const spec::ModelSpec spec = toy_spec({.layers = 2, .tied = true});
  Weights weights(spec, {}, {}, {}, true);
  weights.init_random(spec, 99);
  const Weight& qkv = weights.at("decoder.layers.1.self_attention.linear_qkv.weight");
  const RandomStream stream(99, "init/decoder.layers.1.self_attention.linear_qkv.weight");
  const at::Tensor flat = qkv.data.detach().flatten();
  for (const int64_t i : {int64_t{0}, int64_t{77}, qkv.size - 1}) {
    EXPECT_EQ(flat[i].item<float>(), static_cast<float>(spec.init_std * stream.normal(static_cast<uint64_t>(i))));
  }
  EXPECT_NEAR(flat.std().item<double>(), 0.02, 0.002);
  const at::Tensor proj = weights.at("decoder.layers.0.mlp.linear_fc2.weight").data.detach();
  EXPECT_NEAR(proj.std().item<double>(), 0.02 / 2, 0.001) << "residual projections: divided by sqrt(2 * 2 layers)";
  EXPECT_TRUE(at::equal(weights.at("decoder.final_layernorm.weight").data.detach(), at::ones({spec.hidden})));
}

TEST(Weights, TensorParallelSharesTileTheWhole) {
  const spec::ModelSpec spec = toy_spec({.heads = 8, .groups = 4, .ffn = 24, .vocab = 96, .qkv_bias = true});
  Weights full(spec, {}, {}, {}, false);
  full.init_random(spec, 5);
  const spec::Layout layout{.tp = 2, .pp = 2};
  std::map<std::string, int> seen;
  for (int rank = 0; rank < 4; ++rank) {
    const spec::Coords coords = spec::coords_of(layout, rank);
    Weights share(spec, layout, coords, {}, false);
    share.init_random(spec, 5);
    for (const Weight& w : share.all()) {
      at::Tensor view = full.at(w.param.name).data.view(w.param.view);
      for (size_t axis = 0; axis < w.param.view.size(); ++axis) {
        view = view.slice(static_cast<int64_t>(axis), w.box.lo[axis], w.box.hi[axis]);
      }
      EXPECT_TRUE(at::equal(w.data.flatten(), view.flatten())) << w.param.name << " on rank " << rank;
      ++seen[w.param.name];
    }
  }
  for (const Weight& w : full.all()) EXPECT_EQ(seen[w.param.name], 2) << w.param.name;
}

}  // namespace
}  // namespace rialto::model
