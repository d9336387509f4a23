// .metadata: reads back, tiles exactly, and refuses what does not fit together.
#include <chrono>

#include "rialto/formats/dcp_boxes.h"
#include "rialto/formats/dcp_metadata.h"
#include "rialto/formats/pickle.h"
#include "tests/unit/formats/temp_file.h"

namespace rialto::formats {
namespace {

DcpTensor tensor_of(Shape shape, std::vector<std::pair<Shape, Shape>> chunks) {
  DcpTensor tensor;
  tensor.shape = std::move(shape);
  for (auto& [offsets, sizes] : chunks) {
    tensor.chunks.push_back({.offsets = std::move(offsets),
                             .sizes = std::move(sizes),
                             .span = {"__0_0.distcp", 64 * tensor.chunks.size(), 64}});
  }
  return tensor;
}

DcpMetadata sample() {
  DcpMetadata metadata;
  metadata.tensors["a"] = tensor_of({4, 6}, {{{0, 0}, {2, 6}}, {{2, 0}, {2, 6}}});
  metadata.tensors["b"] = tensor_of({}, {{{}, {}}});
  metadata.tensors["b"].dtype = DType::kI64;
  metadata.tensors["c"] = tensor_of({2, 2, 2, 2}, {{{0, 0, 0, 0}, {2, 2, 2, 2}}});
  metadata.tensors["empty"] = tensor_of({0, 3}, {{{0, 0}, {0, 3}}});
  metadata.objects["x._extra_state/shard_0_1"] = {"__1_0.distcp", uint64_t{1} << 40, 1513};
  return metadata;
}

std::string error(const std::string& bytes) {
  return input_error([&] { parse_dcp_metadata(bytes_of(bytes), "test"); });
}
std::string error(const DcpMetadata& metadata) { return error(make_dcp_metadata(metadata)); }

TEST(DcpMetadata, ReadsBackWhatItWrites) {
  const DcpMetadata metadata = sample();
  const std::string bytes = make_dcp_metadata(metadata);
  const DcpMetadata back = parse_dcp_metadata(bytes_of(bytes), "test");
  ASSERT_EQ(back.tensors.size(), metadata.tensors.size());
  for (const auto& [key, tensor] : metadata.tensors) {
    const DcpTensor& got = back.tensors.at(key);
    EXPECT_EQ(got.dtype, tensor.dtype);
    EXPECT_EQ(got.shape, tensor.shape);
    ASSERT_EQ(got.chunks.size(), tensor.chunks.size());
    for (size_t i = 0; i < got.chunks.size(); ++i) {
      EXPECT_EQ(got.chunks[i].offsets, tensor.chunks[i].offsets);
      EXPECT_EQ(got.chunks[i].sizes, tensor.chunks[i].sizes);
      EXPECT_EQ(got.chunks[i].span, tensor.chunks[i].span);
    }
  }
  EXPECT_EQ(back.objects, metadata.objects);
  EXPECT_EQ(make_dcp_metadata(back), bytes);
  EXPECT_TRUE(parse_dcp_metadata(bytes_of(make_dcp_metadata({})), "test").tensors.empty());
}

TEST(DcpMetadata, TwoHundredThousandKeysAreQuick) {
  DcpMetadata metadata;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 200000; ++i) {
    const std::string key = "decoder.layers." + std::to_string(i) + ".mlp.experts.linear_fc1.weight";
    if (i % 2)
      metadata.objects[key] = {"__0_0.distcp", 0, 1513};
    else
      metadata.tensors[key] = tensor_of({64, 64}, {{{0, 0}, {64, 64}}});
  }
  const std::string bytes = make_dcp_metadata(metadata);
  const DcpMetadata back = parse_dcp_metadata(bytes_of(bytes), "test");
  EXPECT_EQ(back.tensors.size() + back.objects.size(), 200000u);
  EXPECT_LT(bytes.size(), 60u << 20);
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("seconds", std::to_string(seconds));
}

TEST(DcpMetadata, ManyChunksOfOneTensor) {
  DcpMetadata metadata;
  std::vector<std::pair<Shape, Shape>> chunks;
  for (int64_t layer = 0; layer < 61; ++layer) {
    for (int64_t expert = 0; expert < 256; ++expert) chunks.push_back({{layer, expert, 0, 0}, {1, 1, 8, 4}});
  }
  metadata.tensors["experts"] = tensor_of({61, 256, 8, 4}, chunks);
  EXPECT_EQ(error(metadata), "");
  metadata.tensors["experts"].chunks[7000].offsets[1] -= 1;
  EXPECT_NE(error(metadata), "");
}

TEST(DcpMetadata, ChunksMustTileTheTensor) {
  const auto with = [](Shape shape, std::vector<std::pair<Shape, Shape>> chunks) {
    return input_error([&] { check_tiling("t", tensor_of(shape, chunks), "test"); });
  };
  EXPECT_EQ(with({4}, {{{2}, {2}}, {{0}, {2}}}), "");
  EXPECT_HAS(with({4}, {{{0}, {2}}}), "not covered");
  EXPECT_HAS(with({4}, {}), "not covered");
  EXPECT_HAS(with({4}, {{{0}, {2}}, {{1}, {2}}}), "overlap");
  EXPECT_HAS(with({4}, {{{0}, {3}}, {{1}, {3}}}), "overlap");
  EXPECT_HAS(with({4}, {{{0}, {4}}, {{0}, {4}}}), "overlap");
  EXPECT_HAS(with({4}, {{{2}, {3}}}), "outside");
  EXPECT_HAS(with({4}, {{{-1}, {4}}}), "outside");
  EXPECT_HAS(with({4}, {{{0}, {-4}}}), "outside");
  EXPECT_HAS(with({4}, {{{INT64_MAX}, {4}}}), "outside");
  EXPECT_HAS(with({4}, {{{1}, {INT64_MAX}}}), "outside");
  EXPECT_HAS(with({2, 2}, {{{0}, {4}}}), "dimensions");
  EXPECT_EQ(with({0, 5}, {}), "");
  EXPECT_EQ(with({}, {{{}, {}}}), "");
  EXPECT_HAS(with({}, {{{}, {}}, {{}, {}}}), "overlap");
  // A pinwheel: no straight cut separates its five parts.
  EXPECT_EQ(with({3, 3}, {{{0, 0}, {1, 2}}, {{0, 2}, {2, 1}}, {{2, 1}, {1, 2}}, {{1, 0}, {2, 1}}, {{1, 1}, {1, 1}}}),
            "");
  EXPECT_HAS(with({3, 3}, {{{0, 0}, {1, 2}}, {{0, 2}, {2, 1}}, {{2, 1}, {1, 2}}, {{1, 0}, {2, 1}}, {{0, 1}, {1, 1}}}),
             "overlap");
}

TEST(DcpMetadata, SpansMustStayInTheFolder) {
  for (const std::string& file : {std::string("../x"), std::string("/etc/passwd"), std::string("a/../../b"),
                                  std::string(), std::string(".."), std::string("a\0b", 3)}) {
    DcpMetadata metadata = sample();
    metadata.objects.begin()->second.file = file;
    EXPECT_HAS(error(metadata), "outside of its folder");
  }
  DcpMetadata metadata = sample();
  metadata.objects.begin()->second.file = "sub/__0_0.distcp";
  EXPECT_EQ(error(metadata), "");
}

TEST(DcpMetadata, EveryTruncationIsAnError) {
  const std::string whole = make_dcp_metadata(sample());
  for (size_t size = 0; size < whole.size(); ++size) ASSERT_NE(error(whole.substr(0, size)), "") << size;
}

TEST(DcpMetadata, EveryByteFlippedIsReadOrRefused) {
  const std::string whole = make_dcp_metadata(sample());
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x10', '\x80', '\xFF'}) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      error(bad);  // checks the kind
    }
  }
}

