// Small Hugging Face folders made in C++, and helpers to compare folders.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "rialto/base/json.h"
#include "rialto/base/number.h"
#include "rialto/base/random.h"
#include "rialto/bridge/plan.h"
#include "rialto/convert/convert.h"
#include "rialto/formats/safetensors.h"
#include "rialto/resolve/resolve.h"
#include "tests/unit/store/toy.h"

namespace rialto::convert {

using store::expect_error;
using store::flip_byte;
using store::TempDir;

/// Sizes that expose mistakes: hidden != heads x head size, uneven groups, odd vocabulary.
inline Json toy_config(bool tied = false) {
  return Json{{"architectures", {"LlamaForCausalLM"}},
              {"model_type", "llama"},
              {"hidden_size", 16},
              {"num_hidden_layers", 3},
              {"num_attention_heads", 6},
              {"num_key_value_heads", 2},
              {"head_dim", 4},
              {"intermediate_size", 10},
              {"vocab_size", 37},
              {"max_position_embeddings", 64},
              {"rms_norm_eps", 1e-5},
              {"tie_word_embeddings", tied},
              {"rope_theta", 10000.0},
              {"hidden_act", "silu"},
              {"torch_dtype", "bfloat16"},
              {"eos_token_id", 2},
              {"bos_token_id", 1},
              {"use_cache", true}};
}

struct ToyTensor {
  std::string name;
  DType dtype = DType::kBF16;
  Shape shape;
  std::string bytes;
};

/// Random finite values of a dtype.
inline std::string random_bytes(const std::string& name, DType dtype, const Shape& shape, uint64_t seed = 1) {
  const auto count = static_cast<size_t>(num_elements(shape));
  std::vector<float> values(count);
  RandomStream(seed, name).fill_normal(values, 0, 0, 1);
  std::string bytes(count * size_of(dtype), '\0');
  cast_elements(values.data(), DType::kF32, bytes.data(), dtype, count);
  return bytes;
}

inline std::vector<ToyTensor> toy_tensors(const Json& config, DType dtype = DType::kBF16, uint64_t seed = 1) {
  const resolve::Resolved resolved = resolve::model_from_hf(config, "toy");
  std::vector<ToyTensor> tensors;
  for (const bridge::TensorInfo& info : bridge::make_map(resolved.model, resolved.family->params).hf)
    tensors.push_back({info.name, dtype, info.shape, random_bytes(info.name, dtype, info.shape, seed)});
  return tensors;
}

inline void write_text(const fs::path& path, const std::string& text) {
  write_file_synced(real_file_ops(), path, text);
}

/// Tensors go to `shards` files in turn; more than one makes an index.
inline fs::path write_hf(const fs::path& dir, const Json& config, const std::vector<ToyTensor>& tensors,
                         size_t shards = 1) {
  fs::create_directories(dir);
  write_text(dir / "config.json",
             "{\n" + to_python_json(config).substr(2) + "   \n");  // an odd ending: bytes must survive
  write_text(dir / "generation_config.json", "{\"eos_token_id\": 2}");
  write_text(dir / "tokenizer.json", "{\"version\": \"1.0\"}");
  write_text(dir / "chat_template.jinja", "{{ messages }}");
  Json weight_map = Json::object();
  uint64_t total = 0;
  for (size_t shard = 0; shard < shards; ++shard) {
    const std::string file =
        shards == 1 ? "model.safetensors"
                    : "model-0000" + std::to_string(shard + 1) + "-of-0000" + std::to_string(shards) + ".safetensors";
    std::vector<formats::SafetensorsEntry> entries;
    std::vector<const ToyTensor*> held;
    for (size_t i = shard; i < tensors.size(); i += shards) {
      entries.push_back({.name = tensors[i].name, .dtype = tensors[i].dtype, .shape = tensors[i].shape});
      held.push_back(&tensors[i]);
      weight_map[tensors[i].name] = file;
      total += tensors[i].bytes.size();
    }
    formats::write_safetensors(
        real_file_ops(), dir / file, entries, {{"format", "pt"}},
        [&](size_t i, const formats::ByteSink& sink) { sink(std::as_bytes(std::span(held[i]->bytes))); });
  }
  if (shards > 1)
    write_text(dir / "model.safetensors.index.json",
               to_python_json({{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}}));
  return dir;
}

inline fs::path write_toy_hf(const fs::path& dir, bool tied = false, size_t shards = 1) {
  const Json config = toy_config(tied);
  return write_hf(dir, config, toy_tensors(config), shards);
}

inline ConvertReport convert_plain(const fs::path& from, const fs::path& to,
                                   const std::function<void(ConvertOptions&)>& change = {}) {
  ConvertOptions options;
  options.source = from;
  options.destination = to;
  if (change) change(options);
  return convert(options, real_file_ops(), nullptr);
}

/// relative path -> bytes of every file below `dir`.
inline std::map<std::string, std::string> files_of(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(dir).generic_string()] = read_text_file(entry.path());
  return files;
}

inline void expect_same_folder(const fs::path& a, const fs::path& b, const std::vector<std::string>& except = {}) {
  auto left = files_of(a), right = files_of(b);
  for (const std::string& name : except) {
    left.erase(name);
    right.erase(name);
  }
  for (const auto& [name, bytes] : left) EXPECT_TRUE(right.contains(name) && right[name] == bytes) << name;
  for (const auto& [name, bytes] : right) EXPECT_TRUE(left.contains(name)) << name;
}

/// No temporary name is left beside the results.
inline void expect_clean(const fs::path& dir) {
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    EXPECT_EQ(entry.path().filename().string().find(".tmp"), std::string::npos) << entry.path();
}

}  // namespace rialto::convert
