// Keys of `model:`: what the model is (model_keys.h), and what a run does with it.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "rialto/config/model_keys.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

std::string_view type_name(ModelKeyType type) {
  switch (type) {
    case ModelKeyType::kSize:
      return "integer";
    case ModelKeyType::kNumber:
      return "number";
    case ModelKeyType::kFlag:
      return "true or false";
    case ModelKeyType::kText:
      return "text";
    case ModelKeyType::kSizes:
      return "integer or list of them";
    case ModelKeyType::kNumbers:
      return "number or list of them";
  }
  return "value";
}

/// Rows of the keys that say what the model is.
void add_model_keys(std::vector<KeyRow>& rows) {
  for (const ModelKey& key : model_keys()) {
    rows.push_back({"model", key.key, key.help,
                    [row = &key](RunConfig& config, const Node& node) {
                      check_type(*row, node);
                      config.model.set(row->key, node);
                    },
                    [row = &key](const RunConfig& config) {
                      const Node* value = config.model.find(row->key);
                      return value ? write_flow(*value) : std::string("null");
                    },
                    type_name(key.type)});
  }
}

/// What a run does with the model.
std::vector<Field<ModelSection>> model_fields() {
  using M = ModelSection;
  return {
      field("moe_aux_loss_coeff", &M::moe_aux_loss_coeff, "weight of the experts' load-balancing loss; 0: none"),
      field_or_default("moe_z_loss_coeff", &M::moe_z_loss_coeff, "weight of the router's z loss; 0: none"),
      field("moe_router_bias_update_rate", &M::moe_router_bias_update_rate,
            "step of a router's selection bias towards an even load, after each iteration; 0: it stays"),
      field("moe_expert_capacity_factor", &M::moe_expert_capacity_factor,
            "an expert takes this many times its even share of a micro-batch's choices, the rest are dropped; unset: "
            "all"),
      field("moe_token_drop_policy", &M::moe_token_drop_policy,
            "what a full expert keeps: probs (the largest weights) or position (the first)"),
      field("mtp_loss_scaling_factor", &M::mtp_loss_scaling_factor,
            "weight of the losses of multi-token prediction, over its depths; 0: those blocks rest"),
      field("deterministic_mode", &M::deterministic_mode,
            "only operations that give the same bits every time, on a GPU too; others end the run"),
      field_or_default("calculate_per_token_loss", &M::calculate_per_token_loss,
                       "divide the loss by the tokens of the global batch; false: by those of each micro-batch, then "
                       "average"),
  };
}

/// How Bridge's files say again what model.init_method_std says, with Megatron's factor for residual projections.
struct StatedInit {
  std::string_view rule, key;
  bool residual;
};
constexpr StatedInit kStatedInits[] = {{"R046", "model.init_method", false},
                                       {"R047", "model.embedding_init_method", false},
                                       {"R048", "model.embedding_init_method_std", false},
                                       {"R049", "model.output_layer_init_method", true}};

std::optional<Finding> agrees_with_init_std(const RunConfig& config, const StatedInit& row) {
  const auto stated = config.stated.find(std::string(row.key));
  const Node *spread = config.model.find("init_method_std"), *layers = config.model.find("num_layers");
  if (stated == config.stated.end() || (row.residual && !layers)) return {};
  double want = spread ? read_float(*spread) : spec::ModelSpec{}.init_std;
  if (row.residual) want /= std::sqrt(2.0 * static_cast<double>(std::max<int64_t>(1, read_int(*layers))));
  if (std::abs(stated->second - want) <= 1e-9 * std::abs(want)) return {};
  return Finding{"the spread of random weights is said in two ways",
                 {.got = fmt::format("{}", stated->second),
                  .want = fmt::format("{}, which follows from model.init_method_std{}", want,
                                      row.residual ? " and model.num_layers" : ""),
                  .hint = "leave the key out"}};
}

std::optional<Finding> capacity_is_positive(const RunConfig& config) {
  const auto& factor = config.model.moe_expert_capacity_factor;
  if (!factor || *factor > 0) return {};
  return Finding{"an expert takes nothing", {.got = fmt::format("{}", *factor), .want = "unset or above 0"}};
}

std::optional<Finding> drop_policy_is_known(const RunConfig& config) {
  const std::string& policy = config.model.moe_token_drop_policy;
  if (policy == "probs" || policy == "position") return {};
  return Finding{"no such way to choose what a full expert drops", {.got = policy, .want = "probs or position"}};
}

}  // namespace

void add_model_rows(std::vector<KeyRow>& rows) {
  add_model_keys(rows);
  add_rows(rows, "model", &RunConfig::model, model_fields());
  add_model_precision_rows(rows);
}

void add_model_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(integer_rule("R041", "model.seq_length", [](C c) { return c.model.seq_length(); }, 1));
  rules.push_back(
      number_rule("R042", "model.moe_aux_loss_coeff", [](C c) { return c.model.moe_aux_loss_coeff; }, 0, 1e6));
  rules.push_back(number_rule("R043", "model.moe_z_loss_coeff", [](C c) { return c.model.moe_z_loss_coeff; }, 0, 1e6));
  rules.push_back(number_rule(
      "R044", "model.moe_router_bias_update_rate", [](C c) { return c.model.moe_router_bias_update_rate; }, 0, 1e6));
  rules.push_back({"R055", "model.moe_expert_capacity_factor", "unset or above 0", capacity_is_positive});
  rules.push_back({"R056", "model.moe_token_drop_policy", "probs or position", drop_policy_is_known});
  for (const StatedInit& row : kStatedInits)
    rules.push_back({row.rule, row.key,
                     fmt::format("model.init_method_std{} as its spread, when it is set",
                                 row.residual ? " / sqrt(2 * model.num_layers)" : ""),
                     [&row](C config) { return agrees_with_init_std(config, row); }});
  rules.push_back(number_rule(
      "R045", "model.mtp_loss_scaling_factor", [](C c) { return c.model.mtp_loss_scaling_factor; }, 0, 1e6));
}

}  // namespace rialto::config
