// A HF directory, whole and damaged in every way: each damage is named.
#include "rialto/hub/hf_directory.h"

#include <cstring>
#include <fstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "rialto/base/error.h"

namespace rialto::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class HfDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    dir = fs::temp_directory_path() / ("rialto_hub_" + std::to_string(::getpid()));
    fs::remove_all(dir);
    fs::create_directories(dir);
    put("config.json", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4})");
  }
  void TearDown() override { fs::remove_all(dir); }

  void put(const std::string& name, const std::string& text) { std::ofstream(dir / name, std::ios::binary) << text; }

  /// A shard of fp32 vectors of two elements; element i of tensor k is 10 k + i.
  void put_shard(const std::string& name, const std::vector<std::string>& tensors) {
    std::vector<formats::SafetensorsEntry> entries;
    for (const std::string& tensor : tensors)
      entries.push_back({.name = tensor, .dtype = DType::kF32, .shape = {2}, .begin = 0, .end = 0});
    formats::write_safetensors(
        real_file_ops(), dir / name, entries, {{"format", "pt"}}, [](size_t index, const formats::ByteSink& sink) {
          const float values[] = {static_cast<float>(10 * index), static_cast<float>(10 * index + 1)};
          sink(std::as_bytes(std::span(values)));
        });
  }
  void put_sharded() {
    put_shard("model-00001-of-00002.safetensors", {"a", "b"});
    put_shard("model-00002-of-00002.safetensors", {"c"});
    put_index({{"a", "model-00001-of-00002.safetensors"},
               {"b", "model-00001-of-00002.safetensors"},
               {"c", "model-00002-of-00002.safetensors"}});
  }
  void put_index(const std::map<std::string, std::string>& map) {
    Json index;
    for (const auto& [tensor, shard] : map) index["weight_map"][tensor] = shard;
    put("model.safetensors.index.json", index.dump());
  }
  std::string complaint() {
    try {
      HfDirectory directory(dir);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "";
  }

  fs::path dir;
};

TEST_F(HfDirectoryTest, SingleFile) {
  put_shard("model.safetensors", {"x", "y"});
  const HfDirectory directory(dir);
  EXPECT_FALSE(directory.has_index());
  EXPECT_THAT(directory.shards(), ElementsAre("model.safetensors"));
  EXPECT_EQ(directory.architecture(), "LlamaForCausalLM");
  EXPECT_EQ(directory.shard_metadata(0).at("format"), "pt");
  float value = 0;
  directory.read(directory.tensors().at("y"), 4, std::as_writable_bytes(std::span(&value, 1)));
  EXPECT_EQ(value, 11);
  EXPECT_THROW(directory.read(directory.tensors().at("y"), 5, std::as_writable_bytes(std::span(&value, 1))), Error);
  EXPECT_THROW(directory.read(directory.tensors().at("y"), UINT64_MAX, std::as_writable_bytes(std::span(&value, 1))),
               Error);
}

TEST_F(HfDirectoryTest, Shards) {
  put_sharded();
  HfDirectory directory(dir);
  EXPECT_TRUE(directory.has_index());
  EXPECT_EQ(directory.tensors().size(), 3u);
  EXPECT_EQ(directory.tensors().at("c").shard, 1u);
  float value = 1;
  const HfDirectory moved = std::move(directory);
  moved.read(moved.tensors().at("c"), 0, std::as_writable_bytes(std::span(&value, 1)));
  EXPECT_EQ(value, 0);
}

TEST_F(HfDirectoryTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(complaint(), HasSubstr("model.safetensors.index.json"));
  EXPECT_THAT(complaint(), HasSubstr("pytorch_model.bin"));
  put_sharded();
  fs::remove(dir / "model-00002-of-00002.safetensors");
  EXPECT_THAT(complaint(), HasSubstr("model-00002-of-00002.safetensors] is missing"));
  put_shard("model-00002-of-00002.safetensors", {"d"});
  EXPECT_THAT(complaint(), HasSubstr("tensor 'd', which the index does not name"));
  put_shard("model-00002-of-00002.safetensors", {"c", "d"});
  EXPECT_THAT(complaint(), HasSubstr("'d'"));
  put_shard("model-00002-of-00002.safetensors", {"a"});
  EXPECT_THAT(complaint(), HasSubstr("'a' is also in model-00001"));
  put_sharded();
  put_index({{"a", "model-00001-of-00002.safetensors"},
             {"b", "model-00002-of-00002.safetensors"},
             {"c", "model-00002-of-00002.safetensors"}});
  EXPECT_THAT(complaint(), HasSubstr("puts tensor 'b' into the wrong shard"));
  put_index({{"a", "model-00001-of-00002.safetensors"},
             {"b", "model-00001-of-00002.safetensors"},
             {"c", "model-00002-of-00002.safetensors"},
             {"e", "model-00002-of-00002.safetensors"}});
  EXPECT_THAT(complaint(), HasSubstr("lacks tensor 'e'"));
  fs::remove(dir / "config.json");
  EXPECT_THAT(complaint(), HasSubstr("no config.json"));
  fs::remove_all(dir);
  EXPECT_THAT(complaint(), HasSubstr("not a directory"));
}

