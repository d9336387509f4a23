// rialto config, and the check of a training configuration before the hand-over.
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "rialto/cli/config_report.h"
#include "tests/unit/convert/toy.h"

namespace rialto::cli {
namespace {

using convert::TempDir;
using testing::AllOf;
using testing::HasSubstr;

struct Ran {
  int code = 0;
  std::string out, err;
};

Ran rialto(const std::string& arguments) {
  const TempDir dir;
  const std::string command =
      RIALTO_PROGRAM " " + arguments + " >" + (dir / "out").string() + " 2>" + (dir / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text_file(dir / "out"),
          read_text_file(dir / "err")};
}

TEST(ConfigCommand, ShowPrintsWhatLoadsAgain) {
  const TempDir dir;
  const Ran first = rialto("config show quickstart train.train_iters=9 '+checkpoint.save=a b'");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, AllOf(HasSubstr("train_iters: 9"), HasSubstr("mixed_precision: fp32")));
  std::ofstream(dir / "shown.yaml") << first.out;
  EXPECT_EQ(rialto("config show " + (dir / "shown.yaml").string()).out, first.out);
  EXPECT_EQ(rialto("config diff " + (dir / "shown.yaml").string() + " " + (dir / "shown.yaml").string()).out,
            "no difference\n");
  const Ran changed = rialto("config show --changed quickstart");
  EXPECT_THAT(changed.out, AllOf(HasSubstr("train_iters: 700"), testing::Not(HasSubstr("adam_eps"))));
  std::ofstream(dir / "changed.yaml") << changed.out;
  EXPECT_EQ(rialto("config show " + (dir / "changed.yaml").string()).out, rialto("config show quickstart").out);
  const Json json = parse_json(rialto("config show quickstart --json").out, "show");
  EXPECT_EQ(json["train"]["train_iters"], 700);
  EXPECT_EQ(json["validation"]["eval_interval"], 350);
  EXPECT_TRUE(json["train"]["exit_interval"].is_null());
}

TEST(ConfigCommand, DiffNamesWhatDiffers) {
  const Ran ran = rialto("config diff quickstart finetune");
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("train.train_iters: 700 -> 1000\n"),
                             HasSubstr("mixed_precision: fp32 -> bf16_mixed\n"), testing::Not(HasSubstr("clip_grad"))));
  const Json json = parse_json(rialto("config diff quickstart --json").out, "diff");
  EXPECT_EQ(json[0]["a"], "null");
  EXPECT_EQ(json[0]["key"], "model.seq_length");
}

TEST(ConfigCommand, ExplainTellsAKey) {
  EXPECT_THAT(rialto("config explain train.global_batch_size").out,
              AllOf(HasSubstr("type      integer"), HasSubstr("default   1\n"), HasSubstr("R003"),
                    HasSubstr("multiple of train.micro_batch_size")));
  EXPECT_THAT(rialto("config explain model.distribute_saved_activations").out,
              AllOf(HasSubstr("acts      no: of weights"), HasSubstr("accepted  false")));
  EXPECT_THAT(rialto("config explain train.eval_iters").out,
              AllOf(HasSubstr("stored as validation.eval_iters"), HasSubstr("R011")));
  EXPECT_THAT(rialto("config explain scheduler").out,
              AllOf(HasSubstr("scheduler.lr_decay_style"), HasSubstr("scheduler.lr_warmup_steps")));
  EXPECT_THAT(rialto("config explain").out, AllOf(HasSubstr("train "), HasSubstr("keys act")));
  const Ran wrong = rialto("config explain train.globl_batch_size");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("'train.global_batch_size'?"));
  EXPECT_THAT(rialto("config explain global_batch_size").err, HasSubstr("'train.global_batch_size'?"));
  const Json json = parse_json(rialto("config explain optimizer.lr --json").out, "explain");
  EXPECT_EQ(json["keys"][0]["default"], "3.0e-04");
  EXPECT_EQ(json["keys"][0]["acts"], true);
}

