// The ways of context parallelism, and what they exchange. R: ranks of an axis; the other letters as in functions.h.
#include "rialto/model/attention/context_parallel.h"

#include <ATen/Functions.h>

#include "rialto/model/attention/ring.h"
#include "rialto/model/recompute.h"

namespace rialto::model {
namespace {

using Tensors = std::vector<at::Tensor>;

/// Of each rank [R,B,S,N,D] -> [B,R*S,N,D] in the order of the sequence: rank r has chunk r and, from the end, chunk r
/// (pass.h, context_places).
at::Tensor in_order(const at::Tensor& x_RBSND) {
  const at::Tensor halves = x_RBSND.unflatten(2, {2, x_RBSND.size(2) / 2});
  const at::Tensor chunks = at::cat({halves.select(2, 0), halves.select(2, 1).flip(0)}, 0);
  return chunks.transpose(0, 1).flatten(1, 2).contiguous();
}

/// The way back: [B,R*S,N,D] -> [R,B,S,N,D].
at::Tensor by_rank(const at::Tensor& x_BSND, int64_t ranks) {
  const at::Tensor chunks = x_BSND.unflatten(1, {2 * ranks, x_BSND.size(1) / (2 * ranks)}).transpose(0, 1);
  return at::stack({chunks.narrow(0, 0, ranks), chunks.narrow(0, ranks, ranks).flip(0)}, 2).flatten(2, 3);
}

/// [B,S,N,D] -> [R,B,S,N/R,D], and back.
at::Tensor by_head(const at::Tensor& x_BSND, int64_t ranks) {
  return x_BSND.unflatten(2, {ranks, x_BSND.size(2) / ranks}).permute({2, 0, 1, 3, 4});
}
at::Tensor all_heads(const at::Tensor& x_RBSND) { return x_RBSND.permute({1, 2, 0, 3, 4}).flatten(2, 3).contiguous(); }

/// Part r of each tensor [R,...] to rank r, all in one message.
Tensors swapped(const Tensors& x, const comm::Mesh& mesh, comm::Axis axis) {
  Tensors lines, out;
  for (const at::Tensor& part : x) lines.push_back(part.reshape({part.size(0), -1}));
  const at::Tensor got = comm::all_to_all(at::cat(lines, 1), mesh, axis);
  int64_t at = 0;
  for (const at::Tensor& part : x) {
    const int64_t width = part.numel() / part.size(0);
    out.push_back(got.narrow(1, at, width).reshape(part.sizes()));
    at += width;
  }
  return out;
}

Tensors tokens_for_heads(Tensors x, const comm::Mesh& mesh, comm::Axis axis) {
  for (at::Tensor& one : x) one = by_head(one, mesh.size(axis));
  x = swapped(x, mesh, axis);
  for (at::Tensor& one : x) one = in_order(one);
  return x;
}

Tensors heads_for_tokens(Tensors x, const comm::Mesh& mesh, comm::Axis axis) {
  for (at::Tensor& one : x) one = by_rank(one, mesh.size(axis));
  x = swapped(x, mesh, axis);
  for (at::Tensor& one : x) one = all_heads(one);
  return x;
}

using Way = Tensors (*)(Tensors, const comm::Mesh&, comm::Axis);

Tensors there_and_back(const Recorder& recorder, const Tensors& x, const comm::Mesh& mesh, comm::Axis axis, Way there,
                       Way back, const char* name) {
  Tape tape(recorder, x);
  const Tensors y = there(x, mesh, axis);
  std::vector<std::vector<int64_t>> shapes;
  for (const at::Tensor& one : y) shapes.push_back(one.sizes().vec());
  tape.record(
      y,
      [&mesh, axis, back, shapes, options = x[0].options()](const Grads& douts, const Tensors&) -> Grads {
        Grads given = douts;
        for (size_t i = 0; i < given.size(); ++i)
          if (!given[i].defined()) given[i] = at::zeros(shapes[i], options);
        return back(given, mesh, axis);
      },
      name);
  return y;
}

at::Tensor gathered(const at::Tensor& x_BKGD, const comm::Mesh& mesh) {
  return in_order(comm::all_gather(x_BKGD, mesh, comm::Axis::kCp).unflatten(0, {-1, x_BKGD.size(0)}));
}

/// Keys and values of all ranks are gathered; this rank keeps its own, and gathers again in the backward pass.
at::Tensor over_gathered(const Recorder& recorder, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         Pass& pass, std::optional<int64_t> window, Scores scores, const comm::Mesh& mesh) {
  const at::Tensor all_k = whole_sequence(k, mesh), all_v = whole_sequence(v, mesh);
  const auto again = [&mesh](const at::Tensor& own) { return gathered(own, mesh); };
  const Remade keys(recorder, all_k, k, again), values(keys.recorder(), all_v, v, again);
  scores.places.query_S = pass.places(pass.part());
  scores.places.queries = all_k.size(1);
  return attention(values.recorder(), q, all_k, all_v, pass.range(window), scores);
}

}  // namespace

Tensors to_heads(const Recorder& recorder, const Tensors& x, const comm::Mesh& mesh, comm::Axis axis) {
  return there_and_back(recorder, x, mesh, axis, tokens_for_heads, heads_for_tokens, "to_heads");
}

at::Tensor to_tokens(const Recorder& recorder, const at::Tensor& x, const comm::Mesh& mesh, comm::Axis axis) {
  return there_and_back(recorder, {x}, mesh, axis, heads_for_tokens, tokens_for_heads, "to_tokens")[0];
}

at::Tensor whole_sequence(const at::Tensor& x_BKGD, const comm::Mesh& mesh) {
  return in_order(comm::gather_from(x_BKGD, mesh, comm::Axis::kCp).unflatten(0, {-1, x_BKGD.size(0)}));
}

at::Tensor context_attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BSGD,
                             const at::Tensor& v_BSGV, Pass& pass, std::optional<int64_t> window, const Scores& given,
                             const comm::Mesh& mesh, spec::ContextWay way) {
  using enum spec::ContextWay;
  Scores scores = given;
  scores.places.first_head = mesh.index(comm::Axis::kTp) * q_BSND.size(2);
  if (mesh.size(comm::Axis::kCp) == 1) return attention(recorder, q_BSND, k_BSGD, v_BSGV, pass.range(window), scores);
  if (way == kGather) return over_gathered(recorder, q_BSND, k_BSGD, v_BSGV, pass, window, scores, mesh);
  const auto heads = way == kHeads ? comm::Axis::kCp : comm::Axis::kCpInner;
  const auto ring = way == kRing ? comm::Axis::kCp : comm::Axis::kCpOuter;
  const bool exchanges = way != kRing && mesh.size(heads) > 1, rounds = way != kHeads && mesh.size(ring) > 1;
  Tensors in{q_BSND, k_BSGD, v_BSGV};
  if (exchanges) {
    in = to_heads(recorder, in, mesh, heads);
    scores.first_sink = mesh.index(heads) * in[0].size(2);
    scores.places.first_head += scores.first_sink;
  }
  // What ranks have that exchanged their heads is again a chunk and its counterpart from the end, of fewer parts.
  const Part part = rounds ? Part{mesh.index(ring), mesh.size(ring)} : Part{};
  const at::Tensor out =
      rounds ? ring_attention(recorder, in[0], in[1], in[2], pass.ring(window, part), scores, mesh.group(ring))
             : attention(recorder, in[0], in[1], in[2], pass.range(window, part), scores);
  if (!exchanges) return out;
  const at::Tensor own = to_tokens(recorder, out.view({in[0].size(0), in[0].size(1), in[0].size(2), -1}), mesh, heads);
  return own.view({own.size(0) * own.size(1), -1});
}

}  // namespace rialto::model
