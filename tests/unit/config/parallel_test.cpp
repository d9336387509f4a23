// Parallel sizes: each rule fires on its own mistake and stays silent on the layouts around it.
#include <algorithm>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/config/pipeline_layout.h"
#include "rialto/config/rules.h"

namespace rialto::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// 8 layers, 8 heads in 4 groups, width 32; with experts: 8 of width 12 in every layer.
spec::ModelSpec toy(bool experts) {
  spec::ModelSpec model;
  spec::Layer layer;
  layer.mixer = spec::Attention{.num_heads = 8, .num_groups = 4, .head_dim = 4};
  layer.ffn = spec::DenseFfn{.hidden = 32};
  if (experts) {
    spec::MoeFfn moe;
    moe.num_experts = 8;
    moe.expert_hidden = 12;
    layer.ffn = moe;
  }
  model.layers.assign(8, layer);
  return model;
}

struct Case {
  const char* rule;  ///< "" for a sound layout
  int world;
  std::function<void(RunConfig&)> set;
  bool experts = false;
};

std::vector<std::string> rules_of(const Case& one) {
  RunConfig config;
  config.train = {.micro_batch_size = 1, .global_batch_size = 64, .train_iters = 10, .exit_interval = {}};
  config.dataset.data_path = {"data"};
  config.model.set("seq_length", "48");
  config.world_size = one.world;
  one.set(config);
  const spec::ModelSpec model = toy(one.experts);
  std::vector<std::string> out;
  for (const Problem& problem : broken_rules(config, &model))
    if (!problem.is_limit) out.push_back(problem.rule);
  return out;
}

class ParallelTest : public testing::TestWithParam<Case> {};

TEST_P(ParallelTest, IsJudged) {
  const std::vector<std::string> rules = rules_of(GetParam());
  if (*GetParam().rule == '\0')
    EXPECT_THAT(rules, testing::IsEmpty());
  else
    EXPECT_THAT(rules, ElementsAre(GetParam().rule));
}

