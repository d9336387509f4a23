// The program as a user runs it: exit codes, one error line, help, what it is linked to.
#include <array>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "rialto/base/json.h"
#include "tests/unit/convert/toy.h"

namespace rialto::cli {
namespace {

using convert::TempDir;

struct Ran {
  int code = 0;
  std::string out, err;
};

/// Runs `rialto ARGUMENTS`, by the shell.
Ran rialto(const std::string& arguments, const std::string& environment = "") {
  const TempDir dir;
  const std::string command =
      environment + " " RIALTO_PROGRAM " " + arguments + " >" + (dir / "out").string() + " 2>" + (dir / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text_file(dir / "out"),
          read_text_file(dir / "err")};
}

void expect_refused(const Ran& ran, int code, const std::string& word) {
  EXPECT_EQ(ran.code, code) << ran.err;
  EXPECT_TRUE(ran.err.starts_with("error: ")) << ran.err;
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  EXPECT_NE(ran.err.find(word), std::string::npos) << ran.err;
}

TEST(Program, VersionAndHelp) {
  const Ran version = rialto("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("rialto 0.")) << version.out;
  for (const char* command :
       {"", "convert", "verify", "inspect", "models", "models new", "data", "data tokenize", "data train-tokenizer",
        "data ledger", "config", "config show", "config diff", "config explain", "config check"}) {
    const Ran help = rialto(std::string(command) + " --help");
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_NE(help.out.find("Usage"), std::string::npos) << command;
    EXPECT_EQ(help.err, "") << command;
  }
  EXPECT_NE(rialto("convert --help").out.find("Examples:"), std::string::npos);
}

TEST(Program, UsageErrors) {
  expect_refused(rialto(""), 2, "subcommand is required");
  expect_refused(rialto("convrt a b"), 2, "convrt");
  expect_refused(rialto("convert onlyone"), 2, "destination");
  expect_refused(rialto("convert a b --to gguf"), 2, "gguf");
  expect_refused(rialto("convert a b --nope"), 2, "--nope");
  expect_refused(rialto("inspect /nonexistent"), 3, "/nonexistent");
  expect_refused(rialto("models", "RIALTO_TEST_FAULT=rubbish"), 2, "rubbish");
}

TEST(Program, CommandsOfRialtoTrainWithoutIt) {
  const TempDir dir;
  fs::copy_file(RIALTO_PROGRAM, dir / "rialto");
  const std::string command =
      "PATH=/nonexistent " + (dir / "rialto").string() + " generate x 2>" + (dir / "err").string();
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_NE(read_text_file(dir / "err").find("rialto-train"), std::string::npos);
}

TEST(Program, HandsOverWithItsBuildId) {
  const TempDir dir;
  fs::copy_file(RIALTO_PROGRAM, dir / "rialto");
  std::ofstream(dir / "rialto-train") << "#!/bin/sh\necho \"$RIALTO_BUILD_ID_CHECK $*\"\nexit 42\n";
  fs::permissions(dir / "rialto-train", fs::perms::owner_all);
  for (const char* ending : {"b.idx", "b.bin"}) std::ofstream(dir / ending) << "";
  const std::string words = " train tiny_llama --set dataset.data_path=" + (dir / "b").string();
  const std::string command = (dir / "rialto").string() + words + " >" + (dir / "out").string();
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 42);
  const std::string out = read_text_file(dir / "out"), version = rialto("--version").out;
  EXPECT_NE(out.find(words), std::string::npos) << out;
  EXPECT_NE(version.find(out.substr(0, out.find(' '))), std::string::npos) << version;
}

TEST(Program, DataLedgerReadsARun) {
  const TempDir dir;
  const std::string run = fs::path(dir).string();
  expect_refused(rialto("data ledger " + run), 3, "ledger.jsonl");
  std::ofstream(dir / "ledger.jsonl")
      << R"({"iteration":5,"samples":10,"order":"ab","sources":[{"source":"x","samples":10,"tokens":40,"epochs":0.25}]})"
      << "\n"
      << R"({"iteration":9,"samples":18,"order":"cd","sources":[{"source":"x","samples":18,"tokens":72,"epochs":0.45}]})"
      << "\n";
  const Ran text = rialto("data ledger " + run);
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out,
            "iteration 9, 18 samples\n"
            "     samples          tokens      epochs  source\n"
            "          18              72      0.4500  x\n");
  const Json report = parse_json(rialto("data ledger --json " + run).out, "out");
  EXPECT_EQ(report["sources"][0]["tokens"], 72);
  EXPECT_EQ(report["saves"].dump(), R"([{"iteration":5,"samples":10},{"iteration":9,"samples":18}])");
}

TEST(Program, ConvertVerifyInspect) {
  const TempDir dir;
  convert::write_toy_hf(dir / "hf");
  const std::string hf = (dir / "hf").string(), native = (dir / "native").string(), back = (dir / "back").string();
  const Ran there = rialto("convert " + hf + " " + native + " --json");
  ASSERT_EQ(there.code, 0) << there.err;
  EXPECT_EQ(parse_json(there.out, "out")["to"], "megatron");
  ASSERT_EQ(rialto("convert " + native + " " + back).code, 0);
  convert::expect_same_folder(dir / "hf", dir / "back");
  EXPECT_EQ(rialto("verify " + hf + " " + native).code, 0);
  EXPECT_EQ(parse_json(rialto("inspect " + native + " --json --hash").out, "out")["kind"], "megatron");
  expect_refused(rialto("convert " + hf + " " + native), 2, "not empty");
  expect_refused(rialto("convert " + hf + " " + back + "2 --dtype int3"), 2, "int3");
  const Json config = convert::toy_config();
  convert::write_hf(dir / "other", config, convert::toy_tensors(config, DType::kBF16, 5));
  const Ran differs = rialto("verify " + hf + " " + (dir / "other").string());
  EXPECT_EQ(differs.code, 4);
  EXPECT_NE(differs.out.find("model.norm.weight"), std::string::npos);
  expect_refused(rialto("convert " + hf + " " + native + "2", "RIALTO_TEST_FAULT=full:write:100"), 1, "No space left");
}

/// `rialto verify ARGUMENTS` beside a rialto-train that only says what it was given and exits with 42.
Ran verify_with_a_stub(const std::string& arguments) {
  const TempDir dir;
  fs::copy_file(RIALTO_PROGRAM, dir / "rialto");
  std::ofstream(dir / "rialto-train") << "#!/bin/sh\necho \"$*\"\nexit 42\n";
  fs::permissions(dir / "rialto-train", fs::perms::owner_all);
  const std::string command = (dir / "rialto").string() + " verify " + arguments + " >" + (dir / "out").string() +
                              " 2>" + (dir / "err").string();
  return {WEXITSTATUS(std::system(command.c_str())), read_text_file(dir / "out"), read_text_file(dir / "err")};
}

TEST(Program, VerifyLogitsHandsOverWhatCanBeRun) {
  const TempDir dir;
  convert::write_toy_hf(dir / "hf");
  const std::string hf = (dir / "hf").string(), native = (dir / "native").string(), ids = (dir / "ids.json").string();
  ASSERT_EQ(rialto("convert " + hf + " " + native).code, 0);
  std::ofstream(ids) << "[[1, 36, 3]]";
  const std::string given = hf + " " + native + " --logits --tokens " + ids + " --tolerance 0.5 --json";
  const Ran ran = verify_with_a_stub(given);
  EXPECT_EQ(ran.code, 42) << ran.err;
  EXPECT_EQ(ran.out, "verify " + given + "\n");
  EXPECT_EQ(verify_with_a_stub(hf + " " + native).code, 0) << "tensors need no rialto-train";
}

TEST(Program, VerifyLogitsRefusesBeforeItHandsOver) {
  const TempDir dir;
  convert::write_toy_hf(dir / "hf");
  const std::string hf = (dir / "hf").string(), ids = (dir / "ids.json").string(), other = (dir / "other").string();
  Json config = convert::toy_config();
  config["vocab_size"] = 38;
  convert::write_hf(other, config, convert::toy_tensors(config));
  expect_refused(verify_with_a_stub(hf + " " + other + " --logits"), 2, "37 of " + hf + " and 38 of " + other);
  std::vector<convert::ToyTensor> tensors = convert::toy_tensors(convert::toy_config());
  tensors.pop_back();
  convert::write_hf(dir / "less", convert::toy_config(), tensors);
  expect_refused(verify_with_a_stub(hf + " " + (dir / "less").string() + " --logits"), 3, "less");
  expect_refused(verify_with_a_stub(hf + " /nonexistent --logits"), 3, "/nonexistent");
  std::ofstream(ids) << "[[37]]";
  expect_refused(verify_with_a_stub(hf + " " + hf + " --logits --tokens " + ids), 3, "0 to 36");
  expect_refused(verify_with_a_stub(hf + " " + hf + " --tokens " + ids), 2, "--logits");
  expect_refused(verify_with_a_stub(hf + " " + hf + " --logits --ulp 1"), 2, "--ulp");
  expect_refused(verify_with_a_stub(hf + " " + hf + " --logits --tolerance -1"), 2, "--tolerance");
}

TEST(Program, ModelsNewWritesAFamilyFile) {
  const TempDir dir;
  Json config = convert::toy_config();
  const std::vector<convert::ToyTensor> tensors = convert::toy_tensors(config);
  config["architectures"] = {"FooForCausalLM"};
  convert::write_hf(dir / "hf", config, tensors);
  const std::string from = " --from " + (dir / "hf").string(), out = (dir / "foo.cpp").string();
  const Ran made = rialto("models new foo" + from + " --json --out " + out);
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(parse_json(made.out, "out")["matched"], tensors.size());
  const std::string text = read_text_file(out);
  EXPECT_NE(text.find("const Family foo_family"), std::string::npos);

  std::ofstream(dir / "foo.cpp") << "edited";
  expect_refused(rialto("models new foo" + from + " --out " + out), 2, "already exists");
  EXPECT_EQ(read_text_file(out), "edited");
  ASSERT_EQ(rialto("models new foo" + from + " --overwrite --out " + out).code, 0);
  EXPECT_EQ(read_text_file(out), text);
  const Ran printed = rialto("models new foo" + from + " --out -");
  EXPECT_EQ(printed.out, text);
  EXPECT_NE(printed.err.find("matched "), std::string::npos);
  ASSERT_EQ(std::system(("cd " + dir.operator const fs::path&().string() + " && " RIALTO_PROGRAM " models new bar" +
                         from + " >out")
                            .c_str()),
            0);
  EXPECT_TRUE(fs::exists(dir / "bar.cpp"));

  expect_refused(rialto("models new qwen3" + from + " --out " + out), 2, "qwen3");
  expect_refused(rialto("models new Foo" + from + " --out " + out), 2, "Foo");
  expect_refused(rialto("models new foo --from /nonexistent"), 3, "no config.json");
  expect_refused(rialto("models new foo"), 2, "--from");
  convert::write_toy_hf(dir / "llama");
  expect_refused(rialto("models new foo --from " + (dir / "llama").string()), 2, "family 'llama'");
}

TEST(Program, PythonOfARepositoryIsNeverRun) {
  const TempDir dir;
  Json config = convert::toy_config();
  const std::vector<convert::ToyTensor> tensors = convert::toy_tensors(config);
  config["auto_map"] = {{"AutoConfig", "configuration_foo.FooConfig"}, {"AutoModelForCausalLM", "modeling_foo.Foo"}};
  convert::write_hf(dir / "hf", config, tensors);
  const std::string hf = (dir / "hf").string();
  for (const char* name : {"modeling_foo.py", "configuration_foo.py"})
    convert::write_text(dir / "hf" / name, "open('" + (dir / "ran").string() + "', 'w')\n");
  // A known architecture says what is computed: the code is not needed, and the config goes there and back.
  const Ran there = rialto("convert " + hf + " " + (dir / "native").string());
  ASSERT_EQ(there.code, 0) << there.err;
  EXPECT_NE(there.err.find("note: config.json names Python code (modeling_foo.Foo)"), std::string::npos) << there.err;
  ASSERT_EQ(rialto("convert " + (dir / "native").string() + " " + (dir / "back").string()).code, 0);
  EXPECT_EQ(read_text_file(dir / "hf" / "config.json"), read_text_file(dir / "back" / "config.json"));

  config["architectures"] = {"LlamoForCausalLM"};
  convert::write_hf(dir / "hf", config, tensors);
  const Ran refused = rialto("convert " + hf + " " + (dir / "out").string());
  for (const char* word : {"LlamoForCausalLM", "'auto_map': modeling_foo.Foo", "never run", "Qwen3ForCausalLM",
                           "the nearest is LlamaForCausalLM", "rialto models new"})
    expect_refused(refused, 3, word);
  EXPECT_FALSE(fs::exists(dir / "ran"));
  EXPECT_FALSE(fs::exists(dir / "out"));
}

TEST(Program, NeedsOnlyTheCLibraries) {
  std::FILE* pipe = ::popen("readelf -d " RIALTO_PROGRAM, "r");
  ASSERT_NE(pipe, nullptr);
  const std::set<std::string> allowed = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1",
                                         "ld-linux-x86-64.so.2"};
  std::array<char, 512> line;
  int needed = 0;
  while (std::fgets(line.data(), line.size(), pipe)) {
    const std::string text = line.data();
    if (text.find("(NEEDED)") == std::string::npos) continue;
    ++needed;
    const size_t open = text.find('['), close = text.find(']');
    const std::string name = text.substr(open + 1, close - open - 1);
    const bool sanitizer = name.find("san") != std::string::npos;
    EXPECT_TRUE(allowed.contains(name) || sanitizer) << name;
  }
  ::pclose(pipe);
  EXPECT_GE(needed, 2);
}

}  // namespace
}  // namespace rialto::cli
