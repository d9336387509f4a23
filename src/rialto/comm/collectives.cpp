// Collectives by axis name, with their transposes.
#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include "rialto/comm/mesh.h"

namespace rialto::comm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor summed(const at::Tensor& x, Group& group) {
  at::Tensor sum = x.contiguous().clone();
  group.all_reduce(sum, Reduce::kSum, "a sum")->wait();
  return sum;
}

at::Tensor joined(const at::Tensor& x, Group& group) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape[0] *= group.size();
  at::Tensor whole = at::empty(shape, x.options());
  group.all_gather(whole, x.contiguous(), "a gather")->wait();
  return whole;
}

at::Tensor own_part(const at::Tensor& x, Group& group) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape[0] /= group.size();
  at::Tensor part = at::empty(shape, x.options());
  group.reduce_scatter(part, x.contiguous(), Reduce::kSum, "a scattered sum")->wait();
  return part;
}

/// Of what every rank has whole.
at::Tensor own_rows(const at::Tensor& x, Group& group) {
  const int64_t count = x.size(0) / group.size();
  return x.narrow(0, count * group.rank(), count).contiguous();
}

at::Tensor same(const at::Tensor& x, Group&) { return x.detach(); }

using Way = at::Tensor (*)(const at::Tensor&, Group&);

/// One way forward, its transpose backward. The group is its mesh's and outlives the pass.
template <Way forward_way, Way backward_way>
struct Collective : torch::autograd::Function<Collective<forward_way, backward_way>> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, Group* group) {
    context->saved_data["group"] = reinterpret_cast<int64_t>(group);
    return forward_way(x, *group);
  }
  static variable_list backward(AutogradContext* context, const variable_list& douts) {
    auto* group = reinterpret_cast<Group*>(context->saved_data["group"].toInt());
    return {backward_way(douts[0], *group), at::Tensor()};
  }
};

template <Way forward_way, Way backward_way>
at::Tensor apply(const at::Tensor& x, const Mesh& mesh, Axis axis) {
  if (mesh.size(axis) == 1) return x;
  return Collective<forward_way, backward_way>::apply(x, &mesh.group(axis));
}

}  // namespace

at::Tensor copy_to(const at::Tensor& x, const Mesh& mesh, Axis axis) { return apply<same, summed>(x, mesh, axis); }
at::Tensor reduce_from(const at::Tensor& x, const Mesh& mesh, Axis axis) { return apply<summed, same>(x, mesh, axis); }
at::Tensor gather_from(const at::Tensor& x, const Mesh& mesh, Axis axis) {
  return apply<joined, own_part>(x, mesh, axis);
}
at::Tensor reduce_scatter_to(const at::Tensor& x, const Mesh& mesh, Axis axis) {
  return apply<own_part, joined>(x, mesh, axis);
}

at::Tensor into_tp(const at::Tensor& x, const Mesh& mesh) {
  return mesh.token_ranks() > 1 ? gather_from(x, mesh, Axis::kTp) : copy_to(x, mesh, Axis::kTp);
}
at::Tensor out_of_tp(const at::Tensor& x, const Mesh& mesh) {
  return mesh.token_ranks() > 1 ? reduce_scatter_to(x, mesh, Axis::kTp) : reduce_from(x, mesh, Axis::kTp);
}

at::Tensor columns_out_of_tp(const at::Tensor& x, const Mesh& mesh) {
  if (mesh.size(Axis::kTp) == 1) return x;
  const int parts = mesh.token_ranks();
  // Without sequence parallelism every rank goes on with all tokens and finds the same gradient.
  const at::Tensor whole =
      parts > 1 ? gather_from(x.t(), mesh, Axis::kTp).t() : apply<joined, own_rows>(x.t(), mesh, Axis::kTp).t();
  const int64_t count = x.size(0) / parts;
  return whole.narrow(0, parts > 1 ? count * mesh.index(Axis::kTp) : 0, count).contiguous();
}

at::Tensor all_gather(const at::Tensor& x, const Mesh& mesh, Axis axis) {
  return mesh.size(axis) == 1 ? x : joined(x, mesh.group(axis));
}

at::Tensor all_to_all(const at::Tensor& x, const Mesh& mesh, Axis axis) {
  if (mesh.size(axis) == 1) return x;
  const at::Tensor in = x.contiguous();
  at::Tensor out = at::empty_like(in);
  mesh.group(axis).all_to_all(out, in, {}, {}, "an exchange of parts")->wait();
  return out;
}

void all_reduce_sum(at::Tensor& x, const Mesh& mesh, Axis axis) {
  if (mesh.size(axis) > 1) mesh.group(axis).all_reduce(x, Reduce::kSum, "a sum")->wait();
}

void all_reduce_max(at::Tensor& x, const Mesh& mesh, Axis axis) {
  if (mesh.size(axis) > 1) mesh.group(axis).all_reduce(x, Reduce::kMax, "a maximum")->wait();
}

void all_reduce_sum(std::vector<double>& values, const Mesh& mesh, Axis axis) {
  if (mesh.size(axis) == 1 || values.empty()) return;
  Group& group = mesh.group(axis);
  at::Tensor sums = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), sums.data_ptr<double>());
  sums = sums.to(group.device());
  group.all_reduce(sums, Reduce::kSum, "a sum")->wait();
  sums = sums.cpu();
  std::copy_n(sums.const_data_ptr<double>(), values.size(), values.begin());
}

void all_reduce_sum(std::vector<double>& values, const Mesh& mesh) {
  for (const Axis axis : kAxes) all_reduce_sum(values, mesh, axis);
}

bool any(bool value, const Mesh& mesh) {
  std::vector<double> count{value ? 1.0 : 0.0};
  all_reduce_sum(count, mesh);
  return count[0] > 0;
}

void barrier(const Mesh& mesh, const char* what) {
  for (const Axis axis : kAxes) {
    if (mesh.size(axis) == 1) continue;
    Group& group = mesh.group(axis);
    at::Tensor one = at::ones({1}, at::TensorOptions().device(group.device()));
    group.all_reduce(one, Reduce::kSum, what)->wait();
    (void)one.cpu();  // on a GPU wait() orders streams only
  }
}

}  // namespace rialto::comm
