// Headers of safetensors files.
#include "rialto/base/error.h"
#include "rialto/formats/safetensors.h"
#include "tests/fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const rialto::fuzz::InputFile input(data, size);
  try {
    rialto::formats::read_safetensors_header(rialto::ReadFile(input.path()));
  } catch (const rialto::Error&) {
  }
  return 0;
}
