// The transport behind a group of ranks: Gloo between CPUs, NCCL between GPUs. Inside comm only.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <string>

namespace rialto::comm {

struct BackendOptions {
  at::Device device = at::kCPU;
  std::chrono::milliseconds timeout{};
  std::string host;  ///< where rank 0 listens: a loopback address keeps Gloo on it too
};

/// Collective over the group's ranks, who share `store`. Throws kConfig for a device without a transport.
c10::intrusive_ptr<c10d::Backend> make_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                               const BackendOptions& options);

}  // namespace rialto::comm
