// Head and cross entropy as one Function that never holds the logits of more than a chunk of tokens.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "rialto/kernels/cross_entropy.h"
#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/soft_cap.h"
#include "rialto/model/functions.h"

namespace rialto::model {
namespace {

constexpr int64_t kLogitsPerChunk = 2 << 20;  // 8 MB of fp32: near the cache, and enough rows for a good product

/// f of every element, in fp64 on the host (kernels/dispatch.h says why not ATen's).
template <class F>
at::Tensor each(const at::Tensor& x, const F& f) {
  at::Tensor y = x.to(at::kDouble).to(at::kCPU, at::kDouble, /*non_blocking=*/false, /*copy=*/true).contiguous();
  double* value = y.data_ptr<double>();
  for (int64_t i = 0; i < y.numel(); ++i) value[i] = f(value[i]);
  return y.to(x.device(), x.scalar_type());
}

/// kernels::cross_entropy_rows when `logits` are columns from `first` on of the whole, some on each tensor-parallel
/// rank. Each ends with the same losses, and with the gradient of its columns: its own softmax, times its part of the
/// sum of all exponentials.
at::Tensor shared_cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights,
                                     int64_t first, const comm::Mesh& mesh, bool want_grad) {
  const at::Tensor unused = weights == 0, w = weights.to(logits.scalar_type());
  const at::Tensor used = at::logical_not(unused).to(logits.scalar_type());
  const at::Tensor local = labels - first;
  const at::Tensor here = at::logical_and(local >= 0, local < logits.size(1));
  const at::Tensor column_T1 = at::where(here, local, 0).unsqueeze(1);
  const at::Tensor target = logits.gather(1, column_T1).squeeze(1);
  const at::Tensor lse = target + kernels::cross_entropy_rows(logits, column_T1.squeeze(1), used, want_grad);
  at::Tensor largest = lse.clone();
  comm::all_reduce_max(largest, mesh, comm::Axis::kTp);
  at::Tensor sums = at::stack({each(lse - largest, [](double x) { return std::exp(x); }), target * here});
  comm::all_reduce_sum(sums, mesh, comm::Axis::kTp);
  const at::Tensor whole_lse = largest + each(sums[0], [](double x) { return std::log(x); });
  if (want_grad) {
    logits.scatter_add_(1, column_T1, used.unsqueeze(1));  // the softmax of its columns, before its label was taken out
    const at::Tensor share = w * used * each(lse - whole_lse, [](double x) { return std::exp(x); });
    logits.mul_(share.unsqueeze(1));
    logits.scatter_add_(1, column_T1, (w * used * here).neg().unsqueeze(1));
  }
  return (w * (whole_lse - sums[1])).masked_fill_(unused, 0);
}

int64_t rows_per_chunk(int64_t vocab) { return std::max<int64_t>(64, kLogitsPerChunk / vocab / 32 * 32); }

/// In row order and fp64, so the sum does not depend on threads.
at::Tensor ordered_sum(const at::Tensor& rows) {
  if (!rows.is_cpu() || rows.scalar_type() != at::kFloat) return rows.sum();
  const float* row = rows.const_data_ptr<float>();
  double sum = 0;
  for (int64_t i = 0; i < rows.numel(); ++i) sum += static_cast<double>(row[i]);
  return at::scalar_tensor(sum, rows.options());
}

}  // namespace

at::Tensor head_logits(const at::Tensor& x_TH, const Head& head) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = x_TH.detach();
  at::Tensor logits = kernels::gemm_forward(x, head.weight->data, {}, kernels::wide_type(x));
  if (head.softcap) kernels::soft_cap(logits, *head.softcap, /*want_slope=*/false);
  return logits;
}

at::Tensor linear_cross_entropy(const Recorder& recorder, const at::Tensor& x_TH, const Head& head,
                                const at::Tensor& labels_T, const at::Tensor& loss_weights_T, const comm::Mesh& mesh) {
  const Weight& weight = *head.weight;
  Tape tape(recorder, {x_TH, weight.data});
  const bool want_dx = tape.wants(0), want_dw = tape.wants(1);
  const int64_t tokens = x_TH.size(0),
                whole = is_part_of_vocabulary(weight) ? weight.param.shape.front() : weight.data.size(0),
                chunk = rows_per_chunk(whole);  // ranks that share a vocabulary unevenly cut alike
  const auto wide = kernels::wide_type(x_TH);
  const at::Tensor w = kernels::gemm_operand(weight.data);
  at::Tensor rows = at::empty({tokens}, x_TH.options().dtype(wide));
  at::Tensor dx, dw;
  if (want_dx) dx = at::empty(x_TH.sizes(), rows.options());
  if (want_dw) dw = at::zeros(weight.data.sizes(), rows.options());
  for (int64_t first = 0; first < tokens; first += chunk) {
    const int64_t count = std::min(chunk, tokens - first);
    const at::Tensor x = kernels::gemm_operand(x_TH.narrow(0, first, count));
    at::Tensor logits = kernels::gemm_forward(x, w, {}, wide), slope;
    if (head.softcap) slope = kernels::soft_cap(logits, *head.softcap, want_dx || want_dw);
    const at::Tensor labels = labels_T.narrow(0, first, count), weights = loss_weights_T.narrow(0, first, count);
    rows.narrow(0, first, count)
        .copy_(mesh.size(comm::Axis::kTp) == 1
                   ? kernels::cross_entropy_rows(logits, labels, weights, want_dx || want_dw)
                   : shared_cross_entropy_rows(logits, labels, weights, weight.box.lo.at(0), mesh, want_dx || want_dw));
    if (slope.defined()) logits.mul_(slope);
    const at::Tensor dlogits = want_dx || want_dw ? logits.to(w.scalar_type()) : at::Tensor();
    if (want_dx) kernels::gemm_grad_input_out(dx.narrow(0, first, count), dlogits, w);
    if (want_dw) kernels::gemm_grad_weight(dw, dlogits, x);
  }
  const at::Tensor sum = ordered_sum(rows);
  tape.keep(dx, "loss.input_grad");
  tape.keep(dw, "loss.weight_grad");
  tape.record(
      {sum},
      [recorder, main_grad = weight.main_grad, type = x_TH.scalar_type()](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor scale = douts[0];
        if (kept[1].defined()) {
          recorder.weight_gradient([main_grad, scale, dw = kept[1]] {
            if (scale.is_cpu()) {
              main_grad.add_(dw, scale.item());
            } else {
              main_grad.addcmul_(dw, scale);
            }
          });
        }
        return {kept[0].defined() ? kept[0].mul(scale).to(type) : at::Tensor(), at::Tensor()};
      },
      "linear_cross_entropy");
  return sum;
}

}  // namespace rialto::model
