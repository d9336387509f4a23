// Parts of the model that run again in the backward pass instead of keeping what it needs. The graph of the first run
// stays; only what its Functions kept is dropped, and made again, all at once, when the first of them asks. So
// gradients are those of the plain run, bit for bit, in the same order.
#pragma once

#include "rialto/comm/mesh.h"
#include "rialto/model/tape.h"

namespace rialto::model {

/// A part as a function of its inputs. It may run after the forward pass has returned, so it holds what it needs; it
/// must compute the same every time. Recorder::replaying tells the second run.
using Body = std::function<std::vector<at::Tensor>(const Recorder& recorder, const std::vector<at::Tensor>& inputs)>;

/// Runs `body`; of all that it keeps only its inputs wait for the backward pass.
std::vector<at::Tensor> recompute(const Recorder& recorder, const std::vector<at::Tensor>& inputs, const Body& body);

/// A part whose outputs are dropped as well: what runs behind it under recorder() and keeps an output gets it from a
/// second run.
class Recomputed {
 public:
  /// Plainly unless the plan recomputes `part`.
  Recomputed(const Recorder& recorder, Module part, const std::vector<at::Tensor>& inputs, const Body& body);
  ~Recomputed();
  const Recorder& recorder() const { return recorder_; }
  const std::vector<at::Tensor>& outputs() const { return outputs_; }

 private:
  Recorder recorder_;
  std::vector<at::Tensor> outputs_;
  std::unique_ptr<SaveHook> hook_;
};

/// An output that costs little and is not kept: what runs behind under recorder() and keeps it keeps instead the tensor
/// that it was made from, which its maker keeps anyway, and makes it again, to the same bits. Always, except where
/// everything is made again, or both are one tensor.
class Remade {
 public:
  /// `make`: from -> output, without side effects. It may run after the forward pass has returned.
  using Make = std::function<at::Tensor(const at::Tensor& from)>;
  Remade(const Recorder& recorder, const at::Tensor& output, const at::Tensor& from, const Make& make);
  ~Remade();
  const Recorder& recorder() const { return recorder_; }

 private:
  Recorder recorder_;
  std::unique_ptr<SaveHook> hook_;
};

/// Hidden states on their way into what tensor-parallel ranks share: comm::into_tp. What runs behind under recorder()
/// and keeps them keeps this rank's tokens alone; they are joined again in the backward pass.
class Entered {
 public:
  Entered(const Recorder& recorder, const at::Tensor& x, const comm::Mesh& mesh);
  const at::Tensor& x() const { return x_; }
  const Recorder& recorder() const { return joined_.recorder(); }

 private:
  at::Tensor x_;
  Remade joined_;
};

}  // namespace rialto::model
