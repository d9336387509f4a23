// Saving and loading a training state: bit for bit, from the two names of main parameters, and box by box.
#include <ATen/Functions.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/checkpoint/checkpoint.h"
#include "rialto/resolve/spelled_model.h"
#include "rialto/spec/param.h"

namespace rialto::checkpoint {
namespace {

spec::ModelSpec tiny(DType dtype) {
  config::ModelSection section;
  section.set("family", "qwen3");
  section.set("num_layers", "4");
  section.set("hidden_size", "64");
  section.set("ffn_hidden_size", "96");
  section.set("num_attention_heads", "4");
  section.set("num_query_groups", "2");
  section.set("kv_channels", "24");
  section.set("vocab_size", "130");
  section.set("seq_length", "32");
  return resolve::model_from_section(section, {}, dtype);
}

struct State {
  explicit State(const spec::ModelSpec& model, spec::Layout layout = {}, spec::Coords coords = {})
      : weights(model, layout, coords, {at::kCPU, model.dtype == DType::kF32 ? at::kFloat : at::kBFloat16}, true),
        optimizer(weights, {}) {}
  model::Weights weights;
  optim::Optimizer optimizer;
};

/// Random weights, then a few updates from made-up gradients, so that moments and main parameters are all different.
void disturb(State& state, const spec::ModelSpec& model) {
  state.weights.init_random(model, 7);
  state.optimizer.reset_main_from_weights();
  for (int step = 0; step < 3; ++step) {
    for (model::Weight& weight : state.weights.all()) {
      weight.main_grad.copy_(at::arange(weight.size, at::kFloat).view(weight.data.sizes()).sin().mul(0.1 * (step + 1)));
    }
    state.optimizer.step({.lr = 1e-2, .decoupled_lr = 1e-2, .weight_decay = 0.1}, 1.0);
  }
}

/// Main parameters and moments, weight by weight.
void expect_same_state(const State& got, const State& want) {
  for (const model::Weight& weight : got.weights.all()) {
    if (weight.param.buffer) continue;
    const auto state = [&](const State& of, const char* name) {
      const model::Weight& there = of.weights.at(weight.param.name);
      return of.optimizer.read(name, {there.offset, there.offset + there.size});
    };
    std::vector<const char*> names = got.optimizer.state_names(weight.param);
    names.push_back("param");
    for (const char* name : names)
      EXPECT_TRUE(at::equal(state(got, name), state(want, name))) << name << " of " << weight.param.name;
  }
}

class TrainingStateTest : public testing::TestWithParam<DType> {
 protected:
  TrainingStateTest()
      : root_(fs::temp_directory_path() / ("rialto_state_" + std::to_string(getpid()))),
        model_(tiny(GetParam())),
        saved_(model_) {
    fs::remove_all(root_);
    disturb(saved_, model_);
    options_.root = root_;
    options_.rates.lr = 5e-4;
    counters_.iteration = 3;
    counters_.consumed_train_samples = 24;
    counters_.consumed_valid_samples = 16;
    counters_.floating_point_operations_so_far = 1.5e12;
  }
  ~TrainingStateTest() override { fs::remove_all(root_); }

  fs::path save_now() {
    const Json scheduler = {{"max_lr", 1e-3}, {"min_lr", 0.0}, {"num_steps", 24}};
    return save(real_file_ops(), options_, model_, saved_.weights, &saved_.optimizer, counters_, scheduler, nullptr);
  }

  fs::path root_;
  spec::ModelSpec model_;
  State saved_;
  SaveOptions options_;
  TrainingState counters_;
};

TEST_P(TrainingStateTest, ComesBackBitForBit) {
  const fs::path folder = save_now();
  State loaded(model_);
  const TrainingState counters = load_training(folder, model_, loaded.weights, loaded.optimizer, nullptr);
  EXPECT_EQ(counters.iteration, 3);
  EXPECT_EQ(counters.consumed_train_samples, 24);
  EXPECT_EQ(counters.consumed_valid_samples, 16);
  EXPECT_NEAR(counters.floating_point_operations_so_far, 1.5e12, 1e6);
  EXPECT_EQ(loaded.optimizer.num_steps(), 3);
  EXPECT_TRUE(at::equal(loaded.weights.flat_data(), saved_.weights.flat_data()));
  expect_same_state(loaded, saved_);
}

/// Every layer has experts, so that Megatron may number the layers of its keys or stack them.
spec::ModelSpec experts(DType dtype, bool per_layer_keys) {
  config::ModelSection section;
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"family", "qwen3_moe"},
                                                                  {"num_layers", "3"},
                                                                  {"hidden_size", "16"},
                                                                  {"num_attention_heads", "4"},
                                                                  {"num_query_groups", "2"},
                                                                  {"num_moe_experts", "5"},
                                                                  {"moe_ffn_hidden_size", "6"},
                                                                  {"moe_router_topk", "2"},
                                                                  {"vocab_size", "34"},
                                                                  {"seq_length", "32"}})
    section.set(key, value);
  spec::ModelSpec model = resolve::model_from_section(section, {}, dtype);
  model.per_layer_keys = per_layer_keys;
  return model;
}