using R = RunConfig;
INSTANTIATE_TEST_SUITE_P(
    All, ParallelTest,
    testing::Values(Case{"", 2, [](R& c) { c.parallel.tensor_model_parallel_size = 2; }},
                    Case{"", 8, [](R& c) { c.parallel.tensor_model_parallel_size = 8; }},  // a multiple of the 4 groups
                    Case{"R450", 1, [](R& c) { c.parallel.tensor_model_parallel_size = 0; }},
                    Case{"R452", 1, [](R& c) { c.parallel.context_parallel_size = -2; }},
                    Case{"R460", 3,
                         [](R& c) {
                           c.parallel.tensor_model_parallel_size = 2;
                           c.parallel.expert_tensor_parallel_size = 1;
                         }},
                    Case{"R461", 2, [](R& c) { c.parallel.expert_model_parallel_size = 4; }, true},
                    Case{"R462", 5, [](R& c) { c.parallel.context_parallel_size = 5; }},
                    Case{"R462", 16, [](R& c) { c.parallel.context_parallel_size = 16; }},  // once, but not twice
                    Case{"", 3,
                         [](R& c) {
                           c.parallel.context_parallel_size = 3;
                           c.train.global_batch_size = 3;
                         }},
                    Case{"R463", 1, [](R& c) { c.parallel.sequence_parallel = true; }},
                    Case{"", 2,
                         [](R& c) {
                           c.parallel.tensor_model_parallel_size = 2;
                           c.parallel.sequence_parallel = true;
                         }},
                    Case{"R464", 2,
                         [](R& c) {
                           c.parallel.tensor_model_parallel_size = 2;
                           c.parallel.sequence_parallel = true;
                           c.model.set("seq_length", "47");
                         }},
                    Case{"R465", 1, [](R& c) { c.parallel.virtual_pipeline_model_parallel_size = 2; }},
                    Case{"", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.virtual_pipeline_model_parallel_size = 4;
                         }},
                    Case{"R466", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.virtual_pipeline_model_parallel_size = 2;
                           c.train.global_batch_size = 3;
                         }},
                    Case{"R466", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.virtual_pipeline_model_parallel_size = 2;
                           c.parallel.microbatch_group_size_per_vp_stage = 1;
                         }},
                    Case{"R467", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.num_layers_in_first_pipeline_stage = 4;
                           c.parallel.account_for_loss_in_pipeline_split = true;
                           c.parallel.account_for_embedding_in_pipeline_split = true;
                           c.parallel.num_layers_in_first_pipeline_stage = 5;
                         }},
                    Case{"R468", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.pipeline_model_parallel_layout = "Et*8|x";
                         }},
                    Case{"R468", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.pipeline_model_parallel_layout = "t*4|t*4L";
                         }},
                    Case{"R468", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.pipeline_model_parallel_layout = "Et*4|t*2|t*2L";
                         }},
                    Case{"", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.pipeline_model_parallel_layout = "Et*3|t*5L";
                         }},
                    Case{"R478", 2,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 2;
                           c.parallel.pipeline_model_parallel_layout = "Et*3|t*4L";
                         }},
                    Case{"R470", 16, [](R& c) { c.parallel.tensor_model_parallel_size = 16; }},
                    Case{"R473", 3,
                         [](R& c) {
                           c.parallel.expert_model_parallel_size = 3;
                           c.train.global_batch_size = 3;
                         },
                         true},
                    Case{"R473", 2, [](R& c) { c.parallel.expert_model_parallel_size = 2; }},
                    Case{"R474", 8,
                         [](R& c) {
                           c.parallel.tensor_model_parallel_size = 8;
                           c.parallel.sequence_parallel = true;
                         },
                         true},
                    Case{"R474", 2, [](R& c) { c.parallel.expert_tensor_parallel_size = 2; }},
                    Case{"R476", 2, [](R& c) { c.parallel.tensor_model_parallel_size = 2; }, true},
                    Case{"R477", 3,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 3;
                           c.train.global_batch_size = 3;
                         }},
                    Case{"", 4,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 4;
                           c.parallel.num_layers_in_first_pipeline_stage = 1;
                           c.parallel.num_layers_in_last_pipeline_stage = 1;
                         }},
                    Case{"R477", 4,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 4;
                           c.parallel.num_layers_in_first_pipeline_stage = 1;
                         }},
                    Case{"", 5,
                         [](R& c) {
                           c.parallel.pipeline_model_parallel_size = 5;
                           c.parallel.account_for_embedding_in_pipeline_split = true;
                           c.parallel.account_for_loss_in_pipeline_split = true;
                         }},
                    Case{"R123", 2, [](R& c) { c.validation.eval_global_batch_size = 3; }},
                    Case{"", 2, [](R& c) { c.validation.eval_global_batch_size = 6; }}, Case{"R003", 3, [](R&) {}}));

TEST(ParallelLimits, AreToldApartFromMistakes) {
  RunConfig config;
  config.train.train_iters = 1;
  config.dataset.data_path = {"x"};
  config.parallel.expert_model_parallel_size = 2;
  config.world_size = 2;
  config.logger.sample_tokens = 3;
  config.train.global_batch_size = 2;
  const std::vector<Problem> problems = broken_rules(config);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(problems[0].is_limit);
  EXPECT_THAT(problems[0].line, HasSubstr("this version does not share experts out with it"));
  EXPECT_THROW(check_rules(config), Error);
}

TEST(Rules, NumbersAreGivenOnce) {
  std::vector<std::string_view> ids;
  for (const Rule& rule : rules()) ids.push_back(rule.id);
  for (const ModelRule& rule : model_rules()) ids.push_back(rule.id);
  std::ranges::sort(ids);
  const auto twice = std::ranges::adjacent_find(ids);
  EXPECT_EQ(twice, ids.end()) << (twice == ids.end() ? "" : *twice);
}

