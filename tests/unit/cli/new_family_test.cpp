// Starting a family: what the nearest family explains, what it does not, and the file that comes of it.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "rialto/bridge/plan.h"
#include "rialto/cli/family_draft.h"
#include "rialto/cli/nearest_family.h"
#include "rialto/families/source.h"
#include "rialto/resolve/resolve.h"
#include "tests/unit/convert/toy.h"
#include "tests/unit/resolve/published.h"

namespace rialto::cli {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// A published model under another name, its layers few, with the tensors that its family's files hold.
DraftSource renamed(const test::Published& published) {
  DraftSource source{.config = test::published(published.name), .where = "config.json", .tensors = {}, .notes = {}};
  if (!source.config.contains("layer_types") || source.config["layer_types"].is_null())
    source.config["num_hidden_layers"] = std::min<int64_t>(source.config["num_hidden_layers"].get<int64_t>(), 4);
  if (source.config.contains("moe_layer_end_index")) source.config["moe_layer_end_index"] = 3;
  const resolve::Resolved resolved = resolve::model_from_hf(source.config, published.name);
  for (const bridge::TensorInfo& tensor : bridge::make_map(resolved.model, resolved.family->params).hf)
    source.tensors.push_back({tensor.name, tensor.shape, tensor.dtype});
  source.config["architectures"] = {"FooForCausalLM"};
  source.config["model_type"] = "foo_type";
  return source;
}
DraftSource renamed(const std::string& name) {
  for (const test::Published& each : test::kPublished)
    if (name == each.name) return renamed(each);
  throw Error(ErrorKind::kInternal, "test", "no such model");
}

std::vector<std::string> lines_of(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
bool is_comment(const std::string& line) {
  const size_t at = line.find_first_not_of(' ');
  return at != std::string::npos && line.compare(at, 2, "//") == 0;
}
std::vector<std::string> code_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::string& line : lines_of(text))
    if (!line.empty() && !is_comment(line)) lines.push_back(std::move(line));
  return lines;
}

TEST(TensorPatterns, NumbersBecomeWildcards) {
  EXPECT_EQ(pattern_of("model.layers.3.mlp.experts.17.w1.weight", 4).pattern,
            "model.layers.{l}.mlp.experts.{e}.w1.weight");
  EXPECT_EQ(pattern_of("model.layers.4.enorm.weight", 4).pattern, "model.layers.{L+m}.enorm.weight");
  EXPECT_EQ(pattern_of("model.layers.5.enorm.weight", 4).first, 1);
  EXPECT_EQ(pattern_of("model.mtp_layers.0.norm.weight", 4).pattern, "model.mtp_layers.{m}.norm.weight");
  EXPECT_EQ(pattern_of("model.layers.03.norm1.weight", 4).pattern, "model.layers.03.norm1.weight");
  EXPECT_EQ(pattern_of("a.1.b.2.c.3", 9).pattern, "a.{l}.b.{e}.c.3");
  EXPECT_EQ(pattern_of("", 4).pattern, "");
  EXPECT_EQ(pattern_of("a..1.", 4).pattern, "a..{l}.");
}

TEST(TensorPatterns, GroupsSayExactlyWhichNumbersTheyHave) {
  std::vector<bridge::SourceTensor> tensors;
  for (const int layer : {0, 1, 2, 5})
    for (int expert = 0; expert < (layer == 2 ? 3 : 4); ++expert)
      tensors.push_back({"l." + std::to_string(layer) + ".e." + std::to_string(expert), {layer == 5 ? 7 : 8, 2}, {}});
  tensors.push_back({"norm", {3}, {}});
  const std::vector<TensorGroup> groups = group_by_pattern(tensors, 9, true);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].numbers, "l 0-1, 5: e 0-3; l 2: e 0-2");
  EXPECT_EQ(groups[0].names.size(), 15u);
  EXPECT_THAT(groups[0].shapes, ElementsAre(Shape{8, 2}, Shape{7, 2}));
  EXPECT_EQ(groups[1].numbers, "");
  EXPECT_THAT(group_by_pattern(tensors, 9, false)[0].shapes, IsEmpty());
}

TEST(NewFamily, EveryModelUnderAnotherNameIsExplainedByItsOwnFamily) {
  for (const test::Published& each : test::kPublished) {
    const FamilyDraft draft = draft_family("foo", renamed(each));
    // Families whose files and keys are the same but for defaults and traits.
    const std::string_view own = each.family, found = draft.base->name;
    EXPECT_TRUE(found == own || families::find_by_name(own)->params.data() == draft.base->params.data())
        << own << " " << found;
    EXPECT_EQ(draft.num_matched, draft.num_tensors) << each.name;
    EXPECT_GT(draft.num_tensors, 10u) << each.name;
    EXPECT_THAT(draft.unmatched, IsEmpty()) << each.name;
    EXPECT_THAT(draft.unused, IsEmpty()) << each.name;
    EXPECT_THAT(draft.missing, IsEmpty()) << each.name;
    EXPECT_THAT(draft.refusal, "") << each.name;
    EXPECT_THAT(draft.new_keys, IsEmpty()) << each.name;
  }
}

