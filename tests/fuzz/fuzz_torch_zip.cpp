// torch.save archives: directory, one tensor, a state dict, any value.
#include <cstdlib>

#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"
#include "tests/fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rialto::formats;
  const rialto::fuzz::InputFile input(data, size);
  const rialto::ReadFile file(input.path());
  try {
    const StoredTensor tensor = locate_tensor(file, 0, size);
    if (tensor.offset > size || tensor.size > size - tensor.offset) std::abort();
  } catch (const rialto::Error&) {
  }
  try {
    for (const auto& [name, tensor] : locate_state_dict(file))
      if (tensor.offset > size || tensor.size > size - tensor.offset) std::abort();
  } catch (const rialto::Error&) {
  }
  try {
    const TorchFile value = read_torch_file(file, 0, size, {});
    if (is_tensor(*value.value)) read_scalar(value, *value.value);
  } catch (const rialto::Error&) {
  }
  return 0;
}
