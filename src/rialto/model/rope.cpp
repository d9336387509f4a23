// Inverse frequencies, their scaling, and the table of angles.
#include "rialto/model/rope.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <numbers>

#include "rialto/base/error.h"

namespace rialto::model {
namespace {

/// What scaling starts from: base^(2i / dim), fp32 [dim/2], and how many positions the pass needs.
struct Powers {
  double base;
  int64_t dim, positions;
  at::Tensor values;
};

at::Tensor inverse(const Powers& powers, std::monostate) { return 1.0 / powers.values; }

at::Tensor inverse(const Powers& powers, const spec::LinearScaling& scaling) {
  return 1.0 / powers.values / scaling.factor;
}

at::Tensor inverse(const Powers& powers, const spec::Llama3Scaling& scaling) {
  const at::Tensor inverse = 1.0 / powers.values;
  const auto context = static_cast<double>(scaling.original_max_positions);
  const double low_wavelength = context / scaling.low_freq_factor, high_wavelength = context / scaling.high_freq_factor;
  const at::Tensor wavelength = 2 * std::numbers::pi / inverse;
  const at::Tensor divided = at::where(wavelength > low_wavelength, inverse / scaling.factor, inverse);
  const at::Tensor smooth =
      (context / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blend = (1 - smooth) * divided / scaling.factor + smooth * divided;
  const at::Tensor medium = at::logical_and(wavelength >= high_wavelength, wavelength <= low_wavelength);
  return at::where(medium, blend, divided);
}

/// The channel that turns `rotations` times over the original length.
double correction_dim(const Powers& powers, const spec::YarnScaling& scaling, double rotations) {
  const auto context = static_cast<double>(scaling.original_max_positions);
  return static_cast<double>(powers.dim) * std::log(context / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(powers.base));
}

at::Tensor inverse(const Powers& powers, const spec::YarnScaling& scaling) {
  double low = correction_dim(powers, scaling, scaling.beta_fast),
         high = correction_dim(powers, scaling, scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(powers.dim - 1));
  if (low == high) high += 0.001;  // the ramp must rise somewhere
  const at::Tensor ramp = at::clamp((at::arange(powers.dim / 2, at::kFloat) - low) / (high - low), 0, 1);
  const at::Tensor kept = 1 - ramp;
  return 1.0 / (scaling.factor * powers.values) * (1 - kept) + 1.0 / powers.values * kept;
}

at::Tensor inverse(const Powers& powers, const spec::LongRopeScaling& scaling) {
  const std::vector<double>& factors =
      powers.positions > scaling.original_max_positions ? scaling.long_factors : scaling.short_factors;
  if (static_cast<int64_t>(factors.size()) != powers.dim / 2) {
    throw Error(ErrorKind::kConfig, "rope", "the long-context divisors do not fit the rotated channels",
                {.got = std::to_string(factors.size()), .want = std::to_string(powers.dim / 2), .hint = {}});
  }
  const at::Tensor divisors = at::tensor(at::ArrayRef<double>(factors), at::kDouble).to(at::kFloat);
  return 1.0 / (divisors * powers.values);
}

/// What cosines and sines are multiplied by.
double amplitude(const spec::RopeScaling& scaling) {
  if (const auto* yarn = std::get_if<spec::YarnScaling>(&scaling)) return spec::attention_factor(*yarn);
  if (const auto* longer = std::get_if<spec::LongRopeScaling>(&scaling)) return longer->attention_factor;
  return 1;
}

}  // namespace

at::Tensor inverse_frequencies(const spec::Rope& rope, int64_t num_positions) {
  const at::Tensor exponent = at::arange(0, rope.dim, 2, at::kLong).to(at::kFloat) / static_cast<double>(rope.dim);
  const Powers powers{rope.base, rope.dim, num_positions, at::pow(at::Scalar(rope.base), exponent)};
  return std::visit([&](const auto& scaling) { return inverse(powers, scaling); }, rope.scaling);
}

int64_t rotation_limit(const std::vector<spec::Layer>& layers) {
  int64_t limit = INT64_MAX;
  for (const spec::Layer& layer : layers) {
    const auto& rope = std::visit([](const auto& mixer) -> const auto& { return mixer.rope; }, layer.mixer);
    if (!rope) continue;
    if (const auto* longer = std::get_if<spec::LongRopeScaling>(&rope->scaling))
      limit = std::min(limit, longer->original_max_positions);
  }
  return limit;
}

kernels::RopeTable rope_table(const spec::Rope& rope, const at::Tensor& positions_T, int64_t num_positions) {
  const at::NoGradGuard no_grad;
  // Only one scaling asks for the length, and looking at the positions waits for a device.
  const bool by_length = std::holds_alternative<spec::LongRopeScaling>(rope.scaling) && positions_T.numel() > 0;
  if (by_length) num_positions = std::max(num_positions, positions_T.max().item<int64_t>() + 1);
  const at::Tensor frequencies = inverse_frequencies(rope, num_positions).to(positions_T.device());
  return kernels::make_rope_table(positions_T, frequencies, amplitude(rope.scaling),
                                  rope.pairing == spec::RopePairing::kAdjacent);
}

}  // namespace rialto::model
