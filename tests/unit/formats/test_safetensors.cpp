// safetensors: good files read back; every kind of lie is refused by name.
#include "rialto/formats/safetensors.h"
#include "tests/unit/formats/temp_file.h"

namespace rialto::formats {
namespace {

class Safetensors : public TempFolder {
 protected:
  SafetensorsHeader read(std::string_view json, std::string_view data) const {
    return read_safetensors_header(
        ReadFile(put("x.safetensors", le<uint64_t>(json.size()) + std::string(json) + std::string(data))));
  }
  std::string error(std::string_view json, std::string_view data = "") const {
    return input_error([&] { read(json, data); });
  }
};

TEST_F(Safetensors, ReadsBackWhatItWrites) {
  const std::vector<SafetensorsEntry> entries = {{"b", DType::kF32, {2, 3}},
                                                 {"a", DType::kBF16, {}},
                                                 {"none", DType::kI64, {0, 5}},
                                                 {"quote\" \n", DType::kU8, {3}}};
  const std::vector<std::string> data = {std::string(24, 'b'), "aa", "", "xyz"};
  const fs::path path = folder_ / "m.safetensors";
  write_safetensors(real_file_ops(), path, entries, {{"format", "pt"}}, [&](size_t i, const ByteSink& sink) {
    for (const char& c : data[i]) sink(bytes_of({&c, 1}));
  });
  const ReadFile file(path);
  const SafetensorsHeader header = read_safetensors_header(file);
  EXPECT_EQ(header.data_start % 8, 0u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  ASSERT_EQ(header.entries.size(), 4u);
  for (const SafetensorsEntry& entry : header.entries) {
    const auto source =
        std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.name == entry.name; });
    ASSERT_NE(source, entries.end());
    EXPECT_EQ(entry.dtype, source->dtype);
    EXPECT_EQ(entry.shape, source->shape);
    std::string bytes(entry.size(), '\0');
    file.read_at(header.data_start + entry.begin, std::as_writable_bytes(std::span(bytes)));
    EXPECT_EQ(bytes, data[static_cast<size_t>(source - entries.begin())]);
  }
}

TEST_F(Safetensors, WriterHoldsTheFillerToItsSizes) {
  for (const size_t given : {3u, 5u}) {
    EXPECT_THROW(write_safetensors(real_file_ops(), folder_ / "m", {{"a", DType::kF32, {1}}}, {},
                                   [&](size_t, const ByteSink& sink) { sink(bytes_of(std::string(given, 'x'))); }),
                 Error);
  }
  std::vector<SafetensorsEntry> twice = {{"a", DType::kF32, {1}}, {"a", DType::kF32, {1}}};
  EXPECT_THROW(make_safetensors_header(twice, {}), Error);
  std::vector<SafetensorsEntry> reserved = {{"__metadata__", DType::kF32, {1}}};
  EXPECT_THROW(make_safetensors_header(reserved, {}), Error);
}

TEST_F(Safetensors, EntriesComeInTheOrderOfTheirData) {
  const auto header = read(
      R"({"late":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"early":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})",
      "abc");
  EXPECT_EQ(header.entries[0].name, "early");
  EXPECT_EQ(header.entries[1].name, "late");
  EXPECT_TRUE(read("{}   ", "").entries.empty());
}

TEST_F(Safetensors, Truncated) {
  const std::string json = R"({"lm_head.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})";
  EXPECT_EQ(error(json, std::string(16, 'x')), "");
  const std::string message = error(json, std::string(12, 'x'));
  EXPECT_HAS(message, "'lm_head.weight' ends at data byte 16; the file has 12");
  EXPECT_HAS(message, "Hint: incomplete download?");
  const std::string whole = le<uint64_t>(json.size()) + json;
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(input_error([&] { read_safetensors_header(ReadFile(put("t", whole.substr(0, size)))); }), "") << size;
  }
}

