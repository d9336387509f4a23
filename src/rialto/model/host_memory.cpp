// Copies to the host and back.
#include "rialto/model/host_memory.h"

#include <ATen/Functions.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

namespace rialto::model {
namespace {

class OnHost final : public Kept {
 public:
  explicit OnHost(const at::Tensor& tensor) : device_(tensor.device()) {
    if (tensor.is_cpu()) {
      host_ = tensor.clone();
      return;
    }
    host_ = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).pinned_memory(true));
    const c10::impl::VirtualGuardImpl guard(device_.type());
    const c10::Stream copying = guard.getStreamFromGlobalPool(device_, /*isHighPriority=*/false);
    c10::Event computed(device_.type());
    computed.record(guard.getStream(device_));
    computed.block(copying);
    const c10::StreamGuard on(copying);
    host_.copy_(tensor, /*non_blocking=*/true);
    tensor.record_stream(copying);  // its memory is not given away before the copy is done
    copied_.emplace(device_.type());
    copied_->record(copying);
  }

  at::Tensor take() override {
    at::Tensor host = std::exchange(host_, {});
    if (device_.is_cpu()) return host;
    copied_->block(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
    return host.to(device_, /*non_blocking=*/true);
  }

 private:
  at::Device device_;
  at::Tensor host_;
  std::optional<c10::Event> copied_;
};

}  // namespace

std::unique_ptr<Kept> keep_on_host(const at::Tensor& tensor) { return std::make_unique<OnHost>(tensor); }

}  // namespace rialto::model
