// Norms and counts over the weights.
#include "rialto/train/norms.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

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

/// A value of each of spec::param_table, from those of this rank's weights: added over the ranks that hold parts of it;
/// of what several hold, the first one counts.
std::vector<double> over_model(const std::vector<double>& values, const spec::ModelSpec& model,
                               const model::Weights& weights, const comm::Mesh& mesh) {
  std::map<std::string, double> own;
  for (size_t w = 0; w < values.size(); ++w) {
    const model::Weight& weight = weights.all()[w];
    if (!weight.is_copy && weight.is_first) own[weight.param.name] = values[w];
  }
  const std::vector<spec::Param> params = spec::param_table(model);
  std::vector<double> whole(params.size());
  for (const bool experts : {false, true}) {
    std::vector<double> some;
    for (const spec::Param& param : params) {
      const auto found = own.find(param.name);
      if (param.expert_sharded == experts) some.push_back(found == own.end() ? 0 : found->second);
    }
    comm::all_reduce_sum(some, mesh, comm::parts_of_layer(experts));
    auto next = some.begin();
    for (size_t p = 0; p < params.size(); ++p)
      if (params[p].expert_sharded == experts) whole[p] = *next++;
  }
  comm::all_reduce_sum(whole, mesh, comm::Axis::kPp);
  return whole;
}

/// `count` of every gradient of the model, added over the parts that ranks own; 0 for frozen weights.
std::vector<double> over_gradients(const spec::ModelSpec& model, const model::Weights& weights,
                                   const parallel::DataParallel& ranks, const comm::Mesh& mesh,
                                   const std::function<double(const at::Tensor&)>& count) {
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
  return over_model(sums, model, weights, mesh);
}

double sum_of(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

}  // namespace

double weights_norm(const spec::ModelSpec& model, const model::Weights& weights, const comm::Mesh& mesh) {
  const at::NoGradGuard no_grad;
  std::vector<double> sums;
  for (const model::Weight& weight : weights.all())
    sums.push_back(weight.param.buffer ? 0 : sum_of_squares(weight.data));
  return std::sqrt(sum_of(over_model(sums, model, weights, mesh)));
}

int64_t zeros_in_gradient(const spec::ModelSpec& model, const model::Weights& weights,
                          const parallel::DataParallel& ranks, const comm::Mesh& mesh) {
  const auto zeros = [](const at::Tensor& part) {
    return static_cast<double>(part.numel() - at::count_nonzero(part).item<int64_t>());
  };
  return static_cast<int64_t>(sum_of(over_gradients(model, weights, ranks, mesh, zeros)));
}

std::map<std::string, double> gradient_norms(const spec::ModelSpec& model, const model::Weights& weights,
                                             const parallel::DataParallel& ranks, const comm::Mesh& mesh) {
  const std::vector<double> squares = over_gradients(model, weights, ranks, mesh, sum_of_squares);
  std::vector<double> trained;
  for (const model::Weight& weight : weights.all()) trained.push_back(weight.frozen ? 0 : 1);
  trained = over_model(trained, model, weights, mesh);
  const std::vector<spec::Param> params = spec::param_table(model);
  std::map<std::string, double> norms;
  for (size_t p = 0; p < params.size(); ++p)
    if (trained[p] > 0) norms["l2_norm/grad/" + params[p].name] = std::sqrt(squares[p]);
  norms["l2_norm/grad/global"] = std::sqrt(sum_of(squares));
  return norms;
}

}  // namespace rialto::train