TEST_F(HfDirectoryTest, HostileIndexes) {
  put_shard("model-00001-of-00001.safetensors", {"a"});
  for (const char* name : {"../model.safetensors", "/etc/x.safetensors", "sub/model.safetensors", "..", "", "model.bin",
                           "a\\b.safetensors", ".safetensors"}) {
    put_index({{"a", name}});
    EXPECT_THAT(complaint(), HasSubstr("plain .safetensors file name")) << name;
  }
  for (const char* text : {"", "[]", "{}", "{\"weight_map\": 3}", "{\"weight_map\": {}}",
                           "{\"weight_map\": {\"a\": 1}}", "{\"weight_map\": ", "null"}) {
    put("model.safetensors.index.json", text);
    EXPECT_NE(complaint(), "") << text;
  }
}

TEST_F(HfDirectoryTest, TwoSetsOfWeightsAreNotGuessedBetween) {
  put_sharded();
  put_shard("model.safetensors", {"a", "b", "c"});
  EXPECT_THAT(complaint(), HasSubstr("holds both"));
}

TEST_F(HfDirectoryTest, HostileConfigs) {
  put_shard("model.safetensors", {"a"});
  for (const char* text : {"", "[]", "3", "{", "{\"a\": 1, \"a\": 2}", "{\"a\": NaN}"}) {
    put("config.json", text);
    EXPECT_NE(complaint(), "") << text;
  }
  for (const char* text : {"{}", "{\"architectures\": []}", "{\"architectures\": \"x\"}", "{\"architectures\": [1]}"}) {
    put("config.json", text);
    EXPECT_THROW(HfDirectory(dir).architecture(), Error) << text;
  }
}

TEST_F(HfDirectoryTest, CompanionsAreCarriedWeightsAreNot) {
  put_shard("model.safetensors", {"a"});
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "merges.txt",
        "tiktoken.model", "qwen.tiktoken", "README.md", "modeling.py", "pytorch_model.bin"})
    put(name, "{}");
  fs::create_directories(dir / "additional_chat_templates");
  put("additional_chat_templates/tool.jinja", "x");
  EXPECT_THAT(HfDirectory(dir).companion_files(),
              ElementsAre("additional_chat_templates/tool.jinja", "chat_template.jinja", "generation_config.json",
                          "merges.txt", "qwen.tiktoken", "tiktoken.model", "tokenizer.json", "tokenizer_config.json"));
}

TEST_F(HfDirectoryTest, GenerationConfigFallsBackToConfig) {
  put("config.json", R"({"eos_token_id": 2, "bos_token_id": 1, "temperature": 0.5})");
  GenerationConfig config = read_generation_config(dir);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));
  EXPECT_EQ(config.temperature, 0.5);
  EXPECT_EQ(config.top_k, 50);
  put("generation_config.json",
      R"({"eos_token_id": [7, 8], "bos_token_id": null, "do_sample": true, "top_p": 0.9, "top_k": 20, "max_new_tokens": 5})");
  config = read_generation_config(dir);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(7, 8));
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_TRUE(config.do_sample);
  EXPECT_EQ(config.top_p, 0.9);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.max_new_tokens, 5);
  for (const char* text : {R"({"eos_token_id": -1})", R"({"eos_token_id": "x"})", R"({"eos_token_id": [1.5]})",
                           R"({"top_p": 2})", R"({"temperature": "hot"})", R"({"do_sample": 1})", R"({"top_k": 1e99})",
                           R"({"eos_token_id": 18446744073709551615})", "[]"}) {
    put("generation_config.json", text);
    EXPECT_THROW(read_generation_config(dir), Error) << text;
  }
}

}  // namespace
}  // namespace rialto::hub
