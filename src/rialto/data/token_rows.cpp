// Reading and drawing rows of token ids.
#include "rialto/data/token_rows.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/base/random.h"

namespace rialto::data {
namespace {

constexpr int64_t kRows = 2, kLength = 160;
constexpr uint64_t kSeed = 1234;

}  // namespace

TokenRows read_token_rows(const fs::path& path, int64_t vocab) {
  const Json json = read_json_file(path);
  const std::string where = path.string();
  if (!json.is_array() || json.empty()) {
    throw Error(ErrorKind::kInput, where, "no rows of token ids",
                {.got = {}, .want = "a list of lists of ids", .hint = {}});
  }
  TokenRows rows;
  for (const Json& row : json) {
    if (!row.is_array() || row.empty()) {
      throw Error(ErrorKind::kInput, where, fmt::format("row {} is not a list of ids", rows.size()),
                  {.got = {}, .want = "a list of lists of ids", .hint = {}});
    }
    rows.emplace_back();
    for (const Json& id : row) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab) {
        throw Error(ErrorKind::kInput, where,
                    fmt::format("row {} holds something that is not a token of this model", rows.size() - 1),
                    {.got = id.dump(), .want = fmt::format("0 to {}", vocab - 1), .hint = {}});
      }
      rows.back().push_back(id.get<int64_t>());
    }
    if (rows.back().size() != rows.front().size()) {
      throw Error(ErrorKind::kInput, where, fmt::format("row {} has another length than row 0", rows.size() - 1),
                  {.got = std::to_string(rows.back().size()),
                   .want = std::to_string(rows.front().size()),
                   .hint = "one tensor holds the result: run rows of each length by themselves"});
    }
  }
  return rows;
}

TokenRows random_token_rows(int64_t vocab, int64_t max_positions) {
  const RandomStream random(kSeed, "token rows");
  const int64_t length = std::clamp<int64_t>(max_positions, 1, kLength);
  TokenRows rows(kRows, std::vector<int64_t>(static_cast<size_t>(length)));
  uint64_t index = 0;
  for (std::vector<int64_t>& row : rows)
    for (int64_t& id : row) id = static_cast<int64_t>(random.bits(index++) % static_cast<uint64_t>(vocab));
  return rows;
}

}  // namespace rialto::data
