// Pickles. What is read is written and read again.
#include <cstdlib>

#include "rialto/base/error.h"
#include "rialto/formats/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::string_view kAllowed[] = {"m.", "collections.OrderedDict", "torch.Size"};
  rialto::formats::PicklePtr value;
  try {
    value = rialto::formats::read_pickle(std::as_bytes(std::span(data, size)), "fuzz", kAllowed);
  } catch (const rialto::Error&) {
    return 0;
  }
  std::string written;
  try {
    written = rialto::formats::write_pickle(*value);
  } catch (const rialto::Error& error) {
    if (error.kind() != rialto::ErrorKind::kInternal) std::abort();  // depth, names without a module
    return 0;
  }
  const auto again = rialto::formats::read_pickle(std::as_bytes(std::span(written)), "fuzz", kAllowed);
  if (rialto::formats::write_pickle(*again) != written) std::abort();
  return 0;
}
