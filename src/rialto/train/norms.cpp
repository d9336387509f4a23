// Norms and counts over the weights.
#include "rialto/train/norms.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace rialto::train {
namespace {

/// In pieces, so that no fp64 copy of a large weight is made.
double sum_of_squares(const at::Tensor& tensor) {
  constexpr int64_t kPiece = int64_t{1} << 20;
  const at::Tensor flat = tensor.reshape(-1);
  double sum = 0;
  for (int64_t begin = 0; begin < flat.numel(); begin += kPiece) {
    const at::Tensor part = flat.narrow(0, begin, std::min(kPiece, flat.numel() - begin)).to(at::kDouble);
    sum += part.dot(part).item<double>();
  }
  return sum;
}

}  // namespace

double weights_norm(const model::Weights& weights) {
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (const model::Weight& weight : weights.all())
    if (!weight.param.buffer) sum += sum_of_squares(weight.data);
  return std::sqrt(sum);
}

int64_t zeros_in_gradient(const model::Weights& weights) {
  int64_t zeros = 0;
  for (const model::Weight& weight : weights.all())
    if (!weight.frozen) zeros += weight.size - at::count_nonzero(weight.main_grad).item<int64_t>();
  return zeros;
}

std::map<std::string, double> gradient_norms(const model::Weights& weights) {
  std::map<std::string, double> norms;
  double total = 0;
  for (const model::Weight& weight : weights.all()) {
    if (weight.frozen) continue;
    const double sum = sum_of_squares(weight.main_grad);
    norms["l2_norm/grad/" + weight.param.name] = std::sqrt(sum);
    total += sum;
  }
  norms["l2_norm/grad/global"] = std::sqrt(total);
  return norms;
}

}  // namespace rialto::train
