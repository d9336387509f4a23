// c10d's process groups.
#include "rialto/comm/backend.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <cstdlib>

#include "rialto/base/error.h"

namespace rialto::comm {
namespace {

/// As torch.distributed: GLOO_SOCKET_IFNAME names the interface; else what this machine's name resolves to.
std::shared_ptr<gloo::transport::Device> gloo_device(const std::string& host) {
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface && *interface) return c10d::ProcessGroupGloo::createDeviceForInterface(interface);
  if (host == "localhost" || host.starts_with("127.")) return c10d::ProcessGroupGloo::createDeviceForHostname(host);
  return c10d::ProcessGroupGloo::createDefaultDevice();
}

}  // namespace

c10::intrusive_ptr<c10d::Backend> make_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                               const BackendOptions& options) {
  if (options.device.is_cpu()) {
    auto gloo = c10d::ProcessGroupGloo::Options::create(options.timeout);
    gloo->devices.push_back(gloo_device(options.host));
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, gloo);
  }
#ifdef USE_C10D_NCCL
  if (options.device.is_cuda()) {
    auto nccl = c10d::ProcessGroupNCCL::Options::create();
    nccl->timeout = options.timeout;
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, nccl);
  }
#endif
  throw Error(ErrorKind::kConfig, "device", "this build has no collectives for it", {.got = options.device.str()});
}

}  // namespace rialto::comm