TEST(NewFamily, TheFileIsTheNearestFamilysUnderItsNames) {
  for (const test::Published& each : test::kPublished) {
    const FamilyDraft draft = draft_family("foo", renamed(each));
    const std::vector<std::string> base = code_of(families::source_of(*draft.base)), code = code_of(family_file(draft));
    const std::string text = family_file(draft);
    for (const char* line : {"const Family foo_family = {", "    .name = \"foo\",", "    .title = \"Foo\",",
                             "    .model_type = \"foo_type\",", "extern const Family foo_family;",
                             "constexpr std::string_view kArchitectures[] = {\"FooForCausalLM\"};"})
      EXPECT_NE(std::find(code.begin(), code.end(), line), code.end()) << each.name << ": " << line << "\n" << text;
    for (const std::string& line : code)
      EXPECT_TRUE(std::find(base.begin(), base.end(), line) != base.end() || line.find("oo") != std::string::npos ||
                  line.find("MLAModelProvider") != std::string::npos)
          << each.name << ": " << line;
    EXPECT_LE(base.size() - code.size(), 1u) << each.name;  // a provider named for another family
    for (const std::string_view architecture : draft.base->architectures)
      EXPECT_EQ(text.find("\"" + std::string(architecture) + "\""), std::string::npos) << each.name;
  }
}

/// Qwen 3 with a gate per head, a shared expert's tensor, a norm that is gone, a projection of another shape, and keys.
DraftSource like_qwen3() {
  DraftSource source = renamed("Qwen 3 8B with YaRN");
  std::erase_if(source.tensors,
                [](const auto& tensor) { return tensor.name == "model.layers.2.mlp.down_proj.weight"; });
  for (bridge::SourceTensor& tensor : source.tensors)
    if (tensor.name.ends_with("o_proj.weight")) tensor.shape = {4096, 4000};
  for (const char* layer : {"0", "1", "3"})
    source.tensors.push_back({std::string("model.layers.") + layer + ".self_attn.head_gate.weight", {32, 4096}, {}});
  source.tensors.push_back({"model.layers.1.mlp.shared_experts.up_proj.weight", {64, 4096}, {}});
  source.tensors.push_back({"model.layers.4.mlp.down_proj.weight", {4096, 12288}, {}});
  source.config["head_gate"] = "sig\"moid";
  source.config["n_shared_experts"] = 1;
  source.config["attention_bias"] = true;
  return source;
}

TEST(NewFamily, WhatTheRowsDoNotExplainIsNamed) {
  const FamilyDraft draft = draft_family("foo", like_qwen3());
  EXPECT_EQ(draft.base->name, "qwen3");
  ASSERT_EQ(draft.unmatched.size(), 3u);
  EXPECT_EQ(draft.unmatched[0].pattern, "model.layers.{l}.self_attn.head_gate.weight");
  EXPECT_EQ(draft.unmatched[0].numbers, "l 0-1, 3");
  EXPECT_EQ(draft.unmatched[0].note, "");
  EXPECT_THAT(draft.unmatched[1].note, HasSubstr("has a row: model.layers.{l}.mlp.shared_experts.{gate,up}_proj"));
  EXPECT_EQ(draft.unmatched[2].pattern, "model.layers.{L+m}.mlp.down_proj.weight");
  ASSERT_EQ(draft.missing.size(), 1u);
  EXPECT_THAT(draft.missing[0].names, ElementsAre("model.layers.2.mlp.down_proj.weight"));
  ASSERT_EQ(draft.reshaped.size(), 1u);
  EXPECT_THAT(draft.reshaped[0].note, HasSubstr("(4096, 4096)"));
  EXPECT_EQ(draft.num_matched + 5 + 4, draft.num_tensors);
  ASSERT_EQ(draft.new_keys.size(), 2u);
  EXPECT_EQ(draft.new_keys[0].value, "\"sig\\\"moid\"");
  EXPECT_THAT(draft.new_keys[1].note, HasSubstr("has a row"));
  ASSERT_EQ(draft.refused_keys.size(), 1u);
  EXPECT_EQ(draft.refused_keys[0].note, "a row accepts false");

  const std::string text = draft_to_text(draft_to_json(draft, "foo.cpp")), file = family_file(draft);
  for (const char* word : {"head_gate.weight", "l 0-1, 3", "(32, 4096)", "shared_experts.up_proj.weight",
                           "model.layers.{L+m}.mlp.down_proj.weight", "down_proj.weight", "(4096, 4000)",
                           "n_shared_experts", "a row accepts false"}) {
    EXPECT_THAT(text, HasSubstr(word));
    EXPECT_THAT(file, HasSubstr(word));
  }
  EXPECT_THAT(text, HasSubstr("matched " + std::to_string(draft.num_matched) + " of "));
  EXPECT_THAT(text, AllOf(HasSubstr("CMake"), HasSubstr("tests/oracle/toy_table.py")));
  std::set<std::string> named;
  const Json json = draft_to_json(draft, "-");
  for (const Json& group : json["unmatched"])
    for (const Json& name : group["tensors"]) named.insert(name.get<std::string>());
  EXPECT_EQ(named.size(), 5u);
}