TEST(DcpMetadata, OtherPicklesAreRefused) {
  const auto global = [](const char* name) { return p_global("torch.distributed.checkpoint.metadata", name); };
  const auto metadata_of = [&](PicklePtr keys, PicklePtr storage) {
    return write_pickle(*p_object(
        global("Metadata"), {},
        p_dict({{p_str("state_dict_metadata"), std::move(keys)}, {p_str("storage_data"), std::move(storage)}})));
  };
  EXPECT_EQ(error(metadata_of(p_dict(), p_dict())), "");
  EXPECT_HAS(error(write_pickle(*p_dict())), "not a torch.distributed.checkpoint Metadata");
  EXPECT_NE(error(write_pickle(*p_object(global("Metadata"), {}, p_dict()))), "");
  EXPECT_NE(error(write_pickle(*p_call(global("Metadata"), {}))), "");
  EXPECT_NE(error(metadata_of(p_list({}), p_dict())), "");
  EXPECT_NE(error(metadata_of(p_dict({{p_int(1), p_int(2)}}), p_dict())), "");
  EXPECT_NE(error(metadata_of(p_dict({{p_str("a"), p_int(2)}}), p_dict())), "");
  EXPECT_HAS(
      error(metadata_of(p_dict({{p_str("a"), p_object(global("BytesStorageMetadata"), {}, nullptr)}}), p_dict())),
      "does not say where 'a' lies");
  const auto index = [&](const char* key) {
    return p_object(global("MetadataIndex"), {}, p_dict({{p_str("fqn"), p_str(key)}}));
  };
  const auto span = [&] {
    return p_object(
        p_global("torch.distributed.checkpoint.filesystem", "_StorageInfo"), {},
        p_dict({{p_str("relative_path"), p_str("f")}, {p_str("offset"), p_int(0)}, {p_str("length"), p_int(1)}}));
  };
  EXPECT_HAS(error(metadata_of(p_dict(), p_dict({{index("lost"), span()}}))), "'lost' that no key describes");
  EXPECT_HAS(error(metadata_of(p_dict(), p_dict({{index("a"), span()}, {index("a"), span()}}))), "twice");
  const PicklePtr transformed = span();
  transformed->state->dict.emplace_back(p_str("transform_descriptors"), p_list({p_str("zstd")}));
  EXPECT_HAS(error(metadata_of(p_dict(), p_dict({{index("a"), transformed}}))), "transformed");
  EXPECT_HAS(error(metadata_of(p_dict({{p_str("a"), p_call(p_global("os", "system"), {p_str("id")})}}), p_dict())),
             "not allowed");
}

}  // namespace
}  // namespace rialto::formats
