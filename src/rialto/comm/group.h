// Collectives of a group of ranks. Every rank of the group must start the same ones in the same order.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace rialto::comm {

enum class Reduce { kSum, kAverage, kMax };

/// A collective that was started. Its tensors are not to be touched before wait().
class Pending {
 public:
  virtual ~Pending() = default;
  /// Throws kComm naming this rank, its host and the operation when another rank ended or the time is up.
  virtual void wait() = 0;
};

/// What this rank has handed to one kind of operation: the largest tensor of each call (of a scattered sum or a
/// gathering the whole one; of an exchange what it sends, its own share included).
struct Volume {
  int64_t calls = 0, bytes = 0;
};

/// `what` names the operation in error messages. Tensors are contiguous and on the group's device. None has a gradient.
class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual at::Device device() const = 0;
  /// In place.
  virtual std::unique_ptr<Pending> all_reduce(at::Tensor x, Reduce op, std::string what) = 0;
  /// `whole` has size() equal parts; this rank's, reduced over all ranks, goes to `part`.
  virtual std::unique_ptr<Pending> reduce_scatter(at::Tensor part, at::Tensor whole, Reduce op, std::string what) = 0;
  /// Every rank's `part`, in the order of ranks.
  virtual std::unique_ptr<Pending> all_gather(at::Tensor whole, at::Tensor part, std::string what) = 0;
  /// Dim 0 of `in` is cut into runs of `in_rows`, one for each rank in order; `out` gets, likewise, `out_rows` of each.
  /// Both empty: equal parts.
  virtual std::unique_ptr<Pending> all_to_all(at::Tensor out, at::Tensor in, std::vector<int64_t> out_rows,
                                              std::vector<int64_t> in_rows, std::string what) = 0;
  /// `x` of rank `root`, in place.
  virtual std::unique_ptr<Pending> broadcast(at::Tensor x, int root, std::string what) = 0;
  /// To rank `to`, which receives a tensor of the same shape and type under the same tag. Not collective: only these
  /// two take part, and messages with one tag arrive in the order of sending.
  virtual std::unique_ptr<Pending> send(at::Tensor x, int to, int tag, std::string what) = 0;
  virtual std::unique_ptr<Pending> receive(at::Tensor x, int from, int tag, std::string what) = 0;
  /// Both at once, as one operation: round a ring nobody can wait for a neighbour who has not begun to receive.
  virtual std::unique_ptr<Pending> exchange(at::Tensor out, int to, at::Tensor in, int from, int tag,
                                            std::string what) = 0;
};

}  // namespace rialto::comm
