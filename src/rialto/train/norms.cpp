// Norms and counts over the weights.
#include "rialto/train/norms.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <functional>

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

/// Adds up what tensor-parallel ranks found in their parts of each weight; of what several hold, the first one counts.
void sum_over_parts(std::vector<double>& values, const model::Weights& weights, const comm::Mesh& mesh) {
  for (size_t w = 0; w < values.size(); ++w) {
    const model::Weight& weight = weights.all()[w];
    if (weight.is_copy || (!weight.tp_split && mesh.index(comm::Axis::kTp) != 0)) values[w] = 0;
  }
  comm::all_reduce_sum(values, mesh, comm::Axis::kTp);
}

/// `count` of every weight's gradient, added over the parts that ranks own; 0 for frozen weights.
std::vector<double> over_gradients(const model::Weights& weights, const parallel::DataParallel& ranks,
                                   const comm::Mesh& mesh, const std::function<double(const at::Tensor&)>& count) {
  const std::vector<parallel::Range> owned = ranks.owned().value_or(std::vector<parallel::Range>{{0, INT64_MAX}});
  std::vector<double> sums;
  for (const model::Weight& weight : weights.all()) {
    double& sum = sums.emplace_back(0);
    if (weight.frozen) continue;
    for (const parallel::Range& range : owned) {
      const parallel::Range part = range.shared_with({weight.offset, weight.offset + weight.size});
      if (part.size() > 0)
        sum += count(weight.main_grad.reshape(-1).narrow(0, part.begin - weight.offset, part.size()));
    }
  }
  ranks.sum_over_owners(sums);
  sum_over_parts(sums, weights, mesh);
  return sums;
}

/// Of this rank's weights, added over the stages of the pipeline.
double sum_over_stages(const std::vector<double>& values, const comm::Mesh& mesh) {
  std::vector<double> sum{0};
  for (const double value : values) sum[0] += value;
  comm::all_reduce_sum(sum, mesh, comm::Axis::kPp);
  return sum[0];
}

}  // namespace

double weights_norm(const model::Weights& weights, const comm::Mesh& mesh) {
  const at::NoGradGuard no_grad;
  std::vector<double> sums;
  for (const model::Weight& weight : weights.all())
    sums.push_back(weight.param.buffer ? 0 : sum_of_squares(weight.data));
  sum_over_parts(sums, weights, mesh);
  return std::sqrt(sum_over_stages(sums, mesh));
}

int64_t zeros_in_gradient(const model::Weights& weights, const parallel::DataParallel& ranks, const comm::Mesh& mesh) {
  const auto zeros = [](const at::Tensor& part) {
    return static_cast<double>(part.numel() - at::count_nonzero(part).item<int64_t>());
  };
  return static_cast<int64_t>(sum_over_stages(over_gradients(weights, ranks, mesh, zeros), mesh));
}

std::map<std::string, double> gradient_norms(const spec::ModelSpec& model, const model::Weights& weights,
                                             const parallel::DataParallel& ranks, const comm::Mesh& mesh) {
  const std::vector<double> own = over_gradients(weights, ranks, mesh, sum_of_squares);
  std::map<std::string, double> own_sums;
  for (size_t w = 0; w < own.size(); ++w)
    if (!weights.all()[w].frozen) own_sums[weights.all()[w].param.name] = own[w];
  const std::vector<spec::Param> params = spec::param_table(model);
  std::vector<double> values;  // of each parameter: how many stages train it, the sum
  for (const spec::Param& param : params) {
    const auto found = own_sums.find(param.name);
    values.push_back(found == own_sums.end() ? 0 : 1);
    values.push_back(found == own_sums.end() ? 0 : found->second);
  }
  comm::all_reduce_sum(values, mesh, comm::Axis::kPp);
  std::map<std::string, double> norms;
  double total = 0;
  for (size_t p = 0; p < params.size(); ++p) {
    if (values[2 * p] == 0) continue;
    norms["l2_norm/grad/" + params[p].name] = std::sqrt(values[2 * p + 1]);
    total += values[2 * p + 1];
  }
  norms["l2_norm/grad/global"] = std::sqrt(total);
  return norms;
}

}  // namespace rialto::train