TEST(ParallelLimits, OfTensorParallelRanks) {
  const auto limits = [](const std::function<void(RunConfig&)>& set, const spec::ModelSpec& model) {
    RunConfig config;
    config.train = {.micro_batch_size = 1, .global_batch_size = 64, .train_iters = 10, .exit_interval = {}};
    config.dataset.data_path = {"data"};
    config.parallel.tensor_model_parallel_size = config.world_size = 2;
    if (set) set(config);
    std::vector<std::string> out;
    for (const Problem& problem : broken_rules(config, &model))
      if (problem.is_limit) out.push_back(problem.rule);
    return out;
  };
  spec::ModelSpec model = toy(false);
  EXPECT_THAT(limits({}, model), testing::IsEmpty());
  EXPECT_THAT(limits([](RunConfig& c) { c.memory.attention_dropout = 0.1; }, model), testing::IsEmpty());
  EXPECT_THAT(limits([](RunConfig& c) { c.logger.sample_tokens = 4; }, model), ElementsAre("R051"));
  EXPECT_THAT(limits([](RunConfig& c) { c.mixed_precision = "bf16_with_mxfp8_mixed"; }, model), ElementsAre("R051"));
  EXPECT_THAT(limits([](RunConfig& c) { c.parallel.sequence_parallel = true; }, model), testing::IsEmpty());
  EXPECT_THAT(limits(
                  [](RunConfig& c) {
                    c.parallel.expert_model_parallel_size = 2;
                    c.logger.sample_tokens = 4;
                  },
                  model),
              testing::IsSupersetOf({"R051", "R490"}));
  model.mtp.push_back({.layer = model.layers.back()});
  EXPECT_THAT(limits({}, model), testing::IsEmpty());
  model.mtp.clear();
  std::get<spec::Attention>(model.layers[3].mixer).num_groups = 1;
  EXPECT_THAT(limits({}, model), ElementsAre("R479"));
  for (spec::Layer& layer : model.layers) std::get<spec::Attention>(layer.mixer).num_groups = 1;
  EXPECT_THAT(limits({}, model), testing::IsEmpty());
  for (spec::Layer& layer : model.layers) {
    auto& attention = std::get<spec::Attention>(layer.mixer);
    attention.qk_norm = spec::Norm{};
    attention.qk_norm_width = spec::QkNormWidth::kFull;
  }
  EXPECT_THAT(limits({}, model), ElementsAre("R479"));
}

TEST(ParallelLimits, OfPipelineStages) {
  RunConfig config;
  config.train = {.micro_batch_size = 1, .global_batch_size = 64, .train_iters = 10, .exit_interval = {}};
  config.dataset.data_path = {"data"};
  config.parallel.pipeline_model_parallel_size = config.world_size = 2;
  spec::ModelSpec model = toy(false);
  const auto limits = [&](const std::function<void(RunConfig&)>& set) {
    RunConfig changed = config;
    set(changed);
    std::vector<std::string> out;
    for (const Problem& problem : broken_rules(changed, &model))
      if (problem.is_limit) out.push_back(problem.rule);
    return out;
  };
  EXPECT_THAT(limits([](RunConfig&) {}), testing::IsEmpty());
  EXPECT_THAT(limits([](RunConfig& c) { c.logger.sample_tokens = 4; }), ElementsAre("R052"));
  EXPECT_THAT(limits([](RunConfig& c) { c.mixed_precision = "bf16_with_mxfp8_mixed"; }), ElementsAre("R052"));
  model.mtp.push_back({.layer = model.layers.back()});
  EXPECT_THAT(limits([](RunConfig& c) { c.parallel.pipeline_model_parallel_layout = "Et*4|mL"; }), testing::IsEmpty());
  EXPECT_THAT(limits([](RunConfig& c) { c.parallel.pipeline_model_parallel_layout = "Et*4m|L"; }), ElementsAre("R493"));
}

