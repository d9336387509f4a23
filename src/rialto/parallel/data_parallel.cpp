// Reducing gradients bucket by bucket, and handing updated weights around.
#include "rialto/parallel/data_parallel.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/optim/grad_norm.h"

namespace rialto::parallel {
namespace {

using comm::parts_of_layer, comm::same_weights;
constexpr auto kTp = comm::Axis::kTp, kPp = comm::Axis::kPp;

at::Tensor part_of(const at::Tensor& flat, const Range& range) {
  return flat.narrow(0, range.begin, range.end - range.begin);
}

}  // namespace

/// Weights that tensor-parallel ranks hold in common and use for their own heads (norms of single heads, key and value
/// products of heads that several share) or tokens (with sequence parallelism what is outside of the shared parts):
/// each has a part of the gradient.
class DataParallel::TensorSums {
 public:
  TensorSums(const model::Weights& weights, const comm::Mesh& mesh) : mesh_(mesh) {
    if (mesh.size(kTp) == 1) return;
    for (const model::Weight& weight : weights.all())
      if (weight.main_grad.defined() && axis_of(weight)) weights_.push_back(&weight);
    std::ranges::stable_sort(weights_, std::greater(), [](const model::Weight* w) { return layer_of(w->param); });
  }
  /// Sums those of layers from `layer` on that were not summed yet.
  void sum_from(int64_t layer) {
    for (; next_ < weights_.size() && layer_of(weights_[next_]->param) >= layer; ++next_) {
      at::Tensor grad = weights_[next_]->main_grad;
      comm::all_reduce_sum(grad, mesh_, *axis_of(*weights_[next_]));
    }
  }
  void finish() {
    sum_from(-1);
    next_ = 0;
  }

 private:
  /// The ranks that each have a part of the gradient; none: it is complete.
  std::optional<comm::Axis> axis_of(const model::Weight& weight) const {
    const spec::Param& param = weight.param;
    if (param.expert_sharded) return {};  // reduced over the ranks that hold the same expert
    if (weight.tp_split)
      return param.by_key_head && mesh_.size(comm::Axis::kKeyCopies) > 1 ? std::optional(comm::Axis::kKeyCopies)
                                                                         : std::nullopt;
    if (param.tensor_parallel_sum || (mesh_.token_ranks() > 1 && param.sequence_parallel_sum)) return kTp;
    return {};
  }
  const comm::Mesh& mesh_;
  std::vector<const model::Weight*> weights_;
  size_t next_ = 0;
};

/// Starts reductions strictly in the order of buckets, so that all ranks start the same ones in the same order.
class DataParallel::Reducer final : public model::GradWatch {
 public:
  Reducer(const DataParallel& owner, at::Tensor flat_grad) : owner_(owner), flat_grad_(std::move(flat_grad)) {}

  void arm() { armed_ = true; }

  void done_from(int64_t layer) override {
    if (!armed_) return;
    owner_.tensor_sums_->sum_from(layer);
    while (next_ < owner_.buckets_.size() && owner_.buckets_[next_].first_layer >= layer) start_next();
  }

  void finish() {
    while (next_ < owner_.buckets_.size()) start_next();
    next_ = 0;
    armed_ = false;
    // Not thrown where it is found: inside a backward pass.
    if (const auto bad = std::exchange(not_finite_, std::nullopt)) {
      throw Error(
          ErrorKind::kInternal,
          fmt::format("rank {} of {}", owner_.mesh_.index(comm::Axis::kDpCp), owner_.mesh_.size(comm::Axis::kDpCp)),
          fmt::format("gradient bucket {} is not finite before its reduction", *bad),
          {.hint = "ddp.check_for_nan_in_grad=false leaves it to the gradient's norm"});
    }
    for (auto& pending : std::exchange(pending_, {})) pending->wait();
  }

 private:
  void start_next() {
    const size_t number = next_++;
    const Bucket& bucket = owner_.buckets_[number];
    const at::Tensor whole = part_of(flat_grad_, {bucket.begin, bucket.end});
    if (owner_.options_.check_for_nan_in_grad && !not_finite_ && !std::isfinite(optim::norm_of(whole)))
      not_finite_ = number;
    if (owner_.mesh_.size(same_weights(bucket.experts)) == 1) return;
    comm::Group& group = owner_.mesh_.group(same_weights(bucket.experts));
    const int ranks = owner_.mesh_.size(comm::Axis::kDpCp);
    if (owner_.options_.average_in_collective && group.size() != ranks)  // gradients were scaled up by `ranks`
      part_of(flat_grad_, {bucket.begin, bucket.end}).mul_(static_cast<double>(group.size()) / ranks);
    const comm::Reduce op = owner_.options_.average_in_collective ? comm::Reduce::kAverage : comm::Reduce::kSum;
    std::string what = fmt::format("the reduction of gradient bucket {}", number);
    if (owner_.options_.shard_optimizer) {
      const at::Tensor part = part_of(flat_grad_, owner_.own(bucket));
      pending_.push_back(group.reduce_scatter(part, whole, op, std::move(what)));
    } else {
      pending_.push_back(group.all_reduce(whole, op, std::move(what)));
    }
  }

