// YAML documents: structure, line numbers, aliases, and what is refused.
#include <string>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"

namespace rialto {
namespace {

std::string error_of(std::string_view text) {
  try {
    parse_yaml(text, "f.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "";
}

TEST(Yaml, NodesKnowTheirLines) {
  const Node root = parse_yaml("a: 1\nb:\n  - x\n  - {c: 2.5}\n", "f.yaml");
  ASSERT_EQ(root.kind, Node::Kind::kMap);
  EXPECT_EQ(root.find("a")->integer, 1);
  const Node& list = *root.find("b");
  EXPECT_EQ(list.items[1].find("c")->where(), "f.yaml:4");
  EXPECT_EQ(list.items[0].text, "x");
  EXPECT_EQ(root.find("z"), nullptr);
}

TEST(Yaml, EmptyDocumentIsNull) {
  EXPECT_EQ(parse_yaml("", "f").kind, Node::Kind::kNull);
  EXPECT_EQ(parse_yaml("# only a comment\n", "f").kind, Node::Kind::kNull);
}

TEST(Yaml, QuotedIsText) {
  const Node root = parse_yaml("a: '1'\nb: \"true\"\nc: !!str 2\n", "f");
  for (const Node& item : root.items) EXPECT_EQ(item.kind, Node::Kind::kString);
}

TEST(Yaml, AnchorsAndMerge) {
  const Node root = parse_yaml("base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\nsame: *b\n", "f");
  EXPECT_EQ(root.find("mine")->find("x")->integer, 1);
  EXPECT_EQ(root.find("mine")->find("y")->integer, 3);
  EXPECT_EQ(root.find("same")->find("y")->integer, 2);
}

TEST(Yaml, Refuses) {
  EXPECT_NE(error_of("a: 1\na: 2\n").find("[f.yaml:2] duplicate key 'a'"), std::string::npos);
  EXPECT_NE(error_of("a: [1, 2\nb: 3"), "");
  EXPECT_NE(error_of("a: *nothing"), "");
  EXPECT_NE(error_of("a: !!python/object:os.system {}"), "");
  EXPECT_NE(error_of("a: !!python/name:os.system x"), "");
  EXPECT_NE(error_of("[a]: 1"), "");
  EXPECT_NE(error_of("a: 1\n---\nb: 2"), "");
  EXPECT_NE(error_of("a: &x [*x]"), "");
  EXPECT_NE(error_of("\tb: 1"), "");
  EXPECT_NE(error_of(std::string(5 << 20, 'a')), "");
}

TEST(Yaml, AliasesCannotExpandWithoutBound) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string previous = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j ? ", " : "") + previous;
    text += "]\n";
  }
  EXPECT_NE(error_of(text).find("million"), std::string::npos);
}

TEST(Yaml, DepthIsBounded) {
  EXPECT_NE(error_of(std::string(50000, '[')), "");
  EXPECT_NE(error_of(std::string(300, '[') + std::string(300, ']')), "");
}

TEST(Yaml, OverrideValues) {
  EXPECT_EQ(parse_yaml_value("3").integer, 3);
  EXPECT_EQ(parse_yaml_value("1e-5").number, 1e-5);
  EXPECT_EQ(parse_yaml_value("[1, a]").items[1].text, "a");
  EXPECT_EQ(parse_yaml_value("{a: 1}").find("a")->integer, 1);
  EXPECT_EQ(parse_yaml_value("'7'").kind, Node::Kind::kString);
  EXPECT_EQ(parse_yaml_value("*.jsonl").text, "*.jsonl");
  EXPECT_EQ(parse_yaml_value("a: b").kind, Node::Kind::kString);
  EXPECT_EQ(parse_yaml_value("").kind, Node::Kind::kString);
  EXPECT_EQ(parse_yaml_value("null").kind, Node::Kind::kNull);
  EXPECT_THROW(parse_yaml_value("[1"), Error);
}

}  // namespace
}  // namespace rialto
