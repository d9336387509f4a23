// Dropout in the model: the places of Megatron, gradients against recorded operations on the same masks.
#include <fmt/format.h>

#include "leaves.h"
#include "memory_toys.h"

namespace rialto::model {
namespace {

kernels::Dropout drops(double p, const std::string& place, const std::vector<int64_t>& samples) {
  kernels::Dropout dropout{.probability = p};
  for (const int64_t sample : samples) dropout.rows.emplace_back(99, fmt::format("dropout/{}/{}", place, sample));
  return dropout;
}

/// Factors of [B, ..., last] with the last dim rounded up to a multiple of `round`.
at::Tensor factors(const at::Tensor& x, const kernels::Dropout& dropout, int64_t round) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = (shape.back() + round - 1) / round * round;
  int64_t per_sample = 1;
  for (size_t i = 1; i < shape.size(); ++i) per_sample *= shape[i];
  return kernels::ref::kept(dropout, per_sample).view(shape).narrow(-1, 0, x.size(-1)) * dropout.scale();
}

TEST(ModelDropout, GradientsEqualRecordedOperationsOnTheSameMasks) {
  for (const auto make : {sandwich, grouped_experts}) {
    const spec::ModelSpec spec = make();
    Weights weights = toy_weights(spec, at::kFloat);
    Model model(spec, weights, {}, whole(spec));
    model.set_dropout(0.2, 0.3, 99);
    Batch batch = toy_batch(spec, 2, 25);
    batch.sample_numbers = {17, 4};
    PlainModel plain(spec, weights);
    plain.set_drop([&](const at::Tensor& x, const std::string& place) {
      const bool attention = place.ends_with("core_attention");
      return x * factors(x, drops(attention ? 0.3 : 0.2, place, batch.sample_numbers), attention ? 4 : 1);
    });
    const LossSum loss = model.forward_loss(batch);
    const at::Tensor want = plain.loss(batch);
    expect_close(loss.sum, want, 1e-5, "loss");
    backward(loss, 1 / loss.weight);
    want.backward(at::scalar_tensor(1 / loss.weight, at::kDouble));
    expect_gradients(weights, plain, 1e-5);
  }
}

TEST(ModelDropout, EvaluationDropsNothing) {
  const spec::ModelSpec spec = memory_toy("dense");
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  Batch batch = toy_batch(spec, 2, 9);
  batch.sample_numbers = {1, 2};
  const at::Tensor plain = model.forward_loss(batch).sum.detach();
  model.set_dropout(0.5, 0.5, 1);
  EXPECT_FALSE(at::equal(model.forward_loss(batch).sum.detach(), plain));
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(model.forward_loss(batch).sum, plain));
}

TEST(ModelDropout, DoesNotDependOnMicroBatches) {
  for (const std::string toy : {"dense", "experts", "shared", "latent"}) {
    const spec::ModelSpec spec = memory_toy(toy);
    Weights weights = toy_weights(spec, at::kFloat);
    Model model(spec, weights, {}, whole(spec));
    model.set_dropout(0.3, 0.3, 5);
    Batch batch = toy_batch(spec, 2, 12);
    batch.sample_numbers = {40, 41};
    const double both = model.forward_loss(batch).sum.item<double>();
    double sum = 0;
    for (int64_t row = 0; row < 2; ++row) {
      Batch one{batch.tokens_BS.narrow(0, row, 1),
                batch.labels_BS.narrow(0, row, 1),
                batch.loss_weights_BS.narrow(0, row, 1),
                batch.positions_BS.narrow(0, row, 1),
                {},
                {40 + row}};
      sum += model.forward_loss(one).sum.item<double>();
    }
    EXPECT_NEAR(both, sum, 1e-5 * both) << toy;
  }
}

TEST(ModelDropout, RefusesABatchWithoutSampleNumbers) {
  const spec::ModelSpec spec = toy_spec({});
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  model.set_dropout(0.1, 0, 1);
  EXPECT_THROW(model.forward_loss(toy_batch(spec, 1, 4)), Error);
}

}  // namespace
}  // namespace rialto::model
