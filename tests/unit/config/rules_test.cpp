// Arithmetic that cannot work is refused with the key's name.
#include "rialto/config/rules.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/config/precision.h"
#include "rialto/config/sections.h"
#include "tests/unit/config/good_config.h"

namespace rialto::config {
namespace {

struct Case {
  const char* key;
  std::function<void(RunConfig&)> spoil;
};

class RulesTest : public testing::TestWithParam<Case> {};

TEST_P(RulesTest, RefusesNamingTheKey) {
  RunConfig config = good();
  ASSERT_NO_THROW(check_rules(config));
  GetParam().spoil(config);
  try {
    check_rules(config);
    FAIL() << GetParam().key << " was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(), testing::HasSubstr(GetParam().key));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RulesTest,
    testing::Values(
        Case{"train.global_batch_size", [](RunConfig& c) { c.train.global_batch_size = 7; }},
        Case{"train.global_batch_size", [](RunConfig& c) { c.train.global_batch_size = 1; }},
        Case{"train.global_batch_size", [](RunConfig& c) { c.train.global_batch_size = 0; }},
        Case{"train.micro_batch_size", [](RunConfig& c) { c.train.micro_batch_size = 0; }},
        Case{"train.micro_batch_size", [](RunConfig& c) { c.train.micro_batch_size = -2; }},
        Case{"train.train_iters", [](RunConfig& c) { c.train.train_iters = 0; }},
        Case{"train.train_iters", [](RunConfig& c) { c.train.train_iters = int64_t{1} << 62; }},
        Case{"train.exit_interval", [](RunConfig& c) { c.train.exit_interval = 0; }},
        Case{"validation.eval_iters", [](RunConfig& c) { c.validation.eval_iters = -1; }},
        Case{"validation.eval_interval", [](RunConfig& c) { c.validation.eval_interval = 0; }},
        Case{"logger.log_interval", [](RunConfig& c) { c.logger.log_interval = 0; }},
        Case{"optimizer.lr", [](RunConfig& c) { c.optimizer.lr = -1; }},
        Case{"optimizer.lr", [](RunConfig& c) { c.optimizer.lr = NAN; }},
        Case{"optimizer.lr", [](RunConfig& c) { c.optimizer.lr = 1e31; }},
        Case{"optimizer.min_lr", [](RunConfig& c) { c.optimizer.min_lr = 1; }},
        Case{"optimizer.adam_beta2", [](RunConfig& c) { c.optimizer.adam_beta2 = 1; }},
        Case{"optimizer.optimizer", [](RunConfig& c) { c.optimizer.optimizer = "adamw"; }},
        Case{"scheduler.lr_decay_style", [](RunConfig& c) { c.scheduler.lr_decay_style = "wsd"; }},
        Case{"scheduler.lr_warmup_iters", [](RunConfig& c) { c.scheduler.lr_warmup_iters = 100; }},
        Case{"scheduler.lr_warmup_iters", [](RunConfig& c) { c.scheduler.lr_warmup_iters = -1; }},
        Case{"scheduler.lr_warmup_init", [](RunConfig& c) { c.scheduler.lr_warmup_init = 1; }},
        Case{"scheduler.lr_wsd_decay_iters", [](RunConfig& c) { c.scheduler.lr_decay_style = "WSD"; }},
        Case{"scheduler.lr_wsd_decay_iters",
             [](RunConfig& c) {
               c.scheduler.lr_decay_style = "WSD";
               c.scheduler.lr_wsd_decay_iters = 101;
             }},
        Case{"model.moe_aux_loss_coeff", [](RunConfig& c) { c.model.moe_aux_loss_coeff = -0.1; }},
        Case{"model.moe_router_bias_update_rate", [](RunConfig& c) { c.model.moe_router_bias_update_rate = NAN; }},
        Case{"model.mtp_loss_scaling_factor", [](RunConfig& c) { c.model.mtp_loss_scaling_factor = -1; }},
        Case{"model.hidden_dropout", [](RunConfig& c) { c.memory.hidden_dropout = 1; }},
        Case{"model.attention_dropout", [](RunConfig& c) { c.memory.attention_dropout = NAN; }},
        Case{"model.recompute_granularity", [](RunConfig& c) { c.memory.recompute_granularity = "all"; }},
        Case{"model.recompute_method", [](RunConfig& c) { c.memory.recompute_method = "uniform"; }},
        Case{"model.recompute_method",
             [](RunConfig& c) {
               c.memory.recompute_granularity = "full";
               c.memory.recompute_num_layers = 1;
             }},
        Case{"model.recompute_num_layers",
             [](RunConfig& c) {
               c.memory.recompute_granularity = "full";
               c.memory.recompute_method = "block";
             }},
        Case{"model.recompute_num_layers",
             [](RunConfig& c) {
               c.memory.recompute_granularity = "selective";
               c.memory.recompute_num_layers = 1;
             }},
        Case{"model.recompute_modules", [](RunConfig& c) { c.memory.recompute_modules = {"core_attn", "mlps"}; }},
        Case{"model.recompute_modules",
             [](RunConfig& c) {
               c.memory.recompute_granularity = "selective";
               c.memory.recompute_modules = {"mla_up_proj"};
               c.model.set("multi_latent_attention", "false");
             }},
        Case{"model.moe_layer_recompute",
             [](RunConfig& c) {
               c.memory.recompute_granularity = "full";
               c.memory.recompute_method = "block";
               c.memory.recompute_num_layers = 1;
               c.memory.moe_layer_recompute = true;
             }},
        Case{"model.cpu_offloading",
             [](RunConfig& c) {
               c.memory.recompute_granularity = "selective";
               c.memory.cpu_offloading = true;
             }},
        Case{"model.cpu_offloading_num_layers", [](RunConfig& c) { c.memory.cpu_offloading_num_layers = -1; }},
        Case{"model.fine_grained_activation_offloading",
             [](RunConfig& c) {
               c.memory.cpu_offloading = c.memory.fine_grained_activation_offloading = true;
               c.memory.offload_modules = {"core_attn"};
             }},
        Case{"model.offload_modules", [](RunConfig& c) { c.memory.fine_grained_activation_offloading = true; }},
        Case{"model.offload_modules", [](RunConfig& c) { c.memory.offload_modules = {"attn_proj"}; }},
        Case{"model.offload_modules", [](RunConfig& c) { c.memory.offload_modules = {"mlp"}; }},
        Case{"model.min_offloaded_tensor_size", [](RunConfig& c) { c.memory.min_offloaded_tensor_size = -1; }},
        Case{"model.tensor_model_parallel_size", [](RunConfig& c) { c.parallel.tensor_model_parallel_size = 2; }},
        Case{"model.pipeline_model_parallel_size",
             [](RunConfig& c) {
               c.parallel.pipeline_model_parallel_size = c.world_size = 2;
               c.train.global_batch_size = 8;
               c.logger.sample_tokens = 3;
             }},
        Case{"dataset.data_path", [](RunConfig& c) { c.dataset.data_path.clear(); }},
        Case{"dataset.data_path", [](RunConfig& c) { c.dataset.data_args_path = "file"; }},
        Case{"dataset.per_split_data_args_path",
             [](RunConfig& c) {
               c.dataset.data_path.clear();
               c.dataset.valid_data_path = {"a"};
               c.dataset.per_split_data_args_path = "file";
             }},
        Case{"dataset.mid_level_dataset_surplus", [](RunConfig& c) { c.dataset.mid_level_dataset_surplus = -0.1; }},
        Case{"dataset.data_path", [](RunConfig& c) { c.dataset.dataset_root = "rows"; }},
        Case{"dataset.dataset_root",
             [](RunConfig& c) {
               c.dataset.data_path.clear();
               c.dataset.dataset_root = "rows";
               c.dataset.eod_mask_loss = true;
             }},
        Case{"dataset.loss_mode", [](RunConfig& c) { c.dataset.loss_mode = "all"; }},
        Case{"dataset.truncation", [](RunConfig& c) { c.dataset.truncation = "left"; }},
        Case{"dataset.max_train_samples", [](RunConfig& c) { c.dataset.max_train_samples = 0; }},
        Case{"dataset.template_clock", [](RunConfig& c) { c.dataset.template_clock = -1; }},
        Case{"dataset.packed_sequence_specs.packed_sequence_size",
             [](RunConfig& c) { c.dataset.packed_sequence_size = 8; }},
        Case{"dataset.packed_sequence_specs.packed_sequence_size",
             [](RunConfig& c) { c.dataset.packed_val_data_path = "packed.parquet"; }},
        Case{"dataset.data_path",
             [](RunConfig& c) {
               c.dataset.packed_train_data_path = "packed.parquet";
               c.dataset.packed_sequence_size = 8;
             }},
        Case{"dataset.packed_sequence_specs.pad_seq_to_mult", [](RunConfig& c) { c.dataset.pad_seq_to_mult = 0; }},
        Case{"dataset.packed_sequence_specs.pad_seq_to_mult",
             [](RunConfig& c) {
               c.dataset.data_path.clear();
               c.dataset.dataset_root = "rows";
               c.dataset.packed_sequence_size = 8;
               c.dataset.pad_seq_to_mult = 9;
             }},
        Case{"dataset.packing_window", [](RunConfig& c) { c.dataset.packing_window = -1; }},
        Case{"dataset.pack_sequences_in_batch", [](RunConfig& c) { c.dataset.pack_sequences_in_batch = true; }},
        Case{"dataset.pack_sequences_in_batch",
             [](RunConfig& c) {
               c.dataset.data_path.clear();
               c.dataset.dataset_root = "rows";
               c.dataset.packed_sequence_size = 8;
               c.dataset.pack_sequences_in_batch = true;
             }},
        Case{"dataset.num_workers", [](RunConfig& c) { c.dataset.num_workers = -1; }},
        Case{"checkpoint.save_interval",
             [](RunConfig& c) {
               c.checkpoint.save.clear();
               c.checkpoint.save_interval = 5;
             }},
        Case{"train.exit_interval",
             [](RunConfig& c) {
               c.checkpoint.save.clear();
               c.train.exit_interval = 5;
             }},
        Case{"checkpoint.ckpt_step", [](RunConfig& c) { c.checkpoint.ckpt_step = 3; }},
        Case{"model.bf16", [](RunConfig& c) { c.model_precision.bf16 = false; }},
        Case{"mixed_precision", [](RunConfig& c) { c.mixed_precision = "bf16_with_nvfp4_mixed"; }},
        Case{"model.fp16", [](RunConfig& c) { c.model_precision.fp16 = true; }},
        Case{"model.fp8", [](RunConfig& c) { c.model_precision.fp8 = "hybrid"; }},
        Case{"model.fp8",
             [](RunConfig& c) {
               c.mixed_precision = "bf16_with_mxfp8_mixed";
               c.model_precision.fp8 = "e5m2";
             }},
        Case{"model.fp8_recipe",
             [](RunConfig& c) {
               c.mixed_precision = "bf16_with_mxfp8_mixed";
               c.model_precision.fp8_recipe = "delayed";
             }},
        Case{"model.fp8_margin", [](RunConfig& c) { c.model_precision.fp8_margin = 1; }},
        Case{"model.fp8_amax_history_len",
             [](RunConfig& c) {
               c.mixed_precision = "bf16_with_fp8_delayed_scaling_mixed";
               c.model_precision.fp8_amax_history_len = 0;
             }},
        Case{"model.fp8_amax_compute_algo",
             [](RunConfig& c) {
               c.mixed_precision = "bf16_with_fp8_delayed_scaling_mixed";
               c.model_precision.fp8_amax_compute_algo = "mean";
             }},
        Case{"model.fp8_wgrad", [](RunConfig& c) { c.model_precision.fp8_wgrad = false; }},
        Case{"model.first_last_layers_bf16", [](RunConfig& c) { c.model_precision.first_last_layers_bf16 = true; }},
        Case{"model.first_last_layers_bf16",
             [](RunConfig& c) {
               c.mixed_precision = "bf16_with_fp8_delayed_scaling_mixed";
               c.model_precision.first_last_layers_bf16 = true;
             }},
        Case{"model.num_layers_at_start_in_bf16",
             [](RunConfig& c) { c.model_precision.num_layers_at_start_in_bf16 = 2; }},
        Case{"model.num_layers_at_end_in_bf16",
             [](RunConfig& c) {
               c.mixed_precision = "bf16_with_fp8_current_scaling_mixed";
               c.model_precision.num_layers_at_end_in_bf16 = -1;
             }},
        Case{"optimizer.loss_scale", [](RunConfig& c) { c.optimizer.loss_scale = 0; }},
        Case{"optimizer.loss_scale",
             [](RunConfig& c) {
               c.mixed_precision = "fp32";
               c.optimizer.loss_scale = 8;
             }},
        Case{"optimizer.initial_loss_scale", [](RunConfig& c) { c.optimizer.hysteresis = 3; }},
        Case{"optimizer.initial_loss_scale", [](RunConfig& c) {
               c.mixed_precision = "fp16_mixed";
               c.optimizer.min_loss_scale = 0x1p40;
             }}));

INSTANTIATE_TEST_SUITE_P(
    Optimizers, RulesTest,
    testing::Values(
        Case{"optimizer.decoupled_lr", [](RunConfig& c) { c.optimizer.decoupled_lr = -1; }},
        Case{"optimizer.decoupled_lr",
             [](RunConfig& c) {
               c.optimizer.min_lr = 1e-4;
               c.optimizer.decoupled_lr = 1e-5;
             }},
        Case{"optimizer.decoupled_min_lr", [](RunConfig& c) { c.optimizer.decoupled_min_lr = 1e-5; }},
        Case{"optimizer.decoupled_min_lr",
             [](RunConfig& c) {
               c.optimizer.decoupled_lr = 1e-5;
               c.optimizer.decoupled_min_lr = 1e-4;
             }},
        Case{"optimizer.sgd_momentum", [](RunConfig& c) { c.optimizer.sgd_momentum = 1; }},
        Case{"optimizer.lion_beta1", [](RunConfig& c) { c.optimizer.lion_beta1 = -0.1; }},
        Case{"optimizer.lion_beta2", [](RunConfig& c) { c.optimizer.lion_beta2 = 1; }},
        Case{"optimizer.muon_momentum", [](RunConfig& c) { c.optimizer.muon_momentum = NAN; }},
        Case{"optimizer.muon_num_ns_steps", [](RunConfig& c) { c.optimizer.muon_num_ns_steps = 6; }},
        Case{"optimizer.muon_scale_mode", [](RunConfig& c) { c.optimizer.muon_scale_mode = "spectrum"; }},
        Case{"optimizer.muon_fp32_matmul_prec", [](RunConfig& c) { c.optimizer.muon_fp32_matmul_prec = "low"; }},
        Case{"optimizer.muon_extra_scale_factor", [](RunConfig& c) { c.optimizer.muon_extra_scale_factor = -1; }},
        Case{"optimizer.use_distributed_optimizer", [](RunConfig& c) { c.optimizer.optimizer = "muon"; }},
        Case{"optimizer.use_precision_aware_optimizer",
             [](RunConfig& c) {
               c.optimizer.optimizer = "sgd";
               c.optimizer.use_precision_aware_optimizer = true;
             }},
        Case{"optimizer.exp_avg_dtype", [](RunConfig& c) { c.optimizer.exp_avg_dtype = "bfloat16"; }},
        Case{"optimizer.exp_avg_sq_dtype",
             [](RunConfig& c) {
               c.optimizer.use_precision_aware_optimizer = true;
               c.optimizer.exp_avg_sq_dtype = "float16";
             }},
        Case{"optimizer.optimizer_cpu_offload",
             [](RunConfig& c) {
               c.optimizer.optimizer = "muon";
               c.optimizer.use_distributed_optimizer = false;
               c.optimizer.optimizer_cpu_offload = true;
             }},
        Case{"optimizer.optimizer_offload_fraction", [](RunConfig& c) { c.optimizer.optimizer_offload_fraction = 2; }},
        Case{"optimizer.decoupled_weight_decay",
             [](RunConfig& c) {
               c.optimizer.optimizer = "lion";
               c.optimizer.decoupled_weight_decay = false;
             }},
        Case{"optimizer.grad_norm_skip_threshold", [](RunConfig& c) { c.optimizer.grad_norm_skip_threshold = 0; }},
        Case{"optimizer.optimizer", [](RunConfig& c) { c.optimizer.optimizer = "dist_muon"; }}));

INSTANTIATE_TEST_SUITE_P(
    Schedules, RulesTest,
    testing::Values(
        Case{"scheduler.lr_decay_samples", [](RunConfig& c) { c.scheduler.lr_decay_samples = 0; }},
        Case{"scheduler.lr_warmup_samples", [](RunConfig& c) { c.scheduler.lr_warmup_samples = -1; }},
        Case{"scheduler.lr_decay_samples",
             [](RunConfig& c) {
               c.scheduler.lr_decay_samples = 100;
               c.scheduler.lr_warmup_iters = 2;
             }},
        Case{"scheduler.lr_warmup_fraction", [](RunConfig& c) { c.scheduler.lr_warmup_fraction = 1; }},
        Case{"scheduler.lr_warmup_fraction",
             [](RunConfig& c) {
               c.scheduler.lr_warmup_fraction = 0.1;
               c.scheduler.lr_warmup_iters = 2;
             }},
        Case{"scheduler.lr_wsd_decay_iters",
             [](RunConfig& c) {
               c.scheduler.lr_decay_style = "WSD";
               c.scheduler.lr_decay_samples = 100;
               c.scheduler.lr_wsd_decay_samples = 101;
             }},
        Case{"scheduler.weight_decay_incr_style", [](RunConfig& c) { c.scheduler.weight_decay_incr_style = "sine"; }},
        Case{"scheduler.start_weight_decay", [](RunConfig& c) { c.scheduler.weight_decay_incr_style = "linear"; }},
        Case{"scheduler.start_weight_decay", [](RunConfig& c) { c.scheduler.start_weight_decay = 0.1; }},
        Case{"scheduler.start_weight_decay",
             [](RunConfig& c) {
               c.scheduler.weight_decay_incr_style = "cosine";
               c.scheduler.start_weight_decay = 0.2;
               c.scheduler.end_weight_decay = 0.1;
             }},
        Case{"scheduler.use_checkpoint_opt_param_scheduler",
             [](RunConfig& c) {
               c.scheduler.use_checkpoint_opt_param_scheduler = c.scheduler.override_opt_param_scheduler = true;
             }},
        Case{"scheduler.no_weight_decay_cond_type",
             [](RunConfig& c) { c.scheduler.no_weight_decay_cond_type = "qwen"; }}));

TEST(RuleTableTest, NumbersAreOrderedAndNamedInMessages) {
  std::string last = "R000";
  for (const Rule& rule : rules()) {
    EXPECT_LT(last, rule.id);
    EXPECT_EQ(rule.id.size(), 4u);
    EXPECT_FALSE(rule.says.empty()) << rule.id;
    last = rule.id;
  }
}

TEST(RuleTableTest, EveryRuleNamesAKey) {
  for (const Rule& rule : rules()) {
    const std::string_view key = rule.key;
    const size_t dot = key.find('.');
    const auto section = dot == key.npos ? std::string_view() : key.substr(0, dot);
    EXPECT_NE(find_row(section, dot == key.npos ? key : key.substr(dot + 1)), nullptr) << rule.id;
  }
}

TEST(RuleTableTest, AllViolationsAreListedAtOnce) {
  RunConfig config = good();
  config.train.global_batch_size = 7;
  config.optimizer.adam_beta2 = 1;
  config.logger.log_interval = 0;
  config.mixed_precision = "bf16_with_nvfp4_mixed";
  std::vector<std::string> numbers;
  for (const Problem& problem : broken_rules(config)) numbers.push_back(problem.rule);
  EXPECT_THAT(numbers, testing::ElementsAre("R003", "R026", "R081", "R091"));
  try {
    check_rules(config);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("4 mistakes: [train.global_batch_size] R003: "),
                                             testing::HasSubstr("[mixed_precision] R091: does not run here: fp4")));
  }
}

TEST(RuleTableTest, OneCauseIsOneViolation) {
  RunConfig config = good();
  config.train.micro_batch_size = 0;
  EXPECT_EQ(broken_rules(config).size(), 1u);
  config = good();
  config.train.train_iters = 0;
  EXPECT_EQ(broken_rules(config).size(), 1u);
  config = good();
  config.optimizer.lr = -1;
  EXPECT_EQ(broken_rules(config).size(), 1u);
}

RunConfig read_mixed_precision(const std::string& yaml) {
  RunConfig config = good();
  read_precision(config, parse_yaml_value(yaml));
  return config;
}

TEST(PrecisionTest, PresetsAreNamedAndOthersSayWhy) {
  EXPECT_EQ(read_mixed_precision("bf16-mixed").mixed_precision, "bf16_mixed");
  EXPECT_EQ(read_mixed_precision("null").mixed_precision, "bf16_mixed");
  EXPECT_EQ(
      read_mixed_precision("{_target_: megatron.bridge.training.mixed_precision.MixedPrecisionConfig, bf16: true, "
                           "grad_reduce_in_fp32: true, params_dtype: {_call_: false, _target_: torch.bfloat16}}")
          .mixed_precision,
      "bf16_mixed");
  EXPECT_EQ(read_mixed_precision("{fp32: true}").mixed_precision, "fp32");
  EXPECT_EQ(read_mixed_precision("{fp16: true, grad_reduce_in_fp32: false}").mixed_precision, "fp16_mixed");
  EXPECT_THROW(read_mixed_precision("{bf16: true, fp16: true}"), Error);
  EXPECT_THROW(read_mixed_precision("{fp8: hybrid}"), Error);
  EXPECT_THROW(read_mixed_precision("{bf16: true, fp8: hybrid, fp8_recipe: custom}"), Error);
  EXPECT_THROW(read_mixed_precision("{bf16: true, fp8_dot_product_attention: true}"), Error);
  EXPECT_THROW(read_mixed_precision("{bf16: true, fp4: e2m1}"), Error);
  EXPECT_THROW(read_mixed_precision("{bf16: true, nope: 1}"), Error);
  EXPECT_THROW(read_mixed_precision("{_target_: os.system}"), Error);
  for (const Preset& preset : presets()) {
    RunConfig config = good();
    config.mixed_precision = std::string(preset.name);
    EXPECT_EQ(broken_rules(config).size(), preset.refused.empty() ? 0u : 1u) << preset.name;
  }
}

/// What Bridge writes for a preset says the same as its name.
TEST(PrecisionTest, AMapIsThePresetAndWhatDiffersFromIt) {
  RunConfig config = read_mixed_precision(
      "{bf16: true, fp8: hybrid, fp8_recipe: delayed, fp8_margin: 0, fp8_amax_history_len: 1024, "
      "fp8_amax_compute_algo: max, fp8_param_gather: true}");
  EXPECT_EQ(config.mixed_precision, "bf16_with_fp8_delayed_scaling_mixed");
  EXPECT_EQ(write_run_keys(config), write_run_keys(RunConfig{}));
  EXPECT_EQ(precision_of(config).fp8_amax_history_len, 1024);

  config = read_mixed_precision("{bf16: true, fp8: hybrid, fp8_recipe: tensorwise, fp8_wgrad: false, loss_scale: 8}");
  EXPECT_EQ(config.mixed_precision, "bf16_with_fp8_current_scaling_mixed");
  EXPECT_EQ(config.optimizer.loss_scale, 8);
  EXPECT_FALSE(precision_of(config).first_last_layers_bf16) << "a map that leaves it out has Bridge's default";
  EXPECT_FALSE(precision_of(config).fp8_wgrad);
  EXPECT_THAT(write_run_keys(config), testing::HasSubstr("first_last_layers_bf16: false"));
  EXPECT_TRUE(broken_rules(config).empty());

  RunConfig again;
  const std::string yaml = write_run_config(config);
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "rialto_precision_map.yaml";
  std::ofstream(file) << yaml;
  again = read_run_config(file.string(), {});
  EXPECT_EQ(write_run_config(again), yaml);
  EXPECT_FALSE(precision_of(again).fp8_wgrad);
  std::filesystem::remove(file);
}

TEST(RulesHintTest, BatchArithmeticSaysWhatWouldFit) {
  RunConfig config = good();
  config.train.global_batch_size = 7;
  try {
    check_rules(config);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("use 6 or 8"));
  }
}

}  // namespace
}  // namespace rialto::config