TEST_F(Safetensors, OffsetsThatLie) {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  EXPECT_EQ(error(two("[0,2]", "[2,4]"), "1234"), "");
  EXPECT_HAS(error(two("[0,2]", "[1,3]"), "123"), "'b' overlaps");
  EXPECT_HAS(error(two("[0,2]", "[0,2]"), "12"), "overlaps");
  EXPECT_HAS(error(two("[0,2]", "[3,5]"), "12345"), "before 'b' belong to no tensor");
  EXPECT_HAS(error(two("[1,3]", "[3,5]"), "12345"), "belong to no tensor");
  EXPECT_HAS(error(two("[0,2]", "[2,4]"), "12345"), "after the last tensor");
  EXPECT_HAS(error(two("[2,0]", "[2,4]"), "1234"), "ends before it begins");
  EXPECT_HAS(error(two("[0,3]", "[3,5]"), "12345"), "do not fit its shape");
  EXPECT_HAS(error(two("[0,2]", "[18446744073709551614,18446744073709551615]"), "12"), "do not fit its shape");
  EXPECT_NE(error(two("[0]", "[2,4]"), "1234"), "");
  EXPECT_NE(error(two("[0,2,4]", "[2,4]"), "1234"), "");
  EXPECT_NE(error(two("[0,-2]", "[2,4]"), "1234"), "");
  EXPECT_NE(error(two("[0,2.0]", "[2,4]"), "1234"), "");
}

TEST_F(Safetensors, ShapesThatCannotExist) {
  EXPECT_HAS(error(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"), "too large");
  EXPECT_HAS(error(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})"), "too large");
  EXPECT_NE(error(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}})"), "");
  EXPECT_NE(error(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"), "");
  std::string many = "0";
  for (int i = 0; i < 100; ++i) many += ",0";
  EXPECT_NE(error(R"({"a":{"dtype":"F32","shape":[)" + many + R"(],"data_offsets":[0,0]}})"), "");
}

TEST_F(Safetensors, HeadersThatLie) {
  EXPECT_HAS(error(R"({"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}})", "1234"), "dtype that is not known");
  EXPECT_HAS(
      error(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
          "12"),
      "stands twice");
  EXPECT_HAS(error(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1"), "twice");
  EXPECT_HAS(error(R"({"a":{"dtype":"U8","shape":[1]}})", "1"), "needs dtype");
  EXPECT_HAS(error(R"({"__metadata__":{"a":"1","a":"2"}})"), "duplicate metadata");
  for (const char* json : {"[]",
                           "{",
                           "",
                           "null",
                           "{\"a\":1}",
                           "{\"a\":[]}",
                           "{\"a\":{\"x\":1}}",
                           "{\"a\":{\"dtype\":{}}}",
                           "{\"a\":{\"shape\":[[1]]}}",
                           "{\"a\":{\"shape\":[{}]}}",
                           "{\"__metadata__\":{\"a\":1}}",
                           "{\"__metadata__\":[]}",
                           "{\"__metadata__\":{\"a\":{}}}",
                           "{\"a\":{\"dtype\":1}}",
                           "{\"a\":null}",
                           "{}x",
                           "{\"\xFF\":{}}",
                           "{\"a\":{\"shape\":\"x\"}}",
                           "{\"a\":{\"dtype\":[]}}",
                           "{\"a\":{\"data_offsets\":[\"0\"]}}",
                           "{\"a\":true}"}) {
    EXPECT_NE(error(json), "") << json;
  }
}

TEST_F(Safetensors, HeaderLengthIsBounded) {
  const auto with_length = [&](uint64_t length) {
    return input_error([&] { read_safetensors_header(ReadFile(put("x", le<uint64_t>(length) + "{}"))); });
  };
  EXPECT_EQ(with_length(2), "");
  EXPECT_HAS(with_length(3), "longer than the file");
  EXPECT_HAS(with_length(100'000'001), "too long");
  EXPECT_HAS(with_length(UINT64_MAX), "too long");
  // A hundred megabytes of nested lists: refused at the first, whatever its length.
  EXPECT_NE(error("{\"a\":" + std::string(90'000'000, '[')), "");
}

}  // namespace
}  // namespace rialto::formats
