// Inverse frequencies, their scaling, and the table of angles.
#include "rialto/model/rope.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <numbers>

namespace rialto::model {
namespace {

at::Tensor scaled(const at::Tensor& inverse, std::monostate) { return inverse; }

at::Tensor scaled(const at::Tensor& inverse, const spec::LinearScaling& scaling) { return inverse / scaling.factor; }

at::Tensor scaled(const at::Tensor& inverse, const spec::Llama3Scaling& scaling) {
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

}  // namespace

at::Tensor inverse_frequencies(const spec::Rope& rope) {
  const at::Tensor exponent = at::arange(0, rope.dim, 2, at::kLong).to(at::kFloat) / static_cast<double>(rope.dim);
  const at::Tensor inverse = 1.0 / at::pow(at::Scalar(rope.base), exponent);
  return std::visit([&](const auto& scaling) { return scaled(inverse, scaling); }, rope.scaling);
}

kernels::RopeTable rope_table(const spec::Rope& rope, const at::Tensor& positions_T) {
  const at::NoGradGuard no_grad;
  const at::Tensor inverse = inverse_frequencies(rope).to(positions_T.device());
  const at::Tensor angles = positions_T.to(at::kFloat).unsqueeze(1) * inverse.unsqueeze(0);
  return {at::cos(angles), at::sin(angles)};
}

}  // namespace rialto::model
