// The largest published models: map, match and proof take little memory; how long they take is printed.
#include <chrono>
#include <fstream>

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/bridge/variant_rows.h"

namespace rialto::bridge {
namespace {

struct Size {
  int64_t layers, hidden, heads, groups, head_dim, ffn, vocab;
  int64_t experts = 0, expert_hidden = 0, dense_layers = 0, depths = 0;
  bool latent = false;
};

spec::ModelSpec model_of(const Size& size) {
  spec::ModelSpec model;
  model.hidden = size.hidden;
  model.vocab = size.vocab;
  for (int64_t i = 0; i < size.layers; ++i) {
    spec::Layer layer{.mixer = spec::Attention{size.heads, size.groups, size.head_dim},
                      .ffn = spec::DenseFfn{.hidden = size.ffn}};
    if (size.latent) layer.mixer = spec::LatentAttention{size.heads, 1536, 512, 128, 64, 128, {}, 1, {}};
    if (size.experts > 0 && i >= size.dense_layers)
      layer.ffn = spec::MoeFfn{.num_experts = size.experts,
                               .expert_hidden = size.expert_hidden,
                               .shared_hidden = size.latent ? size.expert_hidden : 0,
                               .router = {.selection_bias = size.latent, .top_k = 8}};
    model.layers.push_back(layer);
  }
  return test::with_mtp(std::move(model), size.depths);
}

/// Rows for grouped-query attention with experts, as Qwen3-MoE.
std::vector<ParamRow> all_rows(bool latent) {
  std::vector<ParamRow> rows(std::begin(test::kDeepRows), std::end(test::kDeepRows));
  if (latent) return rows;
  for (const ParamRow& row : test::kToyRows)
    if (row.native.find("linear_qkv") != std::string_view::npos) rows.push_back(row);
  return rows;
}

/// What the process holds now; freed memory is given back first.
int64_t resident_bytes() {
  malloc_trim(0);
  int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

class Scale : public testing::TestWithParam<std::pair<const char*, Size>> {};

TEST_P(Scale, MapMatchAndProofAreSmall) {
  const spec::ModelSpec model = model_of(GetParam().second);
  const std::vector<ParamRow> rows = all_rows(GetParam().second.latent);
  const std::vector<SourceTensor> source = test::source_of(make_map(model, rows));
  const int64_t before = resident_bytes();
  const auto start = std::chrono::steady_clock::now();
  Map map = make_map(model, rows, source);
  match_source(map, source, {});
  prove_complete(map);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double megabytes = static_cast<double>(resident_bytes() - before) / 1e6;
  EXPECT_LT(megabytes, 500);
#if !defined(__SANITIZE_ADDRESS__)       // whose red zones and quarantine are memory too
  EXPECT_LT(peak_bytes(), 500'000'000);  // of all these tests, sources and expectations included
#endif
  EXPECT_EQ(map.native.size(), spec::param_table(model).size());
  RecordProperty("tensors", static_cast<int>(map.hf.size()));
  std::printf("%s: %zu HF tensors, %zu parameters, %.2f s, %.0f MB\n", GetParam().first, map.hf.size(),
              map.native.size(), seconds.count(), megabytes);
}

INSTANTIATE_TEST_SUITE_P(
    Published, Scale,
    testing::Values(std::pair("KimiK2", Size{61, 7168, 64, 0, 0, 18432, 163840, 384, 2048, 1, 0, true}),
                    std::pair("DeepSeekV3", Size{61, 7168, 128, 0, 0, 18432, 129280, 256, 2048, 3, 1, true}),
                    std::pair("Qwen3_235B", Size{94, 4096, 64, 4, 128, 0, 151936, 128, 1536, 0, 0, false}),
                    std::pair("Llama_405B", Size{126, 16384, 128, 8, 128, 53248, 128256})),
    [](const auto& model) { return std::string(model.param.first); });

}  // namespace
}  // namespace rialto::bridge
