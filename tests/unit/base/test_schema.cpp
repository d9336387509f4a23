// Scalars: how they are read, typed and written.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"

namespace rialto {
namespace {

using Kind = Node::Kind;

Kind kind_of(std::string_view text) { return parse_yaml_value(text).kind; }

TEST(Scalar, Kinds) {
  for (const char* text : {"null", "~", "Null", "NULL"}) EXPECT_EQ(kind_of(text), Kind::kNull) << text;
  for (const char* text : {"true", "False", "TRUE"}) EXPECT_EQ(kind_of(text), Kind::kBool) << text;
  for (const char* text : {"0", "-3", "+7", "1_000", "0x1F", "0o17", "9223372036854775807", "-9223372036854775808"})
    EXPECT_EQ(kind_of(text), Kind::kInt) << text;
  for (const char* text : {"1e-5", "3e-4", "1E5", "1.", ".5", "-1.5e+3", "1_0.5", ".inf", "-.Inf", ".nan"})
    EXPECT_EQ(kind_of(text), Kind::kFloat) << text;
  for (const char* text : {"yes", "no", "on", "1.2.3", "e5", ".", "-", "+", "1e", "1e+", "0x", "0xG", "inf", "nan",
                           "1-2", "_1", "1:30", "2024-01-01", "--1"}) {
    EXPECT_EQ(kind_of(text), Kind::kString) << text;
  }
}

TEST(Scalar, Values) {
  EXPECT_EQ(parse_yaml_value("1_000").integer, 1000);
  EXPECT_EQ(parse_yaml_value("-0x10").integer, -16);
  EXPECT_EQ(parse_yaml_value("0o17").integer, 15);
  EXPECT_EQ(parse_yaml_value("3e-4").number, 3e-4);
  EXPECT_EQ(parse_yaml_value("-.inf").number, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_yaml_value("-9223372036854775808").integer, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(parse_yaml_value("7").number, 7.0);
}

TEST(Scalar, Refused) {
  EXPECT_THROW(parse_yaml_value("9223372036854775808"), Error);
  EXPECT_THROW(parse_yaml_value("010"), Error);
  EXPECT_THROW(parse_yaml_value("1e999"), Error);
}

TEST(Scalar, TypedReaders) {
  EXPECT_TRUE(read_bool(parse_yaml_value("true")));
  EXPECT_EQ(read_int(parse_yaml_value("1e6")), 1000000);
  EXPECT_EQ(read_float(parse_yaml_value("3")), 3.0);
  EXPECT_EQ(read_string(parse_yaml_value("3")), "3");
  EXPECT_THROW(read_int(parse_yaml_value("1.5")), Error);
  EXPECT_THROW(read_int(parse_yaml_value("1e300")), Error);
  EXPECT_THROW(read_int(parse_yaml_value(".nan")), Error);
  EXPECT_THROW(read_bool(parse_yaml_value("yes")), Error);
  EXPECT_THROW(read_float(parse_yaml_value("true")), Error);
  EXPECT_THROW(read_string(parse_yaml_value("[a]")), Error);
  EXPECT_THROW(read_string(parse_yaml_value("null")), Error);
  try {
    read_int(parse_yaml("a:\n  b: many", "f.yaml").items[0].items[0]);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[f.yaml:2] wrong type; got 'many', want a whole number");
  }
}

TEST(Scalar, NumbersReadBack) {
  for (const double value : {0.0, 1.0, -1.5, 1e-5, 3e-4, 1e22, 1e300, 0.1, 5e-324, 123456789.0}) {
    const std::string text = write_scalar(value);
    const Node node = parse_yaml_value(text);
    EXPECT_EQ(node.kind, Kind::kFloat) << text;
    EXPECT_EQ(node.number, value) << text;
    EXPECT_NE(text.find('.'), std::string::npos) << "YAML 1.1 readers want a point: " << text;
  }
  EXPECT_EQ(write_scalar(1e-5), "1.0e-05");
  EXPECT_TRUE(std::isnan(parse_yaml_value(write_scalar(std::nan(""))).number));
  EXPECT_EQ(write_scalar(int64_t{-5}), "-5");
}

TEST(Scalar, TextsReadBack) {
  for (const std::string text : {"",
                                 "plain",
                                 "true",
                                 "3",
                                 "1e-5",
                                 "null",
                                 "~",
                                 "a: b",
                                 "#x",
                                 " space ",
                                 "yes",
                                 "No",
                                 "caf\xC3\xA9",
                                 "a\nb",
                                 "\"q\"",
                                 "'",
                                 "-",
                                 "- a",
                                 "[x]",
                                 "{",
                                 "*a",
                                 "&a",
                                 "!t",
                                 "%d",
                                 "@x",
                                 "a #b",
                                 "tab\there",
                                 "back\\slash",
                                 "/p/a-b_c.d+e",
                                 "\x01",
                                 ".inf",
                                 "010",
                                 "99999999999999999999"}) {
    const std::string written = "k: " + write_scalar(text) + "\n";
    const Node root = parse_yaml(written, "f");
    EXPECT_EQ(root.items[0].kind, Kind::kString) << written;
    EXPECT_EQ(root.items[0].text, text) << written;
  }
  EXPECT_EQ(write_scalar(std::string("plain/path-1.0b")), "plain/path-1.0b");
  EXPECT_EQ(write_scalar(std::string("off")), "\"off\"");
}

}  // namespace
}  // namespace rialto
