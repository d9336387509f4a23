// Tokens of fine-tuning rows in three arrays.
#include "rialto/data/sft_tokens.h"

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/mapped_file.h"
#include "rialto/hub/special_tokens.h"

namespace rialto::data {
namespace {

constexpr int kFormat = 1;  ///< raised when rows would become other tokens

struct Built {
  std::vector<int64_t> starts{0}, counts{0, 0};
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

std::string hash_of(const fs::path& path) {
  if (fs::file_size(path) == 0) return "empty";  // there is nothing to map
  return hash_hex(MappedFile(path).bytes());
}

/// Everything that the tokens depend on.
std::string key_of(const SftFiles& files, const SftEncoder& encoder) {
  const SftOptions& options = encoder.options();
  const bool folder = fs::is_directory(options.tokenizer);
  Json hashes = Json::array();
  for (const fs::path& path : files.paths) hashes.push_back(hash_of(path));
  Json templates = Json::array();
  if (encoder.chat_template())
    for (const Json& tools : {Json(nullptr), Json::array()})
      templates.push_back(encoder.chat_template()->source(tools));
  return Json{{"index", "fine-tuning rows"},
              {"format", kFormat},
              {"rows", hashes},
              {"tokenizer", hash_of(folder ? options.tokenizer / "tokenizer.json" : options.tokenizer)},
              {"templates", templates},
              {"special", hub::special_tokens(folder ? options.tokenizer : options.tokenizer.parent_path())},
              {"loss", static_cast<int>(options.loss)},
              {"clock", options.clock.value_or(-1)},
              {"allow_special", options.allow_special},
              {"max_tokens", files.max_tokens},
              {"truncation", static_cast<int>(files.truncation)},
              {"first", files.first},
              {"count", files.count}}
      .dump();
}

Built build(const SftFiles& files, const SftEncoder& encoder, Progress* progress) {
  Built built;
  read_sft(
      files, encoder,
      [&](const SftItem& item) {
        const SftSample& sample = item.sample;
        if (item.left_out) {
          ++built.counts[1];
          return;
        }
        if (item.cut) ++built.counts[0];
        built.ids.insert(built.ids.end(), sample.ids.begin(), sample.ids.end());
        built.weights.insert(built.weights.end(), sample.weights.begin(), sample.weights.end());
        built.starts.push_back(static_cast<int64_t>(built.ids.size()));
      },
      nullptr, progress);
  if (built.starts.size() == 1)
    throw Error(ErrorKind::kConfig, files.paths.front().string(), "has no row to train on",
                {.got = std::to_string(built.counts[1]) + " rows, all of them too long", .want = {}, .hint = {}});
  return built;
}

}  // namespace

SftTokens tokenize_sft(const SftFiles& files, const SftEncoder& encoder, const IndexCache& cache, Progress* progress) {
  SftTokens tokens;
  tokens.held = cached_arrays(cache, files.paths.front().filename().string(), key_of(files, encoder), [&] {
    return hold(build(files, encoder, progress), [](const Built& built) {
      return Arrays{std::as_bytes(std::span(built.starts)), std::as_bytes(std::span(built.ids)),
                    std::as_bytes(std::span(built.weights)), std::as_bytes(std::span(built.counts))};
    });
  });
  tokens.starts = as_array<int64_t>(tokens.held.arrays.at(0));
  tokens.ids = as_array<int32_t>(tokens.held.arrays.at(1));
  tokens.weights = as_array<float>(tokens.held.arrays.at(2));
  const auto counts = as_array<int64_t>(tokens.held.arrays.at(3));
  tokens.cut = counts[0];
  tokens.left_out = counts[1];
  return tokens;
}

}  // namespace rialto::data
