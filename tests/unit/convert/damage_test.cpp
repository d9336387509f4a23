// Input that is wrong in any way: refused by name, nothing half-written.
#include <random>

#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

/// The conversion of a toy changed by `change` must be refused with `parts` in the message.
void expect_refused(const std::vector<std::string>& parts,
                    const std::function<void(Json&, std::vector<ToyTensor>&)>& change) {
  const TempDir dir;
  Json config = toy_config();
  std::vector<ToyTensor> tensors = toy_tensors(config);
  change(config, tensors);
  write_hf(dir / "hf", config, tensors);
  expect_error(ErrorKind::kInput, parts, [&] { convert_plain(dir / "hf", dir / "native"); });
  EXPECT_FALSE(fs::exists(dir / "native"));
  expect_clean(dir);
}

ToyTensor& named(std::vector<ToyTensor>& tensors, const std::string& name) {
  for (ToyTensor& tensor : tensors)
    if (tensor.name == name) return tensor;
  throw std::runtime_error(name);
}

TEST(Damage, TensorsThatDoNotFit) {
  expect_refused({"missing", "model.norm.weight"}, [](Json&, auto& tensors) {
    std::erase_if(tensors, [](const ToyTensor& t) { return t.name == "model.norm.weight"; });
  });
  expect_refused({"extra", "model.layers.3.x"}, [](Json&, auto& tensors) {
    tensors.push_back({"model.layers.3.x", DType::kBF16, {2}, std::string(4, '\0')});
  });
  expect_refused({"model.layers.1.mlp.up_proj.weight"}, [](Json&, auto& tensors) {
    named(tensors, "model.layers.1.mlp.up_proj.weight").name = "model.layers.1.mlp.upp_proj.weight";
  });
  expect_refused({"shape", "model.layers.0.self_attn.q_proj.weight"}, [](Json&, auto& tensors) {
    std::swap(named(tensors, "model.layers.0.self_attn.q_proj.weight").shape[0],
              named(tensors, "model.layers.0.self_attn.q_proj.weight").shape[1]);
  });
  expect_refused({"model.norm.weight"}, [](Json&, auto& tensors) {
    ToyTensor& norm = named(tensors, "model.norm.weight");
    norm.dtype = DType::kI16;
  });
}

TEST(Damage, ConfigsThatAreWrong) {
  expect_refused({"LlamaForCausalLMM", "LlamaForCausalLM"},
                 [](Json& config, auto&) { config["architectures"] = {"LlamaForCausalLMM"}; });
  expect_refused({"hidden_size"}, [](Json& config, auto&) { config.erase("hidden_size"); });
  expect_refused({"novel_key"}, [](Json& config, auto&) { config["novel_key"] = 1; });
  expect_refused({"attention_bias"}, [](Json& config, auto&) { config["attention_bias"] = true; });
}

TEST(Damage, FilesThatAreWrong) {
  const TempDir dir;
  const auto expect_bad = [&](const std::vector<std::string>& parts,
                              const std::function<void(const fs::path&)>& spoil) {
    fs::remove_all(dir / "hf");
    write_toy_hf(dir / "hf", false, 2);
    spoil(dir / "hf");
    expect_error(ErrorKind::kInput, parts, [&] { convert_plain(dir / "hf", dir / "native"); });
    EXPECT_FALSE(fs::exists(dir / "native"));
  };
  expect_bad({"model-00002-of-00002.safetensors"},
             [](const fs::path& hf) { fs::remove(hf / "model-00002-of-00002.safetensors"); });
  expect_bad({"model-00001-of-00002.safetensors"},
             [](const fs::path& hf) { fs::resize_file(hf / "model-00001-of-00002.safetensors", 900); });
  expect_bad({"config.json"}, [](const fs::path& hf) { write_text(hf / "config.json", "{\"a\": "); });
  expect_bad({"neither"}, [](const fs::path& hf) { fs::remove(hf / "config.json"); });
}

/// Flips bytes all over a native checkpoint: either the conversion back refuses, or (in a file that it has no use for)
/// its result is the same.
TEST(Damage, FlippedBytesOfANativeCheckpoint) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  std::mt19937 random(11);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "native/iter_0000001"))
    if (entry.is_regular_file()) files.push_back(entry.path());
  int refused = 0;
  for (int round = 0; round < 120; ++round) {
    const fs::path& file = files[static_cast<size_t>(round) % files.size()];
    const uint64_t at = random() % fs::file_size(file);
    flip_byte(file, at);
    fs::remove_all(dir / "back");
    try {
      convert_plain(dir / "native", dir / "back");
      expect_same_folder(dir / "hf", dir / "back");
      EXPECT_NE(file.filename().string().find(".distcp"), std::string::npos) << file;  // padding between archives
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      EXPECT_FALSE(fs::exists(dir / "back"));
      ++refused;
    }
    flip_byte(file, at);
  }
  EXPECT_GT(refused, 100);
  expect_clean(dir);
}

TEST(Damage, NativeTensorsThatAreMissingOrUnknown) {
  const TempDir dir;
  const Json config = toy_config();
  const resolve::Resolved resolved = resolve::model_from_hf(config, "toy");
  const auto write_native = [&](const std::function<bool(const spec::Param&)>& keep, const std::string& extra) {
    fs::remove_all(dir / "native");
    store::CheckpointWriter writer(real_file_ops(), dir / "native", 1);
    for (const spec::Param& param : spec::param_table(resolved.model))
      if (keep(param))
        writer.add_chunk(store::chunk_of(param, DType::kBF16),
                         [&](const store::ByteSink& sink) { sink(store::bytes_for(param, 2)); });
    if (!extra.empty())
      writer.add_chunk({.key = extra, .aliases = {}, .dtype = DType::kF32, .shape = {1}, .offsets = {0}, .sizes = {1}},
                       [](const store::ByteSink& sink) { sink(std::vector<std::byte>(4)); });
    writer.add_file("rialto_source/config.json", config.dump());
    writer.commit(store::make_common(resolved.model, 1), {});
  };
  write_native([](const spec::Param& p) { return p.disk.key != "output_layer.weight"; }, "");
  expect_error(ErrorKind::kInput, {"output_layer.weight", "missing"},
               [&] { convert_plain(dir / "native", dir / "back"); });
  write_native([](const spec::Param&) { return true; }, "mtp.layers.0.enorm.weight");
  expect_error(ErrorKind::kInput, {"mtp.layers.0.enorm.weight"}, [&] { convert_plain(dir / "native", dir / "back"); });
  write_native([](const spec::Param&) { return true; }, "optimizer.state.exp_avg.x");
  convert_plain(dir / "native", dir / "back");
}

}  // namespace
}  // namespace rialto::convert