TEST(ConfigCommand, CheckListsEveryMistake) {
  const TempDir data;
  for (const char* ending : {"x.idx", "x.bin"}) std::ofstream(data / ending) << "";
  const std::string path = "dataset.data_path=" + (data / "x").string();
  const Ran good = rialto("config check tiny_llama " + path);
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_THAT(good.out, HasSubstr("no rule is broken"));
  const Ran rules = rialto("config check quickstart train.global_batch_size=7 optimizer.lr=-1");
  EXPECT_EQ(rules.code, 2);
  EXPECT_THAT(rules.out, AllOf(HasSubstr("R003"), HasSubstr("R022"), HasSubstr("R061"),
                               HasSubstr("a model with random weights needs it"), HasSubstr("4 mistakes\n")));
  const TempDir dir;
  std::ofstream(dir / "bad.yaml") << "train:\n  train_itres: 3\n  micro_batch_size: x\npeft: {dim: 4}\n";
  const Ran keys = rialto("config check --json " + (dir / "bad.yaml").string());
  EXPECT_EQ(keys.code, 2);
  const Json json = parse_json(keys.out, "check");
  ASSERT_EQ(json["problems"].size(), 3u);
  EXPECT_THAT(json["problems"][0]["message"].get<std::string>(),
              AllOf(HasSubstr("bad.yaml:2"), HasSubstr("'train_iters'?")));
  EXPECT_EQ(json["problems"][1]["key"], "train.micro_batch_size");
  EXPECT_TRUE(json["problems"][2]["rule"].is_null());
}

TEST(ConfigCommand, TrainIsRefusedBeforeTheHandOver) {
  // A program that could not be started shows that rialto-train was never needed.
  const TempDir dir;
  const std::string alone = (dir / "rialto").string();
  ASSERT_EQ(std::system(("cp " RIALTO_PROGRAM " " + alone).c_str()), 0);
  const std::string command = "PATH=/bin " + alone +
                              " train quickstart train.global_batch_size=7 --set optimizer.lr=-1 2>" +
                              (dir / "err").string();
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2);
  const std::string err = read_text_file(dir / "err");
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 4) << err;
  EXPECT_THAT(err,
              AllOf(HasSubstr("error: [train.global_batch_size=7] train.global_batch_size: R003"),
                    HasSubstr("error: [--set optimizer.lr=-1] optimizer.lr: R022"),
                    HasSubstr("error: [dataset.data_path] R061"), HasSubstr("a model with random weights needs it")));
}

TEST(ConfigCommand, CheckTellsLimitsApart) {
  const TempDir data;
  for (const char* ending : {"x.idx", "x.bin"}) std::ofstream(data / ending) << "";
  const std::string rest = " checkpoint.save=out dataset.data_path=" + (data / "x").string();
  const std::string limited = "deepseek_v2_lite_pretrain logger.sample_tokens=4" + rest;
  const Ran legal = rialto("config check " + limited);
  EXPECT_EQ(legal.code, 0) << legal.out << legal.err;
  EXPECT_THAT(legal.out, AllOf(HasSubstr("no rule is broken"), HasSubstr("this version does not run it:\n"),
                               HasSubstr("R490: this version does not share experts out with it")));
  const Ran odd = rialto("config check qwen3_30b_a3b_pretrain --gpus 33" + rest);
  EXPECT_EQ(odd.code, 2);
  EXPECT_THAT(odd.out, HasSubstr("R460"));
  EXPECT_EQ(rialto("config check qwen3_30b_a3b_pretrain --gpus 64" + rest).code, 0);
  const Json json = parse_json(rialto("config check --json " + limited).out, "check");
  EXPECT_TRUE(json["problems"].empty());
  EXPECT_EQ(json["limits"].size(), 1u);
  const Ran train = rialto("train " + limited);
  EXPECT_EQ(train.code, 2);
  EXPECT_THAT(train.err, AllOf(HasSubstr("R490"), HasSubstr("R461")));
}

TEST(ConfigCommand, CheckNamesMissingFilesWithTheirPlace) {
  const TempDir dir;
  std::ofstream(dir / "my.yaml") << "defaults: [tiny_llama]\ndataset:\n  data_path: [" << (dir / "none").string()
                                 << "]\n  test_data_path: [2, /none/test]\n  per_split_data_args_path: /none/parts\n"
                                 << "tokenizer:\n  tokenizer_model: /none/tokenizer\ncheckpoint:\n"
                                 << "  pretrained_checkpoint: /none/model\nmodel:\n  num_query_groups: 3\n";
  const Ran ran = rialto("config check " + (dir / "my.yaml").string());
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("my.yaml:3] dataset.data_path: no such file; got " + (dir / "none.idx").string()),
                    HasSubstr("none.bin"), HasSubstr("dataset.test_data_path: no such file; got /none/test.idx"),
                    HasSubstr("per_split_data_args_path: no such file"),
                    HasSubstr("my.yaml:7] tokenizer.tokenizer_model: no such file"),
                    HasSubstr("my.yaml:9] checkpoint.pretrained_checkpoint: no such file"), HasSubstr("my.yaml:11")));
}