  const DataParallel& owner_;
  at::Tensor flat_grad_;
  bool armed_ = false;
  size_t next_ = 0;
  std::optional<size_t> not_finite_;
  std::vector<std::unique_ptr<comm::Pending>> pending_;
};

DataParallel::DataParallel(model::Weights& weights, const comm::Mesh& mesh, const Options& options)
    : weights_(weights), mesh_(mesh), options_(options), tensor_sums_(std::make_unique<TensorSums>(weights, mesh_)) {
  const int ranks = mesh.size(same_weights(false)), expert_ranks = mesh.size(same_weights(true));
  buckets_ = plan_buckets(weights, options.bucket_size, ranks, expert_ranks);
  if (std::ranges::any_of(buckets_, [&](const Bucket& b) { return (b.experts ? expert_ranks : ranks) > 1; }))
    reducer_ = std::make_unique<Reducer>(*this, weights.flat_grad());
}

DataParallel::~DataParallel() = default;

Range DataParallel::own(const Bucket& bucket) const {
  const comm::Axis axis = same_weights(bucket.experts);
  return owned_part(bucket, mesh_.index(axis), mesh_.size(axis));
}

std::vector<Range> DataParallel::own_parts() const {
  std::vector<Range> parts;
  for (const Bucket& bucket : buckets_) parts.push_back(own(bucket));
  std::ranges::sort(parts, {}, &Range::begin);
  return parts;
}

std::optional<std::vector<Range>> DataParallel::owned() const {
  if (!reducer_ || !options_.shard_optimizer) return std::nullopt;
  return own_parts();
}

double DataParallel::loss_scale() const {
  return reducer_ && options_.average_in_collective ? static_cast<double>(mesh_.size(comm::Axis::kDpCp)) : 1;
}

model::GradWatch* DataParallel::watch() { return options_.overlap_grad_reduce ? reducer_.get() : nullptr; }

void DataParallel::expect_last_backward() {
  if (reducer_) reducer_->arm();
}

void DataParallel::reduce_gradients() {
  tensor_sums_->finish();
  sum_over_ends();
  if (reducer_) reducer_->finish();
}

void DataParallel::sum_over_ends() {
  comm::Group* ends = mesh_.ends();
  if (!ends) return;
  // Not reduced early: an embedding's gradient is complete with the last backward pass only.
  for (const model::Weight& weight : weights_.all())
    if (weight.on_both_ends && weight.main_grad.defined())
      ends->all_reduce(weight.main_grad, comm::Reduce::kSum, "the sum of the embedding's gradient")->wait();
}

double DataParallel::grad_norm() const {
  std::vector<double> total{0};
  for (const bool experts : {false, true}) {
    std::vector<double> sum{sum_of_squares(experts)};
    if (mesh_.size(parts_of_layer(experts)) > 1 || mesh_.size(kPp) > 1) {
      sum[0] -= sum_of_squares_counted_by_others(experts);
      comm::all_reduce_sum(sum, mesh_, parts_of_layer(experts));
    }
    total[0] += sum[0];
  }
  comm::all_reduce_sum(total, mesh_, kPp);
  return std::sqrt(total[0]);
}

double DataParallel::sum_of_squares_counted_by_others(bool experts) const {
  const std::vector<Range> owned = own_parts();  // as in sum_of_squares
  // Of what several ranks hold one says what all of them have: each would round it differently where it owns another
  // part.
  std::vector<double> sum{0};
  for (const model::Weight& weight : weights_.all()) {
    if ((weight.is_first && !weight.is_copy) || !weight.main_grad.defined() || weight.param.expert_sharded != experts)
      continue;
    for (const Range& range : owned) {
      const Range here = range.shared_with({weight.offset, weight.offset + weight.size});
      if (here.size() == 0) continue;
      for (const double squares : optim::squares_of_blocks(part_of(weights_.flat_grad(), here))) sum[0] += squares;
    }
  }
  comm::all_reduce_sum(sum, mesh_, same_weights(experts));
  return sum[0];
}

double DataParallel::sum_of_squares(bool experts) const {
  // Every rank sums the blocks that it owns, also where it has all gradients: so the sums do not depend on sharding.
  const comm::Axis axis = same_weights(experts);
  std::vector<double> sums;
  for (const Bucket& bucket : buckets_) {
    if (bucket.experts != experts) continue;
    for (int owner = 0; owner < mesh_.size(axis); ++owner) {
      const Range part = owned_part(bucket, owner, mesh_.size(axis));
      const int64_t count = optim::num_blocks(part.end - part.begin);
      const auto mine = owner == mesh_.index(axis) ? optim::squares_of_blocks(part_of(weights_.flat_grad(), part))
                                                   : std::vector<double>(static_cast<size_t>(count));
      sums.insert(sums.end(), mine.begin(), mine.end());
    }
  }
  comm::all_reduce_sum(sums, mesh_, axis);  // each has one rank that is not 0: exact
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

void DataParallel::sum_over_owners(std::vector<double>& values) const {
  if (!reducer_ || !options_.shard_optimizer) return;
  for (const bool experts : {false, true}) {
    std::vector<double> some;
    const auto each = [&](const auto& use) {
      for (size_t w = 0; w < values.size(); ++w)
        if (weights_.all()[w].param.expert_sharded == experts) use(values[w]);
    };
    each([&](double value) { some.push_back(value); });
    comm::all_reduce_sum(some, mesh_, same_weights(experts));
    auto next = some.begin();
    each([&](double& value) { value = *next++; });
  }
}

void DataParallel::gather_weights() {
  if (!reducer_ || !options_.shard_optimizer) return;
  // From the beginning of the model on, which is where the next forward pass starts.
  for (size_t number = buckets_.size(); number-- > 0;) {
    const Bucket& bucket = buckets_[number];
    const comm::Axis axis = same_weights(bucket.experts);
    if (mesh_.size(axis) == 1) continue;
    gathering_.push_back(mesh_.group(axis).all_gather(part_of(weights_.flat_data(), {bucket.begin, bucket.end}),
                                                      part_of(weights_.flat_data(), own(bucket)),
                                                      fmt::format("the gathering of weight bucket {}", number)));
  }
  if (!options_.overlap_param_gather) await_weights();
}

void DataParallel::await_weights() {
  for (auto& pending : std::exchange(gathering_, {})) pending->wait();
}

}  // namespace rialto::parallel