TEST(ParallelLimits, OfContextRanks) {
  RunConfig config;
  config.train = {.micro_batch_size = 1, .global_batch_size = 64, .train_iters = 10, .exit_interval = {}};
  config.dataset.data_path = {"data"};
  config.parallel.context_parallel_size = config.world_size = 2;
  const auto found = [&](const std::function<void(RunConfig&)>& set) {
    RunConfig changed = config;
    set(changed);
    std::vector<std::string> out;
    for (const Problem& problem : broken_rules(changed))
      out.push_back(problem.rule + (problem.is_limit ? " limit" : ""));
    return out;
  };
  for (const char* type : {"p2p", "all_gather", "a2a"})
    EXPECT_THAT(found([&](RunConfig& c) { c.parallel.cp_comm_type = {type}; }), testing::IsEmpty());
  EXPECT_THAT(found([](RunConfig& c) { c.parallel.cp_comm_type = {"p2p", "ring"}; }), ElementsAre("R495"));
  EXPECT_THAT(found([](RunConfig& c) { c.memory.hidden_dropout = 0.1; }), testing::IsEmpty());
  EXPECT_THAT(found([](RunConfig& c) { c.logger.sample_tokens = 3; }), testing::IsEmpty());
}

TEST(ParallelLimits, OfLevelsOfContextRanks) {
  RunConfig config;
  config.train = {.micro_batch_size = 1, .global_batch_size = 64, .train_iters = 10, .exit_interval = {}};
  config.dataset.data_path = {"data"};
  config.parallel.context_parallel_size = config.world_size = 8;
  const auto found = [&](std::vector<std::string> types, std::vector<int64_t> sizes) {
    RunConfig changed = config;
    changed.parallel.cp_comm_type = std::move(types);
    changed.parallel.hierarchical_context_parallel_sizes = std::move(sizes);
    std::vector<std::string> out;
    for (const Problem& problem : broken_rules(changed)) out.push_back(problem.rule);
    return out;
  };
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{2, 4}, {4, 2}, {1, 8}, {8, 1}})
    EXPECT_THAT(found({"a2a+p2p"}, sizes), testing::IsEmpty());
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{}, {8}, {2, 2}, {2, 2, 2}, {-2, -4}, {0, 8}})
    EXPECT_THAT(found({"p2p", "a2a+p2p"}, sizes), ElementsAre("R496"));
  EXPECT_THAT(found({"p2p"}, {2, 4}), ElementsAre("R496")) << "levels that nobody asks for";
  EXPECT_THAT(found({}, {}), testing::IsEmpty());
}

TEST(ParallelModelRules, HeadsThatAreExchanged) {
  RunConfig config;
  config.train = {.micro_batch_size = 1, .global_batch_size = 64, .train_iters = 10, .exit_interval = {}};
  config.dataset.data_path = {"data"};
  config.parallel.context_parallel_size = 4;
  config.parallel.tensor_model_parallel_size = 2;
  config.world_size = 8;
  spec::Layer layer;
  layer.mixer = spec::Attention{.num_heads = 24, .num_groups = 8, .head_dim = 8};
  layer.ffn = spec::DenseFfn{.hidden = 64};
  spec::ModelSpec model;
  model.layers = {layer, layer};
  model.hidden = 64;
  model.vocab = 128;
  const auto found = [&](std::vector<std::string> types, int64_t groups, int64_t heads = 24) {
    RunConfig changed = config;
    changed.parallel.cp_comm_type = std::move(types);
    if (changed.parallel.cp_comm_type.back() == "a2a+p2p")
      changed.parallel.hierarchical_context_parallel_sizes = {2, 2};
    auto& mixer = std::get<spec::Attention>(model.layers[1].mixer);
    mixer.num_groups = groups;
    mixer.num_heads = heads;
    std::vector<std::string> out;
    for (const Problem& problem : broken_rules(changed, &model)) out.push_back(problem.rule);
    return out;
  };
  EXPECT_THAT(found({"a2a"}, 8), testing::IsEmpty());
  EXPECT_THAT(found({"a2a"}, 4), ElementsAre("R492")) << "4 over 2 x 4";
  EXPECT_THAT(found({"a2a"}, 8, 28), ElementsAre("R492")) << "28 over 2 x 4";
  EXPECT_THAT(found({"a2a+p2p"}, 4), testing::IsEmpty()) << "4 over 2 x 2";
  EXPECT_THAT(found({"a2a", "p2p"}, 4), testing::IsEmpty()) << "that layer exchanges none";
  EXPECT_THAT(found({"p2p", "a2a"}, 4), ElementsAre("R492"));
  EXPECT_THAT(found({"p2p", "a2a", "p2p"}, 8), ElementsAre("R497"));
}

