// common.pt: what Megatron's optimizers look for is there, and the step is found wherever they put it.
#include "rialto/checkpoint/common_state.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/resolve/spelled_model.h"

namespace rialto::checkpoint {
namespace {

using formats::p_dict, formats::p_float, formats::p_int, formats::p_list, formats::p_str, formats::PicklePtr;

spec::ModelSpec tiny() {
  config::ModelSection section;
  section.set("num_layers", "2");
  section.set("hidden_size", "32");
  section.set("ffn_hidden_size", "48");
  section.set("num_attention_heads", "4");
  section.set("vocab_size", "64");
  section.set("seq_length", "16");
  return resolve::model_from_section(section, {}, DType::kBF16);
}

formats::TorchFile of(const CommonState& common) { return {common.tree, common.storages}; }

PicklePtr dict(std::vector<std::pair<std::string, PicklePtr>> entries) {
  std::vector<std::pair<PicklePtr, PicklePtr>> items;
  for (auto& [key, value] : entries) items.emplace_back(p_str(key), value);
  return p_dict(std::move(items));
}

int64_t steps(const PicklePtr& optimizer, std::vector<std::pair<std::string, std::string>> storages = {}) {
  return read_optimizer_steps({dict({{"optimizer", optimizer}}), std::move(storages)}, "common.pt");
}

const Json kScheduler = {{"max_lr", 1e-3}, {"min_lr", 1e-5}, {"num_steps", 56}};

TEST(CommonStateTest, HoldsWhatEachOptimizerLooksFor) {
  TrainingState state;
  state.iteration = 7;
  state.consumed_train_samples = 56;
  SaveOptions options;
  options.args = {{"micro_batch_size", 2}, {"seq_length", 16}};
  const CommonState common = make_training_common(options, tiny(), state, kScheduler, 7);
  const auto* optimizer = common.tree->get("optimizer");
  ASSERT_NE(optimizer, nullptr);
  EXPECT_EQ(optimizer->get("param_state_sharding_type")->text, "fully_reshardable");
  for (const formats::PickleValue* level : {optimizer, optimizer->get("optimizer")}) {
    ASSERT_EQ(level->get("param_groups")->items.size(), 2u);
    EXPECT_EQ(level->get("param_groups")->items[0]->get("wd_mult")->number, 1.0);
    EXPECT_EQ(level->get("param_groups")->items[1]->get("wd_mult")->number, 0.0);
    EXPECT_EQ(level->get("param_groups")->items[0]->get("params"), nullptr);
    EXPECT_NE(level->get("state")->get("common_step"), nullptr);
  }
  EXPECT_EQ(common.tree->get("iteration")->integer, 7);
  EXPECT_EQ(common.tree->get("args")->state->get("consumed_train_samples")->integer, 56);
  EXPECT_EQ(common.tree->get("args")->state->get("micro_batch_size")->integer, 2);
  EXPECT_EQ(common.tree->get("opt_param_scheduler")->get("num_steps")->integer, 56);
  EXPECT_EQ(read_optimizer_steps(of(common), "common.pt"), 7);
}

spec::ModelSpec with_experts(bool expert_bias) {
  spec::ModelSpec model = tiny();
  for (spec::Layer& layer : model.layers) {
    spec::MoeFfn moe;
    moe.num_experts = 4;
    moe.expert_hidden = 24;
    moe.expert_bias = expert_bias;
    layer.ffn = moe;
  }
  return model;
}

/// Core 0.16.1, ChainedOptimizer.load_state_dict: as many entries as links, in the order of their keys; groups are
/// merged one by one with the run's own, so there are no more than it has.
TEST(CommonStateTest, ExpertsMayHaveAnOptimizerOfTheirOwn) {
  SaveOptions options;
  options.separate_expert_optimizer = true;
  for (const bool expert_bias : {false, true}) {
    const CommonState common = make_training_common(options, with_experts(expert_bias), {}, kScheduler, 7);
    const auto& links = common.tree->get("optimizer")->dict;
    ASSERT_EQ(links.size(), 2u);
    for (int64_t link = 0; link < 2; ++link) {
      EXPECT_EQ(links[static_cast<size_t>(link)].first->integer, link);
      const formats::PickleValue& tree = *links[static_cast<size_t>(link)].second;
      EXPECT_EQ(tree.get("param_state_sharding_type")->text, "fully_reshardable");
      const auto& groups = tree.get("optimizer")->get("param_groups")->items;
      ASSERT_EQ(groups.size(), link == 0 || expert_bias ? 2u : 1u);
      EXPECT_EQ(groups[0]->get("wd_mult")->number, 1.0);
      for (const PicklePtr& group : groups) EXPECT_EQ(group->get("is_expert_parallel")->boolean, link == 1);
    }
    EXPECT_EQ(read_optimizer_steps(of(common), "common.pt"), 7);
  }
  const CommonState together = make_training_common({}, with_experts(false), {}, kScheduler, 7);
  EXPECT_NE(together.tree->get("optimizer")->get("param_groups"), nullptr);
}

TEST(CommonStateTest, SurvivesTheFile) {
  const CommonState common = make_training_common({}, tiny(), {}, kScheduler, 1234567);
  const std::string bytes = formats::make_torch_file(*common.tree, common.storages);
  const fs::path folder = fs::temp_directory_path() / ("rialto_common_" + std::to_string(getpid()));
  fs::create_directories(folder);
  write_file_synced(real_file_ops(), folder / "common.pt", bytes);
  EXPECT_EQ(read_optimizer_steps(read_common(folder), "common.pt"), 1234567);
  fs::remove_all(folder);
}

TEST(CommonStateTest, WithoutOptimizerNothingClaimsSteps) {
  const CommonState common = make_training_common({}, tiny(), {}, kScheduler, std::nullopt);
  EXPECT_EQ(common.tree->get("optimizer"), nullptr);
  EXPECT_THROW(read_optimizer_steps(of(common), "common.pt"), Error);
}

TEST(CommonStateTest, ReadsMegatronsPlaces) {
  const float three = 3;
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &three, 4);
  const PicklePtr tensor = formats::p_tensor(DType::kF32, {}, "0");
  // plain bf16
  EXPECT_EQ(steps(dict({{"optimizer",
                         dict({{"param_groups", p_list({dict({})})}, {"state", dict({{"common_step", tensor}})}})}}),
                  {{"0", bytes}}),
            3);
  // plain fp32
  EXPECT_EQ(
      steps(dict({{"param_groups", p_list({dict({})})}, {"state", dict({{"common_step", tensor}})}}), {{"0", bytes}}),
      3);
  // distributed, torch's AdamW counts in floats, TransformerEngine's in ints
  EXPECT_EQ(steps(dict({{"optimizer", dict({{"param_groups", p_list({dict({{"step", p_float(3.0)}}),
                                                                     dict({{"step", p_float(3.0)}})})}})}})),
            3);
  EXPECT_EQ(steps(dict({{"optimizer", dict({{"param_groups", p_list({dict({{"step", p_int(3)}})})}})}})), 3);
  // chained
  EXPECT_EQ(steps(p_dict(
                {{p_int(0), dict({{"optimizer", dict({{"param_groups", p_list({dict({{"step", p_int(5)}})})}})}})}})),
            5);
}

TEST(CommonStateTest, RefusesStepsThatDisagreeOrAreNoCount) {
  const auto groups = [](PicklePtr a, PicklePtr b) {
    return dict({{"optimizer", dict({{"param_groups", p_list({dict({{"step", a}}), dict({{"step", b}})})}})}});
  };
  EXPECT_THROW(steps(groups(p_int(3), p_int(4))), Error);
  EXPECT_THROW(steps(groups(p_float(1.5), p_float(1.5))), Error);
  EXPECT_THROW(steps(groups(p_int(-1), p_int(-1))), Error);
  EXPECT_THROW(steps(dict({})), Error);
}

}  // namespace
}  // namespace rialto::checkpoint