TEST_P(TrainingStateTest, ExpertsAndMomentsOfTheOtherFormComeBack) {
  for (const bool per_layer : {false, true}) {
    fs::remove_all(root_);
    const spec::ModelSpec theirs = experts(GetParam(), per_layer), ours = experts(GetParam(), !per_layer);
    State written(theirs), loaded(ours);
    disturb(written, theirs);
    const Json scheduler = {{"max_lr", 1e-3}, {"min_lr", 0.0}, {"num_steps", 24}};
    const fs::path folder =
        save(real_file_ops(), options_, theirs, written.weights, &written.optimizer, counters_, scheduler, nullptr);
    ASSERT_TRUE(fs::remove(folder / "manifest.json"));  // as another program leaves it
    const store::CheckpointReader reader(folder);
    for (const char* prefix : {"", "optimizer.state.exp_avg."}) {
      const std::string key =
          fmt::format("{}decoder.layers.{}mlp.experts.experts.linear_fc1.weight", prefix, per_layer ? "0." : "");
      ASSERT_TRUE(reader.has_tensor(key)) << key;
      EXPECT_EQ(reader.shape(key).size(), per_layer ? 3u : 4u);  // [layer,] expert, out, in
    }
    EXPECT_EQ(load_training(folder, ours, loaded.weights, loaded.optimizer, nullptr).iteration, 3);
    for (const model::Weight& weight : loaded.weights.all())
      EXPECT_TRUE(at::equal(weight.data, written.weights.at(weight.param.name).data)) << weight.param.name;
    expect_same_state(loaded, written);
  }
}

TEST_P(TrainingStateTest, EveryNameThatMegatronAsksForIsThere) {
  const store::CheckpointReader reader(save_now());
  for (const spec::Param& param : spec::param_table(model_)) {
    for (const char* prefix : {"", "optimizer.state.param.", "optimizer.state.fp32_param.", "optimizer.state.exp_avg.",
                               "optimizer.state.exp_avg_sq."}) {
      ASSERT_TRUE(reader.has_tensor(prefix + param.disk.key)) << prefix << param.disk.key;
      EXPECT_EQ(reader.shape(prefix + param.disk.key), param.disk.shape(param.shape));
      for (const std::string& alias : param.disk.aliases)
        EXPECT_TRUE(reader.has_tensor(prefix + alias)) << prefix << alias;
    }
  }
}

TEST_P(TrainingStateTest, BoxesOfEveryRankTileTheModel) {
  const Source source = open_source(save_now());
  State whole(model_);
  load_weights(source, whole.weights, nullptr);
  const spec::Layout layout{.tp = 2, .pp = 2};
  std::map<std::string, int64_t> seen;
  for (int rank = 0; rank < layout.world(); ++rank) {
    const spec::Coords coords = spec::coords_of(layout, rank);
    model::Weights part(model_, layout, coords, whole.weights.context(), false);
    load_weights(source, part, nullptr);
    for (const model::Weight& weight : part.all()) {
      at::Tensor expected = whole.weights.at(weight.param.name).data.detach().view(weight.param.view);
      for (size_t axis = 0; axis < weight.param.view.size(); ++axis) {
        expected =
            expected.narrow(static_cast<int64_t>(axis), weight.box.lo[axis], weight.box.hi[axis] - weight.box.lo[axis]);
      }
      EXPECT_TRUE(at::equal(weight.data.detach().reshape({-1}), expected.reshape({-1})))
          << weight.param.name << " rank " << rank;
      // A replicated parameter is held by both tensor-parallel ranks; count it once.
      if (weight.param.tp_axis || coords.tp == 0) seen[weight.param.name] += weight.size;
    }
  }
  for (const model::Weight& weight : whole.weights.all())
    EXPECT_EQ(seen[weight.param.name], weight.size) << weight.param.name;
}

TEST_P(TrainingStateTest, AMissingPieceOfOptimizerStateIsNamed) {
  const Json scheduler = {{"max_lr", 1e-3}, {"min_lr", 0.0}};
  const fs::path folder =
      save(real_file_ops(), options_, model_, saved_.weights, nullptr, counters_, scheduler, nullptr);
  State loaded(model_);
  try {
    load_training(folder, model_, loaded.weights, loaded.optimizer, nullptr);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), testing::HasSubstr("embedding.word_embeddings.weight"));
  }
}

TEST_P(TrainingStateTest, AnotherIterationIsNotOverwrittenUnasked) {
  save_now();
  EXPECT_THROW(save_now(), Error);
  options_.replace = true;
  EXPECT_NO_THROW(save_now());
}

TEST_P(TrainingStateTest, WeightsAreCastToWhatIsAsked) {
  const Source source = open_source(save_now());
  model::Weights other(model_, {}, {}, {at::kCPU, GetParam() == DType::kF32 ? at::kBFloat16 : at::kFloat}, false);
  const uint64_t rounded = load_weights(source, other, nullptr);
  EXPECT_EQ(rounded > 0, GetParam() == DType::kF32);
  EXPECT_TRUE(
      at::equal(other.at("decoder.final_layernorm.weight").data.to(at::kFloat),
                saved_.weights.at("decoder.final_layernorm.weight").data.detach().to(at::kBFloat16).to(at::kFloat)));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, TrainingStateTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& test) { return test.param == DType::kF32 ? "fp32" : "bf16"; });

TEST(OpenSourceTest, ANonModelIsRefused) {
  EXPECT_THROW(open_source("/nonexistent/model"), Error);
  EXPECT_THROW(open_source(fs::temp_directory_path()), Error);
}

}  // namespace
}  // namespace rialto::checkpoint