/// Vectors worked out by hand from Megatron-Core's get_num_layers_to_build.
TEST(PipelineSplit, CountsTheLayersOfEveryStage) {
  const auto layers = [](int64_t count, const ParallelKeys& keys) { return layers_of_stages(keys, count); };
  EXPECT_THAT(layers(8, {.pipeline_model_parallel_size = 4}), testing::IsEmpty()) << "even";
  EXPECT_THAT(layers(10, {.pipeline_model_parallel_size = 4, .num_layers_in_first_pipeline_stage = 1}),
              ElementsAre(1, 3, 3, 3));
  EXPECT_THAT(layers(12, {.pipeline_model_parallel_size = 3,
                          .virtual_pipeline_model_parallel_size = 2,
                          .num_layers_in_first_pipeline_stage = 2,
                          .num_layers_in_last_pipeline_stage = 4}),
              ElementsAre(1, 3, 2, 1, 3, 2));
  EXPECT_THAT(layers(4, {.pipeline_model_parallel_size = 2,
                         .num_layers_in_first_pipeline_stage = 1,
                         .num_layers_in_last_pipeline_stage = 3}),
              ElementsAre(1, 3));
  EXPECT_THAT(layers(14, {.pipeline_model_parallel_size = 2,
                          .virtual_pipeline_model_parallel_size = 2,
                          .account_for_embedding_in_pipeline_split = true,
                          .account_for_loss_in_pipeline_split = true}),
              ElementsAre(3, 4, 4, 3));
  const ParallelKeys written{.pipeline_model_parallel_size = 2, .pipeline_model_parallel_layout = "E|tt|t|L"};
  EXPECT_THAT(layers(3, written), ElementsAre(0, 2, 1, 0));
  EXPECT_EQ(pipeline_chunks(written), 2) << "as many as the layout has";
}

/// Vectors from the docstring of Megatron-Core's parser.
TEST(PipelineLayout, IsUnrolled) {
  const auto stages = parse_pipeline_layout("Ettt|(tt|)*29,m|L");
  ASSERT_EQ(stages.size(), 32u);
  EXPECT_EQ(stages[0].embedding, 1);
  EXPECT_EQ(stages[0].decoders, 3);
  for (size_t i = 1; i < 30; ++i) EXPECT_EQ(stages[i].decoders, 2);
  EXPECT_EQ(stages[30].mtp, 1);
  EXPECT_EQ(stages[31].loss, 1);
  EXPECT_EQ(misplaced_layer(stages), "");
  EXPECT_EQ(parse_pipeline_layout("E t*3 | (t*2|)*2 L").size(), 4u);
}

TEST(PipelineLayout, RefusesWhatIsNoLayout) {
  for (const char* text : {"Ex", "E(tt", "E(tt)L", "E()*2L", "E((t)*2)*2L", "Et*L", "Et*0L", "Et*-1L", "*3",
                           "Et*99999999L", "(t*60000)*60000", "EtLt", "tE", "mt"})
    EXPECT_THROW(parse_pipeline_layout(text), Error) << text;
  for (const char* text : {"t|L", "EtE|tL", "Et|t", "Et|m|mL", "Et|tLL"}) try {
      EXPECT_NE(misplaced_layer(parse_pipeline_layout(text)), "") << text;
    } catch (const Error&) {
    }
}

}  // namespace
}  // namespace rialto::config
