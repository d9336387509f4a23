// JSON: what is refused, where errors point, and Python's spelling.
#include <string>

#include <gtest/gtest.h>

#include "rialto/base/json.h"

namespace rialto {
namespace {

std::string error_of(std::string_view text) {
  try {
    parse_json(text, "f");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "";
}

TEST(Json, KeepsOrderAndTypes) {
  const Json value = parse_json(R"({"z": 1, "a": [true, null, -2, 1.5, "é\n"], "big": 18446744073709551615})", "f");
  EXPECT_EQ(value.begin().key(), "z");
  EXPECT_EQ(value["a"][4], "é\n");
  EXPECT_EQ(value["big"].get<uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json("\xEF\xBB\xBF[1]", "f")[0], 1);
}

TEST(Json, RefusesDamage) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "NaN", "[Infinity]", "[1] x", "{'a':1}", "{\"a\" 1}",
                           "\"\xFF\"", "1e999", "// c\n1", "[1", "\"\\ud800\"", "01"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
}

TEST(Json, ErrorsPointAtLineAndColumn) {
  EXPECT_EQ(error_of("{\n  \"a\": 1,\n  \"b\": x\n}").substr(0, 7), "[f:3:8]");
  const std::string duplicate = error_of("{\"a\": 1,\n \"b\": {\"c\": 1, \"c\": 2}}");
  EXPECT_EQ(duplicate.substr(0, 4), "[f:2") << duplicate;
  EXPECT_NE(duplicate.find("duplicate key"), std::string::npos);
  EXPECT_EQ(error_of("{\"a\": {\"x\": 1}, \"b\": {\"x\": 1}}"), "") << "keys of different objects";
}

TEST(Json, DepthIsBounded) {
  EXPECT_EQ(error_of(std::string(200, '[') + std::string(200, ']')), "");
  EXPECT_NE(error_of(std::string(100000, '[')), "");
}

TEST(Json, LongObjectsTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":" + std::to_string(i);
  const Json value = parse_json(text + "}", "f");
  EXPECT_EQ(value.size(), 200000u);
}

TEST(Json, PythonSpelling) {
  const Json value = parse_json(
      R"({"a":[],"b":{},"c":[1,2.0,1e-05,1e16,0.0001,-0.0,1000000000000000019884624838656],"d":"\u0001\u007f\"\\/é","e":[null,true]})",
      "f");
  EXPECT_EQ(to_python_json(value),
            "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    2.0,\n    1e-05,\n    1e+16,\n    0.0001,\n    "
            "-0.0,\n    "
            "1000000000000000019884624838656\n  ],\n  \"d\": \"\\u0001\x7f\\\"\\\\/é\",\n  \"e\": [\n    null,\n    "
            "true\n  ]\n}");
  EXPECT_EQ(to_python_json(parse_json(R"({"a":[1,2],"b":3})", "f"), -1), R"({"a": [1, 2], "b": 3})");
}

TEST(Json, IntegersThatWouldChangeAreRefused) {
  EXPECT_NE(error_of("1000000000000000000000000000001"), "");
  EXPECT_EQ(error_of("1000000000000000019884624838656"), "");
}

}  // namespace
}  // namespace rialto
