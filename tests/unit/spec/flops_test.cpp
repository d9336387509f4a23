// Counts checked by hand, and against published throughput.
#include "rialto/spec/flops.h"

#include <gtest/gtest.h>

#include "tests/unit/spec/toy_models.h"

namespace rialto::spec {
namespace {

constexpr double kLayerMatrices = 64 * 24 + 24 * 32 + 40 * 24 + 24 * 20;  // qkv, proj, fc1, fc2 of the toy
constexpr double kHead = 50 * 24;

double megatron(const ModelSpec& model, double tokens, double row) { return FlopCounter(model).megatron(tokens, row); }
double exact(const ModelSpec& model, const std::vector<int64_t>& documents) {
  return FlopCounter(model).exact(documents);
}
void set_window(ModelSpec& model, int64_t window) {
  for (Layer& layer : model.layers) std::get<Attention>(layer.mixer).window = window;
}

TEST(Flops, ParametersAreCountedOnce) {
  const double norms = 4 * 2 * 24 + 24;
  EXPECT_EQ(static_cast<double>(num_parameters(test::toy_model())), 2 * kHead + 4 * kLayerMatrices + norms);
  EXPECT_EQ(static_cast<double>(num_parameters(test::toy_model({.tied = true}))), kHead + 4 * kLayerMatrices + norms);
}

TEST(Flops, MatricesHeadAndAttention) {
  const double attention =
      4 * 32.0 * 16;  // layers, width of heads, sequence length (two products, half of them masked)
  EXPECT_DOUBLE_EQ(megatron(test::toy_model(), 100, 16), 6 * 100 * (4 * kLayerMatrices + kHead + attention));
  EXPECT_DOUBLE_EQ(megatron(test::toy_model({.tied = true}), 100, 16), megatron(test::toy_model(), 100, 16));
}

TEST(Flops, ExactCountsTheDiagonal) {
  const double pairs = 16 * 17 / 2;
  EXPECT_DOUBLE_EQ(exact(test::toy_model(), {16}), 6 * (16 * (4 * kLayerMatrices + kHead) + 4 * 2 * 32 * pairs));
}

TEST(Flops, DocumentsOfARowAreCountedApart) {
  const double pairs = 10 * 11 / 2 + 6 * 7 / 2;
  EXPECT_DOUBLE_EQ(exact(test::toy_model(), {10, 6}), 6 * (16 * (4 * kLayerMatrices + kHead) + 4 * 2 * 32 * pairs));
}

TEST(Flops, WindowLimitsAttention) {
  ModelSpec model = test::toy_model();
  set_window(model, 4);
  const double matrices = 4 * kLayerMatrices + kHead, pairs = 1 + 2 + 3 + 13 * 4;
  EXPECT_DOUBLE_EQ(exact(model, {16}), 6 * (16 * matrices + 4 * 2 * 32 * pairs));
  EXPECT_DOUBLE_EQ(megatron(model, 16, 16), exact(model, {16}));  // Megatron counts a window's corner exactly
  EXPECT_DOUBLE_EQ(exact(model, {3}), exact(test::toy_model(), {3}));
}

TEST(Flops, ExpertsCountAsOftenAsChosen) {
  const ModelSpec few = test::toy_moe(1, 8), many = test::toy_moe(1, 16);
  const double router = 24;
  EXPECT_DOUBLE_EQ(exact(many, {1}) - exact(few, {1}), 6 * 8 * router);
  EXPECT_DOUBLE_EQ(megatron(many, 1, 16), megatron(few, 1, 16));  // which leaves routers out
}

TEST(Flops, SharedExpertsCountOnceAndTheirGateToo) {
  ModelSpec model = test::toy_moe(1, 8);
  const double without = exact(model, {1}), without_in_megatron = megatron(model, 1, 1);
  auto& moe = std::get<MoeFfn>(model.layers[0].ffn);
  moe.shared_hidden = 14;
  moe.shared_gate = true;
  EXPECT_DOUBLE_EQ(exact(model, {1}) - without, 6 * (3 * 14 * 24 + 24));
  EXPECT_DOUBLE_EQ(megatron(model, 1, 1) - without_in_megatron, 6 * 3 * 14 * 24);
}

TEST(Flops, FrozenWeightsHaveNoWeightGradient) {
  const ModelSpec model = test::toy_model();
  const auto head_only = [](const Param& param) { return param.stack == Stack::kHead; };
  const double attention = 4 * 2 * 32;
  EXPECT_DOUBLE_EQ(FlopCounter(model, head_only).exact(std::vector<int64_t>{1}),
                   4 * 4 * kLayerMatrices + 6 * kHead + 6 * attention);
  EXPECT_DOUBLE_EQ(FlopCounter(model, head_only).megatron(1, 16), megatron(model, 1, 16));
}

/// Published: tokens per second of one GPU, and the TFLOP/s that Megatron Bridge computes from them.
struct PublishedRow {
  const char* name;
  test::ToyOptions sizes;
  MoeFfn moe;
  double row_length, tokens_per_s, tflops_per_s;
};

TEST(Flops, PublishedRowsComeOut) {
  const MoeFfn a3b{.num_experts = 128, .expert_hidden = 768, .router = {.top_k = 8}};
  const MoeFfn a22b{.num_experts = 128, .expert_hidden = 1536, .router = {.top_k = 8}};
  const std::vector<PublishedRow> rows = {
      {"Llama 3 8B", {"", 32, 4096, 32, 8, 128, 14336, 128256}, {}, 8192, 14451, 743.8},
      {"Llama 3.1 405B", {"", 126, 16384, 128, 8, 128, 53248, 128256}, {}, 8192, 326, 822.8},
      {"Llama 3 70B, SFT", {"", 80, 8192, 64, 8, 128, 28672, 128256}, {}, 4096, 1638, 709.4},
      {"Qwen3 30B-A3B", {"", 48, 2048, 32, 4, 128, 0, 151936}, a3b, 4096, 8960, 206.1},
      {"Qwen3 235B-A22B", {"", 94, 4096, 64, 4, 128, 0, 151936}, a22b, 4096, 1712, 253.4}};
  for (const PublishedRow& row : rows) {
    ModelSpec model = test::toy_model(row.sizes);
    if (row.moe.num_experts > 0)
      for (Layer& layer : model.layers) layer.ffn = row.moe;
    EXPECT_NEAR(megatron(model, row.tokens_per_s, row.row_length) / 1e12, row.tflops_per_s, 0.06) << row.name;
  }
}

}  // namespace
}  // namespace rialto::spec
