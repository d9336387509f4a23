// What verify sees, and what it lets pass.
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

/// (kind, tensor) of each difference between a toy and a changed copy.
std::vector<std::pair<std::string, std::string>> differences(
    const std::function<void(Json&, std::vector<ToyTensor>&)>& change, VerifyOptions options = {}) {
  const TempDir dir;
  Json config = toy_config();
  std::vector<ToyTensor> tensors = toy_tensors(config);
  write_hf(dir / "a", config, tensors);
  change(config, tensors);
  write_hf(dir / "b", config, tensors);
  options.a = dir / "a";
  options.b = dir / "b";
  const VerifyReport report = verify(options, nullptr);
  EXPECT_EQ(to_json(report)["equal"], report.differences.empty());
  std::vector<std::pair<std::string, std::string>> found;
  for (const Difference& difference : report.differences) found.emplace_back(difference.kind, difference.tensor);
  return found;
}

using List = std::vector<std::pair<std::string, std::string>>;

void flip_low_bit(ToyTensor& tensor, size_t element) {
  tensor.bytes[2 * element] = static_cast<char>(tensor.bytes[2 * element] ^ 1);
}

TEST(Verify, EveryKindOfDifference) {
  EXPECT_EQ(differences([](Json&, auto&) {}), List{});
  EXPECT_EQ(differences([](Json&, auto& tensors) { flip_low_bit(tensors[3], 17); }),
            (List{{"differs", "model.layers.0.self_attn.k_proj.weight"}}));
  EXPECT_EQ(differences([](Json&, auto& tensors) { tensors.pop_back(); }), (List{{"missing", "lm_head.weight"}}));
  EXPECT_EQ(
      differences([](Json&, auto& tensors) { tensors.push_back({"new", DType::kF32, {1}, std::string(4, '\0')}); }),
      (List{{"extra", "new"}}));
  EXPECT_EQ(differences([](Json&, auto& tensors) { tensors[0].shape = {16, 37}; }),
            (List{{"shape", "model.embed_tokens.weight"}}));
  EXPECT_EQ(differences([](Json&, auto& tensors) { tensors[0].dtype = DType::kF16; }),
            (List{{"dtype", "model.embed_tokens.weight"}}));
  EXPECT_EQ(differences([](Json& config, auto&) { config["rms_norm_eps"] = 1e-6; }),
            (List{{"config", "rms_norm_eps"}}));
  EXPECT_EQ(differences([](Json& config, auto&) {
              config["dtype"] = config["torch_dtype"];
              config.erase("torch_dtype");
              config["transformers_version"] = "5.0";
            }),
            List{});
}

TEST(Verify, Tolerances) {
  const auto nudge = [](Json&, std::vector<ToyTensor>& tensors) { flip_low_bit(tensors[3], 17); };
  EXPECT_EQ(differences(nudge, {.a = {}, .b = {}, .max_ulp = 1, .rtol = {}}), List{});
  EXPECT_EQ(differences(nudge, {.a = {}, .b = {}, .max_ulp = {}, .rtol = 0.01}), List{});
  EXPECT_EQ(differences(nudge, {.a = {}, .b = {}, .max_ulp = {}, .rtol = 1e-6}).size(), 1u);
  const auto cast = [](Json&, std::vector<ToyTensor>& tensors) {
    std::string wide(tensors[3].bytes.size() * 2, '\0');
    cast_elements(tensors[3].bytes.data(), DType::kBF16, wide.data(), DType::kF32, tensors[3].bytes.size() / 2);
    tensors[3].bytes = wide;
    tensors[3].dtype = DType::kF32;
  };
  EXPECT_EQ(differences(cast).size(), 1u);
  EXPECT_EQ(differences(cast, {.a = {}, .b = {}, .max_ulp = 0, .rtol = {}}), List{});
}

TEST(Verify, AnyTwoKinds) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "native", dir / "back");
  for (const char* a : {"hf", "native", "back"})
    for (const char* b : {"hf", "native", "back", "native/iter_0000001"}) {
      const VerifyReport report = verify({dir / a, dir / b, {}, {}}, nullptr);
      EXPECT_TRUE(report.differences.empty()) << a << " " << b << " " << to_text(report);
      EXPECT_EQ(report.equal, report.compared);
      EXPECT_EQ(report.family, "llama");
    }
}

TEST(Verify, EveryTensorOfANativeCheckpointIsLookedAt) {
  const TempDir dir;
  const Json config = toy_config();
  std::vector<ToyTensor> tensors = toy_tensors(config);
  write_hf(dir / "hf", config, tensors);
  convert_plain(dir / "hf", dir / "native");
  for (ToyTensor& tensor : tensors) {
    flip_low_bit(tensor, static_cast<size_t>(num_elements(tensor.shape)) - 1);
    write_hf(dir / "other", config, tensors);
    const VerifyReport report = verify({dir / "native", dir / "other", {}, {}}, nullptr);
    ASSERT_EQ(report.differences.size(), 1u) << tensor.name;
    EXPECT_EQ(report.differences[0].tensor, tensor.name);
    EXPECT_NE(report.differences[0].detail.find("1 of"), std::string::npos);
    flip_low_bit(tensor, static_cast<size_t>(num_elements(tensor.shape)) - 1);
  }
}

TEST(Verify, ATiedHeadMayBeCarried) {
  const TempDir dir;
  const Json config = toy_config(true);
  std::vector<ToyTensor> tensors = toy_tensors(config);
  write_hf(dir / "a", config, tensors);
  tensors.push_back(tensors.front());
  tensors.back().name = "lm_head.weight";
  write_hf(dir / "b", config, tensors);
  const VerifyReport report = verify({dir / "a", dir / "b", {}, {}}, nullptr);
  EXPECT_TRUE(report.differences.empty());
  EXPECT_EQ(report.notices.size(), 1u);
  flip_low_bit(tensors.back(), 0);
  write_hf(dir / "b", config, tensors);
  EXPECT_EQ(verify({dir / "a", dir / "b", {}, {}}, nullptr).differences.size(), 1u);
}

TEST(Verify, DamageIsAnErrorNamingTheTensor) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  const fs::path data = dir / "native/iter_0000001/__0_0.distcp";
  const Json manifest = read_json_file(dir / "native/iter_0000001/manifest.json");
  for (const Json& chunk : manifest["chunks"]) {
    flip_byte(data, chunk["offset"].get<uint64_t>());
    expect_error(ErrorKind::kInput, {chunk["key"].get<std::string>(), "__0_0.distcp"},
                 [&] { verify({dir / "hf", dir / "native", {}, {}}, nullptr); });
    flip_byte(data, chunk["offset"].get<uint64_t>());
  }
}

TEST(Verify, UnknownFamiliesStillCompare) {
  const TempDir dir;
  Json config = toy_config();
  const std::vector<ToyTensor> tensors = toy_tensors(config);
  config["architectures"] = {"SomethingElse"};
  write_hf(dir / "a", config, tensors);
  write_hf(dir / "b", config, tensors, 2);
  EXPECT_TRUE(verify({dir / "a", dir / "b", {}, {}}, nullptr).differences.empty());
  expect_error(ErrorKind::kInput, {"nothing here"}, [&] { verify({dir / "a", dir / "c", {}, {}}, nullptr); });
}

}  // namespace
}  // namespace rialto::convert
