// The cache's folders: what is written is what huggingface_hub expects, what is missing is named.
#include "rialto/hub/hub_cache.h"

#include <fstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "rialto/base/error.h"

namespace rialto::hub {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class HubCacheTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root); }
  void put(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  const fs::path root = fs::temp_directory_path() / ("rialto_cache_" + std::to_string(::getpid()));
  const std::string commit = std::string(40, 'c');
  HubCache cache{root, *parse_hub_id("org/name")};
  FileOps& ops = real_file_ops();
};

TEST_F(HubCacheTest, LinksAreRelativeAndReplaced) {
  put(cache.blob("abc"), "first");
  put(cache.blob("def"), "second");
  cache.link(ops, commit, "config.json", "abc");
  cache.link(ops, commit, "additional_chat_templates/x.jinja", "abc");
  const fs::path link = root / "models--org--name" / "snapshots" / commit / "config.json";
  EXPECT_EQ(fs::read_symlink(link), "../../blobs/abc");
  EXPECT_EQ(read_text_file(link.parent_path() / "additional_chat_templates/x.jinja"), "first");
  cache.link(ops, commit, "config.json", "def");
  EXPECT_EQ(read_text_file(link), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(link.parent_path()), {}), 2);
}

TEST_F(HubCacheTest, RevisionsMeanCommits) {
  EXPECT_EQ(cache.find_commit("main"), std::nullopt);
  EXPECT_EQ(cache.find_commit(commit), commit);
  cache.record_commit(ops, "refs/pr/1", commit);
  cache.record_commit(ops, commit, commit);
  EXPECT_EQ(cache.find_commit("refs/pr/1"), commit);
  EXPECT_EQ(read_text_file(root / "models--org--name/refs/refs/pr/1"), commit);
  EXPECT_FALSE(fs::exists(root / "models--org--name/refs" / commit));
  put(root / "models--org--name/refs/main", "../../elsewhere");
  EXPECT_THROW(cache.find_commit("main"), Error);
}

TEST_F(HubCacheTest, WhatASnapshotLacks) {
  EXPECT_THAT(cache.missing_files(commit), UnorderedElementsAre("config.json", "model.safetensors"));
  const fs::path folder = cache.snapshot(commit);
  put(folder / "config.json", "{}");
  put(folder / "model.safetensors.index.json", R"({"weight_map": {"a": "s-1.safetensors", "b": "s-2.safetensors"}})");
  put(folder / "s-2.safetensors", "");
  EXPECT_THAT(cache.missing_files(commit), ElementsAre("s-1.safetensors"));
  put(folder / "s-1.safetensors", "");
  EXPECT_THAT(cache.missing_files(commit), ElementsAre());
  cache.record_files(ops, commit, {"config.json", "tokenizer.json"});
  EXPECT_THAT(*cache.recorded_files(commit), ElementsAre("config.json", "tokenizer.json"));
  EXPECT_THAT(cache.missing_files(commit), ElementsAre("tokenizer.json"));
}

TEST_F(HubCacheTest, OneSetOfWeights) {
  const auto shards = [](const std::string& index) { return std::vector<std::string>{"shard of " + index}; };
  EXPECT_THAT(weight_files({"model.safetensors", "pytorch_model.bin", "model.fp16.safetensors"}, shards),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(weight_files({"pytorch_model.bin", "model.safetensors.index.json"}, shards),
              ElementsAre("shard of model.safetensors.index.json", "model.safetensors.index.json"));
  EXPECT_THAT(weight_files({"pytorch_model.bin"}, shards), ElementsAre("pytorch_model.bin"));
  EXPECT_THAT(weight_files({"pytorch_model.bin.index.json"}, shards),
              ElementsAre("shard of pytorch_model.bin.index.json", "pytorch_model.bin.index.json"));
  EXPECT_THAT(weight_files({"consolidated.safetensors", "README.md"}, shards), ElementsAre());
}

TEST_F(HubCacheTest, IndexesThatLeadElsewhere) {
  for (const char* map : {R"({"a": "../x.safetensors"})", R"({"a": "/x"})", R"({"a": ".x"})", R"({"a": "x\ny"})",
                          R"({"a": 1})", R"([])"}) {
    put(root / "index.json", std::string(R"({"weight_map": )") + map + "}");
    EXPECT_THROW(shards_of_index(root / "index.json"), Error) << map;
  }
}

}  // namespace
}  // namespace rialto::hub
