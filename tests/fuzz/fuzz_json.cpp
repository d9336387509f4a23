// JSON. What is read is written as Python would and read again.
#include <cstdlib>

#include "rialto/base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  rialto::Json value;
  try {
    value = rialto::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const rialto::Error&) {
    return 0;
  }
  const std::string written = rialto::to_python_json(value);
  if (rialto::to_python_json(rialto::parse_json(written, "fuzz")) != written) std::abort();
  return 0;
}