TEST(RecipesCommand, ListsAndShows) {
  const Json list = parse_json(rialto("recipes --json").out, "recipes");
  EXPECT_GT(list.size(), 70u);
  EXPECT_THAT(rialto("recipes").out, AllOf(HasSubstr("deepseek_v3_pretrain"), HasSubstr("1024")));
  const TempDir dir;
  const Ran shown = rialto("recipes show qwen3_8b_finetune_config");
  std::ofstream(dir / "shown.yaml") << shown.out;
  EXPECT_EQ(rialto("config show " + (dir / "shown.yaml").string()).out, rialto("config show qwen3_8b_sft").out);
  EXPECT_EQ(parse_json(rialto("recipes show qwen3_8b_sft --json").out, "show")["recipe"]["gpus"], 4);
  const Ran wrong = rialto("recipes show qwen3_8b_stf");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("'qwen3_8b_sft'?"));
}

TEST(ConfigCommand, ChangedIsRespectedWithJson) {
  const Json json = parse_json(rialto("config show quickstart --changed --json").out, "show");
  EXPECT_EQ(json["train"]["train_iters"], 700);
  EXPECT_FALSE(json["optimizer"].contains("adam_eps"));
}

TEST(ConfigCommand, WhatIsNoOverrideIsListedWithTheOthers) {
  const Ran ran = rialto("config check quickstart nonsense train.train_iters=x");
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("section.key=value"), HasSubstr("train.train_iters: wrong type"),
                             HasSubstr("2 mistakes")));
}

TEST(ConfigCommand, DocumentationHoldsTheTables) {
  const std::string page = read_text_file(RIALTO_SOURCE_DIR "/docs/training/configuration.md");
  const std::string tables = keys_markdown();
  const size_t middle = tables.find("\n\n") + 2;
  EXPECT_NE(page.find("<!-- keys:begin -->\n" + tables.substr(0, middle - 1) + "<!-- keys:end -->"), page.npos)
      << "run ./dev tables";
  EXPECT_NE(page.find("<!-- rules:begin -->\n" + tables.substr(middle) + "<!-- rules:end -->"), page.npos)
      << "run ./dev tables";
  EXPECT_NE(read_text_file(RIALTO_SOURCE_DIR "/docs/training/recipes.md")
                .find("<!-- recipes:begin -->\n" + rialto("recipes --markdown").out + "<!-- recipes:end -->"),
            std::string::npos)
      << "run ./dev tables";
}

/// A file with every section and key that Megatron Bridge writes. What acts has the file's value; the rest asks for
/// nothing.
TEST(ConfigCommand, ABridgeFileIsReadAsItIs) {
  const std::string file = RIALTO_SOURCE_DIR "/tests/unit/cli/bridge_run_config.yaml";
  const Ran shown = rialto("config show " + file);
  ASSERT_EQ(shown.code, 0) << shown.err;
  const Node ours = parse_yaml(shown.out, "shown"), theirs = read_yaml_file(file);
  size_t compared = 0;
  for (size_t s = 0; s < ours.items.size(); ++s) {
    const Node& section = ours.items[s];
    const Node* said = theirs.find(ours.keys[s]);
    if (section.kind != Node::Kind::kMap || !said || said->kind != Node::Kind::kMap) continue;
    for (size_t i = 0; i < section.items.size(); ++i) {
      const Node* value = said->find(section.keys[i]);
      if (!value || value->kind == Node::Kind::kNull) continue;
      EXPECT_TRUE(same_value(section.items[i], *value)) << ours.keys[s] << "." << section.keys[i];
      ++compared;
    }
  }
  EXPECT_GT(compared, 90u);
  const TempDir data;
  for (const char* ending : {"x.idx", "x.bin"}) std::ofstream(data / ending) << "";
  const Ran checked =
      rialto("config check " + file +
             " train.train_iters=10 checkpoint.save_interval=5 dataset.data_path=" + (data / "x").string());
  EXPECT_EQ(checked.code, 0) << checked.out;
  EXPECT_THAT(checked.out, testing::Not(HasSubstr("this version does not run it")));
}

}  // namespace
}  // namespace rialto::cli
