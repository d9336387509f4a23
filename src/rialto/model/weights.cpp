// Lays the weights out in flat buffers and gives them initial values.
#include "rialto/model/weights.h"

#include <ATen/Functions.h>

#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/random.h"

namespace rialto::model {
namespace {

constexpr int64_t kAlign = 64;  // elements: a cache line or more in every dtype, and whole vectors

/// `size` such that ranks that hold the same each own an equal share, and 128 elements of it at least, as in Megatron.
int64_t shared_out(int64_t size, int64_t ranks) {
  const int64_t multiple = ranks == 1 ? kAlign : std::lcm<int64_t>(ranks, 128);
  return (size + multiple - 1) / multiple * multiple;
}

int64_t aligned(int64_t size) { return (size + kAlign - 1) / kAlign * kAlign; }

/// Shape in memory of `box`: each dim of the logical shape is the product of a run of the view's axes, each as long as
/// the box.
Shape memory_shape(const spec::Param& param, const spec::Extent& box) {
  const Shape sizes = box.sizes();
  Shape shape;
  size_t axis = 0;
  for (const int64_t dim : param.shape) {
    int64_t whole = 1, part = 1;
    while (axis < param.view.size() && (whole < dim || (whole == dim && param.view[axis] == 1))) {
      whole *= param.view[axis];
      part *= sizes[axis++];
    }
    if (whole != dim) {
      throw Error(ErrorKind::kInternal, param.name, "the factored view does not refine the shape",
                  {.got = to_text(param.view), .want = to_text(param.shape), .hint = {}});
    }
    shape.push_back(part);
  }
  return shape;
}

/// Calls run(logical element index, memory index, count) for each contiguous run of `box` in the view.
template <class Run>
void for_each_run(const spec::Param& param, const spec::Extent& box, const Run& run) {
  const Shape sizes = box.sizes();
  const size_t rank = sizes.size();
  if (rank == 0) return run(int64_t{0}, int64_t{0}, int64_t{1});
  Shape at(rank, 0);
  int64_t memory = 0;
  const int64_t inner = sizes[rank - 1];
  const int64_t total = num_elements(sizes);
  while (memory < total) {
    int64_t logical = 0;
    for (size_t i = 0; i < rank; ++i) logical = logical * param.view[i] + box.lo[i] + at[i];
    run(logical, memory, inner);
    memory += inner;
    for (size_t i = rank - 1; i-- > 0;) {
      if (++at[i] < sizes[i]) break;
      at[i] = 0;
    }
  }
}

}  // namespace

Weights::Weights(const spec::ModelSpec& model, const spec::Layout& layout, const spec::Coords& coords,
                 const Context& context, bool training)
    : context_(context) {
  for (const spec::Param& param : spec::param_table(model, layout)) {
    const auto box = spec::rank_box(param, model, layout, coords);
    if (!box) continue;
    if (param.pinned_dtype && !param.buffer) {
      throw Error(ErrorKind::kConfig, param.name, "this version trains no parameters of a dtype of their own");
    }
    Weight weight{.param = param, .box = *box, .size = num_elements(box->sizes()), .data = {}, .main_grad = {}};
    weight.frozen = !training || param.buffer;
    const int ranks = param.expert_sharded ? layout.etp : layout.tp;
    weight.tp_split = param.tp_axis && ranks > 1;
    const int copies = !weight.tp_split ? ranks : param.by_key_head ? layout.key_copies : 1;
    weight.is_first = (param.expert_sharded ? spec::expert_coords_of(layout, coords).etp : coords.tp) % copies == 0;
    weight.on_both_ends = layout.pp > 1 && spec::stages_of(param, model, layout).size() > 1;
    weight.is_copy = weight.on_both_ends && coords.pp != 0;
    index_[param.name] = weights_.size();
    weights_.push_back(std::move(weight));
  }
  const auto place = [&](bool experts) {
    for (Weight& weight : weights_) {
      if (weight.param.buffer || weight.param.expert_sharded != experts) continue;
      weight.offset = flat_size_;
      flat_size_ += aligned(weight.size);
    }
  };
  place(false);
  experts_begin_ = flat_size_ = shared_out(flat_size_, int64_t{layout.dp} * layout.cp);
  place(true);
  flat_size_ = experts_begin_ + shared_out(flat_size_ - experts_begin_, layout.edp());
  const at::AutoDispatchBelowADInplaceOrView below;  // plain aliases of the flat buffers, each a leaf of its own
  const auto options = at::TensorOptions().device(context.device);
  flat_data_ = at::zeros({flat_size_}, options.dtype(context.dtype));
  if (training)
    flat_grad_ = at::zeros({flat_size_}, options.dtype(context.dtype == at::kDouble ? at::kDouble : at::kFloat));
  for (Weight& weight : weights_) {
    const Shape shape = memory_shape(weight.param, weight.box);
    if (weight.param.buffer) {
      weight.data = at::zeros(shape, options.dtype(dtype_of(weight.param)));
      continue;
    }
    weight.data = flat_data_.narrow(0, weight.offset, weight.size).view(shape);
    if (training) weight.main_grad = flat_grad_.narrow(0, weight.offset, weight.size).view(shape);
    weight.data.set_requires_grad(!weight.frozen);
  }
}

at::ScalarType Weights::dtype_of(const spec::Param& param) const {
  const bool keeps_fp32 = param.pinned_dtype == DType::kF32 && context_.dtype != at::kDouble;
  return keeps_fp32 ? at::kFloat : context_.dtype;
}

const Weight& Weights::at(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) {
    std::vector<std::string> known;
    for (const auto& entry : index_) known.push_back(entry.first);
    const std::string near = nearest(name, known);
    throw Error(ErrorKind::kInternal, "weights", fmt::format("no parameter '{}' on this rank", name),
                {.got = {}, .want = {}, .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)});
  }
  return weights_[found->second];
}

Weight& Weights::at(const std::string& name) { return const_cast<Weight&>(std::as_const(*this).at(name)); }

bool Weights::has(const std::string& name) const { return index_.contains(name); }

void Weights::set_frozen(const std::string& name, bool frozen) {
  Weight& weight = at(name);
  if (!frozen && !weight.main_grad.defined()) {
    throw Error(ErrorKind::kConfig, name,
                weight.param.buffer ? "cannot be trained: it is a buffer"
                                    : "cannot be trained: these weights were made for inference");
  }
  weight.frozen = frozen;
  weight.data.set_requires_grad(!frozen);
}

void Weights::zero_grad() {
  if (flat_grad_.defined()) flat_grad_.zero_();
}

void Weights::init_random(const spec::ModelSpec& model, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const double residual_std = model.init_std / std::sqrt(2.0 * static_cast<double>(model.layers.size()));
  for (Weight& weight : weights_) {
    if (weight.param.init == spec::Init::kOnes || weight.param.init == spec::Init::kZeros) {
      weight.data.fill_(weight.param.init == spec::Init::kOnes ? 1 : 0);
      continue;
    }
    const double std = weight.param.init == spec::Init::kResidual ? residual_std : model.init_std;
    const RandomStream stream(seed, "init/" + weight.param.name);
    at::Tensor values = at::empty(weight.data.sizes(), at::kFloat);
    float* out = values.data_ptr<float>();
    for_each_run(weight.param, weight.box, [&](int64_t logical, int64_t memory, int64_t count) {
      stream.fill_normal(std::span(out + memory, static_cast<size_t>(count)), static_cast<uint64_t>(logical), 0.0, std);
    });
    weight.data.copy_(values);
  }
}

}  // namespace rialto::model
