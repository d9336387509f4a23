// Activations: fast bodies against plain references, references against recorded formulas, and values far out.
#include "rialto/kernels/activation.h"

#include "compare.h"
#include "rialto/base/error.h"

namespace rialto::kernels {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

struct Named {
  const char* name;
  Activation activation;
};
class EveryActivation : public testing::TestWithParam<Named> {};

TEST_P(EveryActivation, EqualsReference) {
  const Activation& activation = GetParam().activation;
  at::manual_seed(3);
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const int64_t width : {5, 8, 43}) {
      const at::Tensor x = random({37, activation.gated ? 2 * width : width}, type) * 4, dy = random({37, width}, type);
      expect_close(cpu::activation_forward(x, activation), ref::activation_forward(x, activation), tolerance_of(type));
      expect_close(cpu::activation_backward(dy, x, activation), ref::activation_backward(dy, x, activation),
                   tolerance_of(type));
    }
  }
}

/// The formula as transformers writes it, recorded.
at::Tensor formula(const at::Tensor& x, const Activation& activation) {
  const auto act = [&](const at::Tensor& v) -> at::Tensor {
    switch (activation.kind) {
      case ActivationKind::kSilu:
        return at::silu(v);
      case ActivationKind::kGeluTanh:
        return at::gelu(v, "tanh");
      case ActivationKind::kRelu2:
        return at::relu(v).square();
      case ActivationKind::kGptOss:
        return v * at::sigmoid(v * 1.702);
    }
    return {};
  };
  if (!activation.gated) return act(x);
  const auto parts = x.chunk(2, -1);
  const at::Tensor gate = parts[0].clamp_max(activation.clamp),
                   up = parts[1].clamp(-activation.clamp, activation.clamp);
  return act(gate) * (activation.kind == ActivationKind::kGptOss ? up + 1 : up);
}

TEST_P(EveryActivation, EqualsTheRecordedFormula) {
  const Activation& activation = GetParam().activation;
  at::manual_seed(4);
  const at::Tensor x = (at::randn({11, 14}, at::kDouble) * 4).set_requires_grad(true), copy = x.detach().clone();
  const at::Tensor y = formula(x, activation), g = at::randn(y.sizes(), at::kDouble);
  y.backward(g);
  expect_close(activation_forward(copy, activation), y.detach(), 1e-12, "y");
  expect_close(activation_backward(g, copy, activation), x.grad(), 1e-12, "dx");
}

TEST_P(EveryActivation, FarOutValuesStayFinite) {
  const Activation& activation = GetParam().activation;
  const at::Tensor x = at::tensor({-1e4F, -100.0F, -88.0F, 0.0F, 88.0F, 1e4F, 1.0F, 2.0F}).repeat({2}).view({1, 16});
  const at::Tensor dy = at::ones({1, activation.gated ? 8 : 16});
  expect_close(cpu::activation_forward(x, activation), ref::activation_forward(x, activation), 1e-6);
  expect_close(cpu::activation_backward(dy, x, activation), ref::activation_backward(dy, x, activation), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryActivation,
                         testing::Values(Named{"swiglu", {}}, Named{"swiglu_clamped", {.clamp = 2.5}},
                                         Named{"geglu", {.kind = ActivationKind::kGeluTanh}},
                                         Named{"geglu_clamped", {.kind = ActivationKind::kGeluTanh, .clamp = 2.5}},
                                         Named{"relu2_gated", {.kind = ActivationKind::kRelu2}},
                                         Named{"gpt_oss", {.kind = ActivationKind::kGptOss, .clamp = 7}},
                                         Named{"gpt_oss_unclamped", {.kind = ActivationKind::kGptOss, .clamp = kNone}},
                                         Named{"silu", {.gated = false}},
                                         Named{"gelu", {.kind = ActivationKind::kGeluTanh, .gated = false}},
                                         Named{"relu2", {.kind = ActivationKind::kRelu2, .gated = false}}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(ActivationKinds, AGateIsDemanded) {
  const at::Tensor x = random({2, 4});
  EXPECT_THROW(activation_forward(x, {.kind = ActivationKind::kGptOss, .gated = false}), Error);
  EXPECT_THROW(activation_forward(x, {.gated = false, .clamp = 7}), Error);
}

}  // namespace
}  // namespace rialto::kernels
