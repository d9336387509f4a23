// .metadata files. What is read is written and read again, equal.
#include <cstdlib>

#include "rialto/base/error.h"
#include "rialto/formats/dcp_metadata.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rialto::formats;
  DcpMetadata metadata;
  try {
    metadata = parse_dcp_metadata(std::as_bytes(std::span(data, size)), "fuzz");
  } catch (const rialto::Error&) {
    return 0;
  }
  const std::string written = make_dcp_metadata(metadata);
  if (make_dcp_metadata(parse_dcp_metadata(std::as_bytes(std::span(written)), "fuzz")) != written) std::abort();
  return 0;
}
