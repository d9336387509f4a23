// Ring attention: what travels, the merge of partial softmaxes, and both passes.
#include "rialto/model/attention/ring.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/attention_merge.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::model {
namespace {

/// Keys and values, or their gradients, on their way from rank to rank: one message a step.
class Travelling {
 public:
  enum Tag { kValues = 0, kGradients = 1 };

  Travelling(const at::Tensor& k, const at::Tensor& v, comm::Group& ranks, Tag tag)
      : k_shape_(k.sizes().vec()),
        v_shape_(v.sizes().vec()),
        held_(at::cat({k.reshape({-1}), v.reshape({-1})})),
        ranks_(ranks),
        tag_(tag) {}
  at::Tensor k() const { return held_.narrow(0, 0, c10::multiply_integers(k_shape_)).view(k_shape_); }
  at::Tensor v() const {
    const int64_t size = c10::multiply_integers(v_shape_);
    return held_.narrow(0, held_.numel() - size, size).view(v_shape_);
  }
  /// Starts sending what is here on and receiving what comes next.
  void move() {
    next_ = at::empty_like(held_);
    const int size = ranks_.size(), rank = ranks_.rank();
    pending_ = ranks_.exchange(held_, (rank + 1) % size, next_, (rank + size - 1) % size, tag_,
                               tag_ == kValues ? "keys and values" : "gradients of keys and values");
  }
  void arrive() {
    pending_->wait();
    pending_.reset();
    held_ = std::move(next_);
  }

 private:
  std::vector<int64_t> k_shape_, v_shape_;
  at::Tensor held_, next_;
  comm::Group& ranks_;
  Tag tag_;
  std::unique_ptr<comm::Pending> pending_;
};

/// The sink is in the sum of the first step; places matter to dropout alone.
kernels::Scoring scoring_of(const kernels::Scoring& all, const RingStep& step, bool first) {
  kernels::Scoring scoring = all;
  if (!first) scoring.sinks_N = at::Tensor();
  scoring.places = step.places;
  scoring.places.first_head = all.places.first_head;
  return scoring;
}

kernels::AttentionOutput forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Ring& ring,
                                 const kernels::Scoring& scoring, comm::Group& ranks) {
  Travelling keys(k, v, ranks, Travelling::kValues);
  kernels::AttentionOutput all;
  for (size_t t = 0; t < ring.size(); ++t) {
    const RingStep& step = ring[t];
    const bool last = t + 1 == ring.size();
    if (!last) keys.move();
    if (step.queries > 0) {
      kernels::AttentionOutput part = kernels::attention_forward(
          q.narrow(1, step.first_query, step.queries), keys.k().narrow(1, step.first_key, step.keys),
          keys.v().narrow(1, step.first_key, step.keys), step.range, scoring_of(scoring, step, t == 0));
      if (t == 0)
        all = {part.out_BSNV.to(kernels::wide_type(q)), part.lse_BNS};
      else
        kernels::attention_merge(all, part, step.first_query);
    }
    if (!last) keys.arrive();
  }
  return {all.out_BSNV.to(q.scalar_type()), all.lse_BNS};
}

kernels::AttentionGrads backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const kernels::AttentionOutput& all, const Ring& ring, const kernels::Scoring& scoring,
                                 comm::Group& ranks) {
  Travelling keys(k, v, ranks, Travelling::kValues);
  Travelling gradients(at::zeros_like(k), at::zeros_like(v), ranks, Travelling::kGradients);
  at::Tensor dq = at::zeros(q.sizes(), q.options().dtype(kernels::wide_type(q))), dsinks;
  for (size_t t = 0; t < ring.size(); ++t) {
    const RingStep& step = ring[t];
    const bool last = t + 1 == ring.size();
    if (!last) keys.move();
    kernels::AttentionGrads part;
    if (step.queries > 0) {
      const auto queries = [&](const at::Tensor& x) { return x.narrow(1, step.first_query, step.queries); };
      const at::Tensor lse = all.lse_BNS.narrow(2, step.first_query, step.queries).contiguous();
      part = kernels::attention_backward(queries(dout), queries(q), keys.k().narrow(1, step.first_key, step.keys),
                                         keys.v().narrow(1, step.first_key, step.keys), {queries(all.out_BSNV), lse},
                                         step.range, scoring_of(scoring, step, t == 0));
      queries(dq).add_(part.dq_BSND);
      if (t == 0) dsinks = part.dsinks_N;
    }
    if (t > 0) gradients.arrive();
    if (step.queries > 0) {
      gradients.k().narrow(1, step.first_key, step.keys).add_(part.dk_BKGD);
      gradients.v().narrow(1, step.first_key, step.keys).add_(part.dv_BKGV);
    }
    gradients.move();
    if (!last) keys.arrive();
  }
  gradients.arrive();
  return {dq.to(q.scalar_type()), gradients.k(), gradients.v(), dsinks};
}

at::Tensor run(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BSGD, const at::Tensor& v_BSGV,
               const Ring& ring, const Scores& scores, comm::Group& ranks) {
  Tape tape(recorder, {q_BSND, k_BSGD, v_BSGV, scores.sinks ? scores.sinks->data : at::Tensor()});
  const kernels::Scoring scoring = scoring_of(scores, q_BSND.size(2));
  const kernels::AttentionOutput out = forward(q_BSND, k_BSGD, v_BSGV, ring, scoring, ranks);
  const at::Tensor y = out.out_BSNV.view({q_BSND.size(0) * q_BSND.size(1), q_BSND.size(2) * v_BSGV.size(3)});
  const bool want_dsinks = tape.wants(3);
  keep_attention(tape, q_BSND, k_BSGD, v_BSGV, out);
  tape.record(
      {y},
      [recorder, ring, scoring, &ranks, want_dsinks, main_grad = sink_gradient(scores, q_BSND.size(2))](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const auto g = backward(douts[0].view(kept[3].sizes()), kept[0], kept[1], kept[2], {kept[3], kept[4]}, ring,
                                scoring, ranks);
        if (want_dsinks)
          recorder.weight_gradient([main_grad, dsinks = g.dsinks_N] { main_grad.add_(dsinks.view_as(main_grad)); });
        return {g.dq_BSND, g.dk_BKGD, g.dv_BKGV, at::Tensor()};
      },
      "ring_attention");
  return y;
}

}  // namespace

at::Tensor ring_attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BSGD,
                          const at::Tensor& v_BSGV, const Ring& ring, const Scores& scores, comm::Group& ranks) {
  return as_core(recorder, q_BSND, k_BSGD, v_BSGV, [ring, scores, &ranks](const Recorder& r, const auto& in) {
    return run(r, in[0], in[1], in[2], ring, scores, ranks);
  });
}

}  // namespace rialto::model
