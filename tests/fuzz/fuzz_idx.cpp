// .bin/.idx: the first two bytes say how much of the input is the .idx.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/formats/indexed_dataset.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  static const std::string prefix =
      (std::filesystem::temp_directory_path() / ("rialto_fuzz_" + std::to_string(::getpid()))).string();
  const size_t cut = std::min<size_t>(data[0] + 256u * data[1], size - 2);
  const auto put = [](const std::string& path, const uint8_t* bytes, size_t count) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(count));
  };
  put(prefix + ".idx", data + 2, cut);
  put(prefix + ".bin", data + 2 + cut, size - 2 - cut);
  try {
    const rialto::formats::IndexedDataset dataset(prefix);
    for (int64_t i = 0; i < dataset.num_sequences(); ++i) {
      std::vector<int32_t> tokens(static_cast<size_t>(dataset.lengths()[static_cast<size_t>(i)]));
      dataset.read(i, 0, tokens);
    }
  } catch (const rialto::Error&) {
  }
  return 0;
}