TEST(NewFamily, RowsWithoutTensorsAndPartsThatNothingAsksForAreNamed) {
  DraftSource source = renamed("DeepSeek V2 Lite");  // queries are projected at once
  source.tensors.push_back({"model.layers.0.self_attn.q_a_proj.weight", {1536, 2048}, {}});
  const FamilyDraft draft = draft_family("foo", source);
  ASSERT_EQ(draft.unused.size(), 1u);
  EXPECT_EQ(draft.unused[0].pattern, "model.layers.{l}.self_attn.q_a_proj.weight");
  EXPECT_THAT(draft.idle_rows, testing::Contains("model.layers.{l}.self_attn.q_b_proj.weight"));
  EXPECT_THAT(draft.idle_rows, Not(testing::Contains("model.layers.{l}.self_attn.q_proj.weight")));
  EXPECT_THAT(family_file(draft), HasSubstr("//   model.layers.{l}.self_attn.q_b_proj.weight\n"));
}

TEST(NewFamily, AConfigOfWhichTheRowsMakeNoModelStillHasADraft) {
  DraftSource source = renamed("Qwen 3 8B with YaRN");
  source.config.erase("hidden_size");
  source.config["hidden_act"] = "swish9";
  const FamilyDraft draft = draft_family("foo", source);
  EXPECT_THAT(draft.absent_keys, ElementsAre("hidden_size"));
  EXPECT_THAT(draft.refusal, HasSubstr("hidden_size"));
  EXPECT_EQ(draft.num_matched, draft.num_tensors);  // by name
  EXPECT_THAT(draft_to_text(draft_to_json(draft, "-")), HasSubstr("compared by name only"));
  EXPECT_THAT(family_file(draft), HasSubstr("//   \"hidden_size\""));
}

TEST(NewFamily, NamesFromFilesCannotLeaveTheirComment) {
  DraftSource source = renamed("Qwen 3 8B with YaRN");
  source.tensors.push_back({"x\nint out_of_the_comment;\\", {1}, {}});
  source.config["y\n};int out_of_the_comment;"] = "\n\\";
  const FamilyDraft draft = draft_family("foo", source);
  for (const std::string& line : lines_of(family_file(draft))) {
    if (line.find("out_of_the_comment") != std::string::npos) EXPECT_TRUE(is_comment(line)) << line;
    EXPECT_FALSE(line.ends_with('\\')) << line;  // would take the next line into the comment
  }
  source.config["architectures"] = {"Foo\"}; int x"};
  EXPECT_THROW(draft_family("foo", source), Error);
  source.config["architectures"] = {"FooForCausalLM"};
  source.config["model_type"] = "a\"";
  EXPECT_THROW(draft_family("foo", source), Error);
}

TEST(NewFamily, NamesThatNoFamilyCanHaveAreRefused) {
  const DraftSource source = renamed("Qwen 3 8B with YaRN");
  for (const char* name :
       {"", "Foo", "3foo", "foo-moe", "foo__moe", "foo_", "_foo", "foo.cpp", "a/b", "qwen3", "llama"})
    try {
      draft_family(name, source);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << name;
      EXPECT_THAT(error.what(), HasSubstr(name));
    }
  EXPECT_EQ(draft_family("foo3_moe", source).name, "foo3_moe");
}

