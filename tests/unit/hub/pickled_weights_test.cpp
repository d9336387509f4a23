// pytorch_model.bin as a source of weights: state dicts as torch.save writes them, and those that are refused.
#include <cstring>
#include <fstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/source_layout.h"

namespace rialto::hub {
namespace {

using formats::PicklePtr;
using testing::ElementsAre;
using testing::HasSubstr;

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// A view of storage `key`, which has `elements` floats.
PicklePtr view(std::string key, int64_t elements, int64_t offset, std::vector<int64_t> sizes,
               std::vector<int64_t> strides) {
  std::vector<PicklePtr> shape, steps;
  for (const int64_t size : sizes) shape.push_back(formats::p_int(size));
  for (const int64_t stride : strides) steps.push_back(formats::p_int(stride));
  const PicklePtr storage =
      formats::p_tuple({formats::p_str("storage"), formats::p_global("torch", "FloatStorage"),
                        formats::p_str(std::move(key)), formats::p_str("cpu"), formats::p_int(elements)});
  return formats::p_call(
      formats::p_global("torch._utils", "_rebuild_tensor_v2"),
      {formats::p_persistent(storage), formats::p_int(offset), formats::p_tuple(shape), formats::p_tuple(steps),
       formats::p_bool(false), formats::p_call(formats::p_global("collections", "OrderedDict"), {})});
}

class PickledWeights : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(dir);
    std::ofstream(dir / "config.json") << R"({"architectures": ["LlamaForCausalLM"]})";
  }
  void TearDown() override { fs::remove_all(dir); }

