// Cuts a list of files by bytes.
#include "rialto/data/text_shard.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::data {

std::vector<TextPiece> pieces_of(const std::vector<TextFile>& files, const Shard& shard) {
  if (shard.count < 1 || shard.index < 1 || shard.index > shard.count) {
    throw Error(ErrorKind::kConfig, "--shard", "there is no such shard",
                {.got = fmt::format("{}/{}", shard.index, shard.count), .want = "i/n with 1 <= i <= n"});
  }
  uint64_t total = 0;
  for (const TextFile& file : files) {
    if (file.is_stdin() && shard.count > 1)
      throw Error(ErrorKind::kConfig, "--shard", "stdin cannot be shared", {.hint = "write it to a file first"});
    total += file.bytes;
  }
  const auto border = [&](int64_t i) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(total) * static_cast<uint64_t>(i) /
                                 static_cast<uint64_t>(shard.count));
  };
  const uint64_t begin = border(shard.index - 1);
  // The last one has no end: files of no bytes at the end of the list are its own.
  const uint64_t end = shard.index == shard.count ? TextPiece::kToTheEnd : border(shard.index);
  std::vector<TextPiece> pieces;
  uint64_t start = 0;
  for (const TextFile& file : files) {
    const uint64_t stop = start + file.bytes;
    const bool cut = file.form == TextFile::Form::kJsonLines && !file.compression && !file.is_stdin();
    if (start >= begin && start < end) {
      pieces.push_back({file, 0, cut && stop > end ? end - start : TextPiece::kToTheEnd});
    } else if (cut && start < begin && stop > begin && begin < end) {
      pieces.push_back({file, begin - start, stop > end ? end - start : TextPiece::kToTheEnd});
    }
    start = stop;
  }
  return pieces;
}

std::string shard_suffix(const Shard& shard) {
  if (shard.count == 1) return "";
  const size_t digits = std::max<size_t>(2, std::to_string(shard.count).size());
  return fmt::format(".{:0{}}-of-{:0{}}", shard.index, digits, shard.count, digits);
}

}  // namespace rialto::data
