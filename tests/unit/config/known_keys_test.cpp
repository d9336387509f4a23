// Megatron Bridge's files load as they are, and what would not act is refused with a reason.
#include "rialto/config/known_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/config/overrides.h"
#include "rialto/config/reader.h"
#include "rialto/config/sections.h"
#include "tests/unit/config/bridge_keys.h"
#include "tests/unit/config/good_config.h"

namespace rialto::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string message(const std::string& yaml) {
  RunConfig config;
  try {
    read_document(config, parse_yaml(yaml, "file.yaml"), nullptr);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "accepted";
}

/// A document with every section and key of bridge_sections(), each at the value that `value` gives.
template <class Value>
std::string document(const Value& value) {
  std::string yaml = "_target_: megatron.bridge.training.config.ConfigContainer\n";
  for (const BridgeSection& section : bridge_sections()) {
    if (section.keys.empty()) {
      yaml += fmt::format("{}: null\n", section.name);
      continue;
    }
    yaml += fmt::format("{}:\n", section.name);
    if (section.name != "model") yaml += fmt::format("  _target_: {}\n", example_target(section.name));
    for (const std::string& key : section.keys) {
      const KeyRow* row = find_row(section.name, key);
      EXPECT_NE(row, nullptr) << section.name << "." << key;
      if (row) yaml += fmt::format("  {}: {}\n", key, value(*row));
    }
  }
  return yaml;
}

TEST(KnownKeysTest, EverySectionAndKeyOfABridgeFileIsKnown) {
  for (const BridgeSection& section : bridge_sections()) {
    EXPECT_TRUE(is_section(section.name) || find_row("", section.name)) << section.name;
    for (const std::string& key : section.keys)
      EXPECT_NE(find_row(section.name, key), nullptr) << section.name << "." << key;
  }
}

TEST(KnownKeysTest, ABridgeFileAtItsDefaultsChangesNothing) {
  const RunConfig defaults;
  RunConfig config;
  const std::string yaml = document([&](const KeyRow& row) { return row.write(defaults); });
  ASSERT_NO_THROW(read_document(config, parse_yaml(yaml, "file.yaml"), nullptr)) << yaml;
  EXPECT_EQ(write_run_config(config), write_run_config(defaults));
}

TEST(KnownKeysTest, NullAsksForNothing) {
  const RunConfig defaults;
  RunConfig config;
  const std::string yaml = document([&](const KeyRow& row) { return row.known ? "null" : row.write(defaults); });
  ASSERT_NO_THROW(read_document(config, parse_yaml(yaml, "file.yaml"), nullptr)) << yaml;
  EXPECT_EQ(write_run_config(config), write_run_config(defaults));
}

/// Keys that act and that Bridge writes as null when nobody sets them.
TEST(KnownKeysTest, NullIsTheDefaultWhereBridgeLeavesAKeyUnset) {
  RunConfig config;
  const std::string yaml =
      "train: {micro_batch_size: null, global_batch_size: null, train_iters: null, exit_interval: null}\n"
      "validation: {eval_interval: null}\noptimizer: {lr: null, min_lr: null}\nmodel: {moe_z_loss_coeff: null, bf16: "
      "null}\n"
      "scheduler: {lr_decay_iters: null, lr_wsd_decay_iters: null}\nmixed_precision: null\n"
      "dataset: {split: null, blend: null, data_path: null, reset_position_ids: null, reset_attention_mask: null, "
      "eod_mask_loss: null}\n"
      "checkpoint: {save: null, load: null, pretrained_checkpoint: null, save_interval: null, ckpt_step: null}\n"
      "tokenizer: {tokenizer_model: null}\n";
  ASSERT_NO_THROW(read_document(config, parse_yaml(yaml, "file.yaml"), nullptr));
  EXPECT_EQ(write_run_config(config), write_run_config(RunConfig{}));
}

TEST(KnownKeysTest, AnyOtherValueIsRefusedByNameWithAReason) {
  size_t refused = 0;
  for (const KeyRow& row : key_rows()) {
    if (!row.known || row.known->also == "*") continue;
    const std::string yaml = row.section.empty() ? fmt::format("{}: 'another 77'\n", row.key)
                                                 : fmt::format("{}:\n  {}: 'another 77'\n", row.section, row.key);
    EXPECT_THAT(message(yaml), AllOf(HasSubstr("file.yaml:"), HasSubstr(row.full_name() + ": does not act here: "),
                                     HasSubstr(std::string(reason(row.known->why))), HasSubstr("another 77")));
    ++refused;
  }
  EXPECT_GT(refused, 350u);
}

TEST(KnownKeysTest, ValuesAreComparedAsValues) {
  EXPECT_EQ(
      message(
          "optimizer: {initial_loss_scale: 4.294967296e9, params_dtype: {_target_: torch.float32, _call_: false}}\n"),
      "accepted");
  EXPECT_EQ(message("model: {params_dtype: {_call_: false, _target_: torch.bfloat16}}\n"), "accepted");
  EXPECT_EQ(message("model: {params_dtype: {_call_: false, _target_: torch.float16}}\n"), "accepted");
  EXPECT_THAT(message("model: {params_dtype: {_call_: false, _target_: torch.int8}}\n"), HasSubstr("want {_call_"));
  EXPECT_EQ(message("env_vars: {}\n"), "accepted");
  EXPECT_THAT(message("env_vars: {A: 1}\n"), HasSubstr("env_vars: does not act here"));
  EXPECT_THAT(message("model: {distribute_saved_activations: true}\n"),
              HasSubstr("saved activations are not shared out"));
}

/// What Megatron derives from init_method_std may stand beside it, with the same numbers.
TEST(KnownKeysTest, InitialisersAgreeWithTheirSpread) {
  const auto rules_of = [](const std::string& init) {
    RunConfig config = good();
    read_document(config, parse_yaml("model: {num_layers: 8, init_method_std: 0.006, " + init + "}\n", "f"), nullptr);
    std::vector<std::string> out;
    for (const Problem& problem : broken_rules(config)) out.push_back(problem.rule + " " + problem.key);
    return out;
  };
  const auto normal = [](const char* key, double std) {
    return fmt::format("{}: {{_args_: [], _partial_: true, _target_: torch.nn.init.normal_, mean: 0.0, std: {}}}", key,
                       std);
  };
  EXPECT_THAT(rules_of(normal("init_method", 0.006)), testing::IsEmpty());
  EXPECT_THAT(rules_of(normal("init_method", 0.02)), ElementsAre("R046 model.init_method"));
  EXPECT_THAT(rules_of(normal("embedding_init_method", 0.006)), testing::IsEmpty());
  EXPECT_THAT(rules_of(normal("embedding_init_method", 0.005)), ElementsAre("R047 model.embedding_init_method"));
  EXPECT_THAT(rules_of("embedding_init_method_std: 0.006"), testing::IsEmpty());
  EXPECT_THAT(rules_of("embedding_init_method_std: 0.02"), ElementsAre("R048 model.embedding_init_method_std"));
  EXPECT_THAT(rules_of(normal("output_layer_init_method", 0.0015)), testing::IsEmpty()) << "0.006 / sqrt(2 * 8)";
  EXPECT_THAT(rules_of(normal("output_layer_init_method", 0.006)), ElementsAre("R049 model.output_layer_init_method"));
  EXPECT_THAT(message("model: {init_method: {_target_: torch.nn.init.normal_, mean: 0.5, std: 0.02}}\n"),
              HasSubstr("does not act here"));
  EXPECT_THAT(message("model: {embedding_init_method_std: many}\n"), HasSubstr("null or a number"));
  RunConfig config = good();
  read_document(config, parse_yaml("model: {embedding_init_method_std: 1}\n", "f"), nullptr);
  apply_override(config, parse_override("~model.embedding_init_method_std", ""));
  EXPECT_THAT(broken_rules(config), testing::IsEmpty()) << "taken back";
}

/// They choose among ways to the same numbers.
TEST(KnownKeysTest, FlagsThatChangeNoNumberAreHarmless) {
  for (const char* yaml :
       {"model: {attention_backend: {_args_: [1], _call_: true, _target_: "
        "megatron.core.transformer.enums.AttnBackend}}",
        "model: {gradient_accumulation_fusion: false, cross_entropy_loss_fusion: false, cross_entropy_fusion_impl: te}",
        "model: {masked_softmax_fusion: false, bias_dropout_fusion: true, moe_router_fusion: true}",
        "model: {transformer_impl: local, use_te_rng_tracker: true, cuda_graph_warmup_steps: 5}",
        "train: {empty_unused_memory_level: 1}", "rng: {te_rng_tracker: true}"})
    EXPECT_EQ(message(std::string(yaml) + "\n"), "accepted") << yaml;
}

TEST(KnownKeysTest, ClassesAreLookedUp) {
  EXPECT_EQ(message("optimizer: {_target_: megatron.bridge.training.config.OptimizerConfig}\n"), "accepted");
  EXPECT_EQ(message("model: {_target_: megatron.bridge.models.llama.llama_provider.LlamaModelProvider}\n"), "accepted");
  EXPECT_THAT(message("optimizer: {_target_: os.system}\n"),
              AllOf(HasSubstr("optimizer._target_"), HasSubstr("os.system")));
  EXPECT_THAT(message("dataset: {_target_: megatron.bridge.training.config.MockGPTDatasetConfig}\n"),
              HasSubstr("GPTDatasetConfig"));
  EXPECT_EQ(message("dataset: {_target_: megatron.bridge.training.config.FinetuningDatasetConfig, dataset_root: rows, "
                    "seed: 5, memmap_workers: 4, dataset_kwargs: {}, packed_sequence_specs: null}\n"),
            "accepted");
  EXPECT_THAT(message("_target_: os.system\n"), HasSubstr("os.system"));
}

TEST(KnownKeysTest, AMapInsideASectionIsReadByItsKeys) {
  const std::string specs =
      "dataset:\n  packed_sequence_specs: {_target_: "
      "megatron.bridge.data.datasets.packed_sequence.PackedSequenceSpecs, "
      "packed_sequence_size: 64, tokenizer_model_name: x, num_tokenizer_workers: 4, packed_train_data_path: a.parquet, "
      "packed_val_data_path: null, packed_metadata_path: m.jsonl, pad_cu_seqlens: true, pad_seq_to_mult: null}\n";
  RunConfig config;
  read_document(config, parse_yaml(specs, "file.yaml"), nullptr);
  EXPECT_EQ(config.dataset.packed_sequence_size, 64);
  EXPECT_EQ(config.dataset.packed_train_data_path, "a.parquet");
  EXPECT_EQ(config.dataset.pad_seq_to_mult, 1);
  // written as Bridge reads it, and read back
  const std::string text = write_run_config(config);
  EXPECT_THAT(text, HasSubstr("  packed_sequence_specs:\n    packed_sequence_size: 64\n"));
  RunConfig again;
  read_document(again, parse_yaml(text, "file.yaml"), nullptr);
  EXPECT_EQ(write_run_config(again), text);
  EXPECT_THAT(write_run_config(RunConfig{}), HasSubstr("  packed_sequence_specs: null\n"));
  apply_override(config, parse_override("dataset.packed_sequence_specs.packed_sequence_size=32", ""));
  EXPECT_EQ(config.dataset.packed_sequence_size, 32);
  EXPECT_THAT(message("dataset: {packed_sequence_specs: {packed_sequence_sise: 4}}\n"),
              HasSubstr("packed_sequence_specs.packed_sequence_size"));
  EXPECT_THAT(message("dataset: {packed_sequence_specs: {_target_: os.system}}\n"), HasSubstr("os.system"));
  EXPECT_THAT(message("dataset: {packed_sequence_specs: 5}\n"), HasSubstr("a map of keys"));
}

TEST(KnownKeysTest, SecondNamesAreStoredOnce) {
  RunConfig config;
  read_document(
      config,
      parse_yaml("train: {eval_iters: 7, eval_interval: 9}\ndataset: {blend: [[a/b], null], sequence_length: 64}\n"
                 "optimizer: {use_distributed_optimizer: false}\nddp: {use_distributed_optimizer: true}\n",
                 "f"),
      nullptr);
  EXPECT_EQ(config.validation.eval_iters, 7);
  EXPECT_EQ(config.validation.eval_interval, 9);
  EXPECT_EQ(config.dataset.seq_length, 64);
  EXPECT_THAT(config.dataset.data_path, testing::ElementsAre("a/b"));
  EXPECT_TRUE(config.optimizer.use_distributed_optimizer);
  read_document(config, parse_yaml("train: {eval_interval: null}\nddp: {use_distributed_optimizer: false}\n", "f"),
                nullptr);
  EXPECT_EQ(config.validation.eval_interval, 9) << "null under the second name says nothing";
  EXPECT_TRUE(config.optimizer.use_distributed_optimizer);
  const std::string text = write_run_config(config);
  EXPECT_THAT(text, AllOf(HasSubstr("eval_iters: 7"), testing::Not(HasSubstr("blend")),
                          testing::Not(HasSubstr("comm_overlap"))));
  EXPECT_EQ(text.find("use_distributed_optimizer"), text.rfind("use_distributed_optimizer"));
}

TEST(KnownKeysTest, BlendsAreReadAsWords) {
  RunConfig config;
  const auto read = [&](const std::string& text) { read_document(config, parse_yaml(text, "f"), nullptr); };
  read("dataset: {blend: [[a, b], [0.25, 70]]}\n");
  EXPECT_THAT(config.dataset.data_path, testing::ElementsAre("0.25", "a", "70.0", "b"));
  read("dataset: {blend: null, blend_per_split: null}\n");
  EXPECT_EQ(config.dataset.data_path.size(), 4u) << "null says nothing";
  read("dataset: {blend_per_split: [[[a, b], [1, 2]], [[c], null], null]}\n");
  EXPECT_THAT(config.dataset.train_data_path, testing::ElementsAre("1.0", "a", "2.0", "b"));
  EXPECT_THAT(config.dataset.valid_data_path, testing::ElementsAre("c"));
  EXPECT_TRUE(config.dataset.test_data_path.empty());
  EXPECT_THAT(message("dataset: {blend: [[a, b], [0.3]]}\n"), HasSubstr("a weight for each prefix"));
  EXPECT_THAT(message("dataset: {blend: a}\n"), HasSubstr("[[prefix, ...], null]"));
  EXPECT_THAT(message("dataset: {blend_per_split: [[[a], null]]}\n"), HasSubstr("blend or null"));
}

TEST(KnownKeysTest, ANullSectionMeansItsDefaults) {
  RunConfig config;
  config.train.global_batch_size = 8;
  read_document(config, parse_yaml("train: null\nft: null\n", "f"), nullptr);
  EXPECT_EQ(config.train.global_batch_size, 1);
}

}  // namespace
}  // namespace rialto::config