  void put(const std::string& name, const std::string& bytes) { std::ofstream(dir / name, std::ios::binary) << bytes; }
  void put_dict(const std::string& name, std::vector<std::pair<std::string, PicklePtr>> items,
                const std::vector<std::pair<std::string, std::string>>& storages) {
    std::vector<std::pair<PicklePtr, PicklePtr>> dict;
    for (auto& [key, value] : items) dict.emplace_back(formats::p_str(key), value);
    put(name, formats::make_torch_file(*formats::p_dict(std::move(dict)), storages));
  }
  std::vector<float> read(const HfDirectory& directory, const std::string& name) {
    const HfTensor& tensor = directory.tensors().at(name);
    std::vector<float> values(tensor.entry.size() / sizeof(float));
    directory.read(tensor, 0, std::as_writable_bytes(std::span(values)));
    return values;
  }
  std::string complaint() {
    try {
      HfDirectory directory(dir);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "";
  }

  const fs::path dir = fs::temp_directory_path() / ("rialto_pickled_" + std::to_string(::getpid()));
};

TEST_F(PickledWeights, ViewsAndAliasesAreTensorsOfTheirOwn) {
  put_dict("pytorch_model.bin",
           {{"whole", view("0", 6, 0, {2, 3}, {3, 1})},
            {"alias", view("0", 6, 0, {6}, {1})},
            {"row", view("0", 6, 3, {1, 3}, {99, 1})},
            {"other", view("7", 1, 0, {}, {})}},
           {{"0", floats({0, 1, 2, 3, 4, 5})}, {"7", floats({8})}});
  const HfDirectory directory(dir);
  EXPECT_EQ(&directory.format(), &kPickleFormat);
  EXPECT_EQ(directory.tensors().size(), 4u);
  EXPECT_EQ(directory.tensors().at("whole").entry.shape, (Shape{2, 3}));
  EXPECT_THAT(read(directory, "whole"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read(directory, "alias"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read(directory, "row"), ElementsAre(3, 4, 5));
  EXPECT_THAT(read(directory, "other"), ElementsAre(8));
  float last = 0;
  directory.read(directory.tensors().at("row"), 8, std::as_writable_bytes(std::span(&last, 1)));
  EXPECT_EQ(last, 5);
}

TEST_F(PickledWeights, ShardsAreWrittenBackAsSafetensors) {
  put_dict("pytorch_model-00001-of-00002.bin", {{"a", view("0", 1, 0, {1}, {1})}}, {{"0", floats({1})}});
  put_dict("pytorch_model-00002-of-00002.bin", {{"b", view("0", 1, 0, {1}, {1})}}, {{"0", floats({2})}});
  put("pytorch_model.bin.index.json",
      R"({"metadata": {"total_size": 8}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin",
          "b": "pytorch_model-00002-of-00002.bin"}})");
  const HfDirectory directory(dir);
  EXPECT_THAT(read(directory, "b"), ElementsAre(2));
  const SourceLayout layout = layout_of(directory);
  EXPECT_TRUE(layout.indexed);
  EXPECT_EQ(layout.index_metadata.at("total_size"), 8);
  ASSERT_EQ(layout.shards.size(), 2u);
  EXPECT_EQ(layout.shards[1].file, "model-00002-of-00002.safetensors");
  const Json written = parse_json(to_json(layout).dump(), "test");
  EXPECT_EQ(parse_layout(written, "test").shards[1].tensors[0].name, "b");
}

TEST_F(PickledWeights, SafetensorsComeFirst) {
  put("pytorch_model.bin", "not looked at");
  formats::write_safetensors(real_file_ops(), dir / "model.safetensors", {}, {}, {});
  EXPECT_EQ(&HfDirectory(dir).format(), &kSafetensorsFormat);
}

TEST_F(PickledWeights, WhatTheIndexSaysIsHeld) {
  put_dict("pytorch_model-1.bin", {{"a", view("0", 1, 0, {1}, {1})}}, {{"0", floats({1})}});
  put("pytorch_model.bin.index.json", R"({"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-1.bin"}})");
  EXPECT_THAT(complaint(), HasSubstr("lacks tensor 'b'"));
  put("pytorch_model.bin.index.json", R"({"weight_map": {"a": "pytorch_model-2.bin"}})");
  EXPECT_THAT(complaint(), HasSubstr("pytorch_model-2.bin] is missing"));
  put("pytorch_model.bin.index.json", R"({"weight_map": {"a": "../x.bin"}})");
  EXPECT_THAT(complaint(), HasSubstr("plain .bin file name"));
}

TEST_F(PickledWeights, RefusedWithTheTensorsName) {
  const std::vector<std::pair<std::string, std::string>> six = {{"0", floats({0, 1, 2, 3, 4, 5})}};
  const auto refuse = [&](PicklePtr value) {
    put_dict("pytorch_model.bin", {{"w", std::move(value)}}, six);
    return complaint();
  };
  EXPECT_THAT(refuse(view("0", 6, 0, {3, 2}, {1, 3})), AllOf(HasSubstr("'w'"), HasSubstr("not contiguous")));
  EXPECT_THAT(refuse(view("0", 6, 1, {6}, {1})), HasSubstr("outside its storage"));
  EXPECT_THAT(refuse(view("0", 7, 0, {7}, {1})), HasSubstr("longer than its storage"));
  EXPECT_THAT(refuse(view("9", 6, 0, {6}, {1})), HasSubstr("no storage '9'"));
  EXPECT_THAT(refuse(formats::p_int(3)), HasSubstr("'w'"));
  EXPECT_THAT(refuse(formats::p_dict({})), HasSubstr("'w'"));
  EXPECT_THAT(refuse(formats::p_call(formats::p_global("os", "system"), {formats::p_str("true")})),
              HasSubstr("os.system"));
  put("pytorch_model.bin", formats::make_torch_file(*formats::p_list({}), {}));
  EXPECT_THAT(complaint(), HasSubstr("no dict"));
  put("pytorch_model.bin", "\x80\x02}q\x00.");
  EXPECT_THAT(complaint(), HasSubstr("torch archive"));
}

}  // namespace
}  // namespace rialto::hub