TEST(NewFamily, FilesOfEveryKindCompile) {
  const convert::TempDir dir;
  std::string files;
  for (const char* name : {"Qwen 3 8B with YaRN", "DeepSeek V3", "GPT-OSS 20B"}) {
    DraftSource source = name[0] == 'Q' ? like_qwen3() : renamed(name);
    const fs::path path = dir / ("foo" + std::to_string(files.size()) + ".cpp");
    std::ofstream(path) << family_file(draft_family("foo", source));
    files += " " + path.string();
  }
  EXPECT_EQ(std::system((RIALTO_COMPILER " -std=c++20 -fsyntax-only -I" RIALTO_SOURCE_DIR "/src" + files).c_str()), 0);
}

class DraftSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    config["architectures"] = {"FooForCausalLM"};
    config["mlp_bias"] = false;  // which Llama's configs say and Mistral's do not
    tensors = convert::toy_tensors(convert::toy_config());
  }
  std::string complaint(ErrorKind kind) {
    try {
      read_draft_source(dir);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "";
  }

  convert::TempDir dir;
  Json config = convert::toy_config();
  std::vector<convert::ToyTensor> tensors;
};

TEST_F(DraftSourceTest, HeadersGiveNamesAndShapes) {
  convert::write_hf(dir, config, tensors, 2);
  const FamilyDraft draft = draft_family("foo", read_draft_source(dir));
  EXPECT_EQ(draft.base->name, "llama");
  EXPECT_TRUE(draft.has_shapes);
  EXPECT_EQ(draft.num_matched, tensors.size());
}

TEST_F(DraftSourceTest, AnIndexGivesNamesOfShardsThatAreNotHere) {
  tensors.push_back({"model.layers.0.extra", DType::kBF16, {1}, "ab"});
  convert::write_hf(dir, config, tensors, 2);
  for (const char* shard : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    fs::remove(dir / shard);
    const FamilyDraft draft = draft_family("foo", read_draft_source(dir));
    EXPECT_FALSE(draft.has_shapes);
    EXPECT_EQ(draft.num_matched, tensors.size() - 1);
    EXPECT_THAT(draft.reshaped, IsEmpty());
    EXPECT_THAT(draft.unmatched[0].shapes, IsEmpty());
    EXPECT_THAT(draft.notes, ElementsAre(HasSubstr("shapes were not")));
  }
}

TEST_F(DraftSourceTest, CodedTensorsAreSeenDecoded) {
  for (convert::ToyTensor& tensor : tensors)
    if (tensor.name == "model.layers.0.mlp.up_proj.weight") {
      tensor.dtype = DType::kF8E4M3;
      tensor.bytes.resize(tensor.bytes.size() / 2);
    }
  convert::write_hf(dir, config, tensors);
  const FamilyDraft stored = draft_family("foo", read_draft_source(dir));
  EXPECT_THAT(stored.notes, ElementsAre(AllOf(HasSubstr("as they are stored"), HasSubstr("without their scales"))));
  tensors.push_back({"model.layers.0.mlp.up_proj.weight_scale_inv", DType::kF32, {1, 1}, std::string(4, '\0')});
  convert::write_hf(dir, config, tensors);
  const FamilyDraft draft = draft_family("foo", read_draft_source(dir));
  EXPECT_THAT(draft.notes, IsEmpty());
  EXPECT_THAT(draft.unmatched, IsEmpty());
  EXPECT_EQ(draft.num_matched, tensors.size() - 1);
}

TEST_F(DraftSourceTest, CodeOfTheRepositoryIsNamedAsTheSourceToRead) {
  convert::write_hf(dir, config, tensors);
  EXPECT_THAT(read_draft_source(dir).notes, IsEmpty());
  for (const char* name : {"modeling_foo.py", "configuration_foo.py"}) convert::write_text(dir / name, "");
  EXPECT_THAT(read_draft_source(dir).notes,
              ElementsAre(AllOf(HasSubstr("never run"), HasSubstr("configuration_foo.py, modeling_foo.py"))));
}

TEST_F(DraftSourceTest, OtherFoldersAreRefused) {
  EXPECT_THAT(complaint(ErrorKind::kInput), HasSubstr("no config.json"));
  convert::write_hf(dir, convert::toy_config(), tensors);
  EXPECT_THAT(complaint(ErrorKind::kConfig), AllOf(HasSubstr("LlamaForCausalLM"), HasSubstr("family 'llama'")));
  convert::write_text(dir / "config.json", "[]");
  EXPECT_THAT(complaint(ErrorKind::kInput), HasSubstr("config.json"));
  convert::write_text(dir / "config.json", "{}");
  EXPECT_THAT(complaint(ErrorKind::kInput), HasSubstr("does not say which model"));
  convert::write_hf(dir, config, tensors);
  fs::remove(dir / "model.safetensors");
  EXPECT_THAT(complaint(ErrorKind::kInput), HasSubstr("holds no weights"));
}

}  // namespace
}  // namespace rialto::cli
