// One depth of multi-token prediction.
#include "rialto/model/mtp.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/model/recompute.h"

namespace rialto::model {

Batch shifted(const Batch& batch, int64_t m) {
  const int64_t rows = batch.tokens_BS.size(0), length = batch.tokens_BS.size(1),
                left = std::max<int64_t>(0, length - m);
  at::Tensor there = at::zeros(batch.tokens_BS.sizes(), batch.tokens_BS.options().dtype(at::kBool));
  at::Tensor inside = there.narrow(1, 0, left);
  if (batch.documents_BS.defined()) {
    inside.copy_(batch.documents_BS.narrow(1, length - left, left) == batch.documents_BS.narrow(1, 0, left));
  } else {
    inside.fill_(true);
  }
  const auto move = [&](const at::Tensor& x) {
    at::Tensor out = at::zeros({rows, length}, x.options());
    out.narrow(1, 0, left).copy_(x.narrow(1, length - left, left));
    return out.masked_fill_(there.logical_not(), 0);
  };
  Batch next = batch;
  next.tokens_BS = move(batch.tokens_BS);
  next.labels_BS = move(batch.labels_BS);
  next.loss_weights_BS = move(batch.loss_weights_BS);
  return next;
}

MtpBlock::MtpBlock(const spec::MtpBlock& spec, const Parts& parts)
    : mesh_(parts.mesh),
      embedding_norm_(parts.norm("enorm.weight", spec.embedding_norm)),
      hidden_norm_(parts.norm("hnorm.weight", spec.hidden_norm)),
      final_norm_(parts.norm("final_layernorm.weight", spec.final_norm)),
      layer_(spec.layer, Parts{parts.weights, parts.mesh, parts.prefix + "transformer_layer.", parts.recipes}) {
  projection_ = parts.linear("eh_proj.weight");
}

at::Tensor MtpBlock::forward(const Recorder& recorder, const at::Tensor& embedded_TH, const at::Tensor& hidden_TH,
                             const std::shared_ptr<Pass>& pass, Routing* routing) const {
  const at::Tensor both = at::cat(
      {add_norm(recorder, embedded_TH, {}, embedding_norm_).y, add_norm(recorder, hidden_TH, {}, hidden_norm_).y}, -1);
  const Entered in(recorder, both, mesh_);
  Stream stream{.x = comm::columns_out_of_tp(linear(in.recorder(), in.x(), projection_), mesh_), .delta = {}};
  // Megatron computes the depths again when all layers are: not with the block method.
  if (recorder.plan && recorder.plan->uniform_layers > 0)
    stream = run_layers(recorder, stream, std::span(&layer_, 1), pass, routing);
  else
    layer_.forward(recorder, stream, *pass, nullptr, routing);
  return add_norm(recorder, stream.x, stream.delta, final_norm_).y;
}

}  // namespace rialto::model
