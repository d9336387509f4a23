// Keys of `optimizer:`.
#include <cmath>

#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;
using C = const RunConfig&;
using O = OptimizerSection;

constexpr std::string_view kTorch = "torch.";

/// A number format: `torch.float32`, with or without "torch.", or the map that Megatron Bridge writes for it.
std::string read_dtype(const Node& node) {
  const Node* target = node.kind == Node::Kind::kMap ? node.find("_target_") : nullptr;
  std::string name = read_string(target != nullptr ? *target : node);
  return name.starts_with(kTorch) ? name.substr(kTorch.size()) : name;
}

Field<O> dtype_field(std::string_view key, std::string O::* member, std::string_view help) {
  return {key, help,
          [member](O& section, const Node& node) {
            section.*member = node.kind == Node::Kind::kNull ? O{}.*member : read_dtype(node);
          },
          [member](const O& section) {
            return fmt::format("{{_call_: false, _target_: {}}}",
                               write_flow_text(fmt::format("{}{}", kTorch, section.*member)));
          },
          "number format"};
}

std::vector<Field<O>> optimizer_fields() {
  return {
      field("optimizer", &O::optimizer, "adam (decoupled weight decay: AdamW), sgd, lion or muon"),
      field_or_default("lr", &O::lr, "highest learning rate"),
      field_or_default("min_lr", &O::min_lr, "lowest learning rate of the decay"),
      field("decoupled_lr", &O::decoupled_lr, "highest learning rate of embedding and output layer; unset: lr"),
      field("decoupled_min_lr", &O::decoupled_min_lr, "lowest learning rate beside decoupled_lr; unset: min_lr"),
      field("weight_decay", &O::weight_decay, "decay of matrices; norms and biases have none"),
      field("apply_wd_to_qk_layernorm", &O::apply_wd_to_qk_layernorm, "norms of queries and keys decay too"),
      field("decoupled_weight_decay", &O::decoupled_weight_decay,
            "of adam: weights shrink by themselves (AdamW); false: the decay joins the gradient"),
      field("adam_beta1", &O::adam_beta1, "decay of the first moment"),
      field("adam_beta2", &O::adam_beta2, "decay of the second moment"),
      field("adam_eps", &O::adam_eps, "added to the root of the second moment"),
      field("sgd_momentum", &O::sgd_momentum, "decay of sgd's momentum; 0: none is kept"),
      field("lion_beta1", &O::lion_beta1, "share of the moment in the step that lion takes the sign of"),
      field("lion_beta2", &O::lion_beta2, "decay of lion's moment"),
      field("muon_momentum", &O::muon_momentum, "decay of muon's momentum"),
      field("muon_use_nesterov", &O::muon_use_nesterov, "muon looks one step of momentum ahead"),
      field("muon_split_qkv", &O::muon_split_qkv, "queries, keys and values are orthogonalised apart"),
      field("muon_scale_mode", &O::muon_scale_mode, "spectral, shape_scaling or unit_rms_norm"),
      field("muon_extra_scale_factor", &O::muon_extra_scale_factor, "one more factor of muon's step"),
      field("muon_num_ns_steps", &O::muon_num_ns_steps, "Newton-Schulz steps"),
      field("muon_fp32_matmul_prec", &O::muon_fp32_matmul_prec,
            "products of those steps: medium (bf16), high or highest (fp32)"),
      field("clip_grad", &O::clip_grad, "largest norm of the gradient; 0: no clipping"),
      field("grad_norm_skip_threshold", &O::grad_norm_skip_threshold,
            "an iteration whose gradient has a larger norm (before clipping) is skipped; unset: none is"),
      field("log_num_zeros_in_grad", &O::log_num_zeros_in_grad,
            "count zeros in the gradient, for step line and records"),
      field("use_distributed_optimizer", &O::use_distributed_optimizer,
            "with several processes each keeps and updates the optimizer state of its share of the weights (ZeRO-1); "
            "checkpoints are written so that both of Megatron's optimizers read them"),
      field("loss_scale", &O::loss_scale, "constant factor of the loss; unset: dynamic with fp16, none otherwise"),
      field_or_default("initial_loss_scale", &O::initial_loss_scale, "first factor of the dynamic loss scale"),
      field_or_default("min_loss_scale", &O::min_loss_scale, "lowest factor of the dynamic loss scale"),
      field_or_default("loss_scale_window", &O::loss_scale_window,
                       "iterations without overflow after which the factor doubles"),
      field_or_default("hysteresis", &O::hysteresis, "overflows after which the factor is halved"),
      field("use_precision_aware_optimizer", &O::use_precision_aware_optimizer,
            "of adam with bf16 weights: store_param_remainders and the types of the moments act"),
      field("store_param_remainders", &O::store_param_remainders,
            "main parameters are the weights and 16 bits more, without loss"),
      dtype_field("exp_avg_dtype", &O::exp_avg_dtype, "first moment: torch.float32 or torch.bfloat16"),
      dtype_field("exp_avg_sq_dtype", &O::exp_avg_sq_dtype, "second moment: torch.float32 or torch.bfloat16"),
      field("optimizer_cpu_offload", &O::optimizer_cpu_offload,
            "state and update of a share of the weights on the CPU"),
      field("optimizer_offload_fraction", &O::optimizer_offload_fraction, "that share"),
  };
}

Found known_optimizer(C config) {
  const std::string& got = config.optimizer.optimizer;
  const std::string want = "adam, sgd, lion, muon";
  for (const auto& [name, why] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"dist_muon", "Muon's state is not split over ranks here; muon keeps it whole"},
           {"adaptive_muon", "a second moment of orthogonalised steps is not in this version"},
           {"soap", "preconditioners of both sides of a matrix are not in this version"},
           {"hybrid_adam", "optimizer_cpu_offload is what moves Adam's state here"}}) {
    if (got == name) return Finding{fmt::format("does not run here: {}", why), {.got = got, .want = want}};
  }
  for (const std::string_view name : {"adam", "sgd", "lion", "muon"}) {
    if (got == name) return {};
  }
  const std::string near = nearest(got, std::vector<std::string>{"adam", "sgd", "lion", "muon"});
  return Finding{"unknown name",
                 {.got = fmt::format("'{}'", got),
                  .want = want,
                  .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)}};
}

Found lowest_rate(C config) {
  const double low = config.optimizer.min_lr, high = config.optimizer.lr;
  if ((low >= 0 && low <= high) || !(high >= 0)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", low), .want = fmt::format("0 to {} (optimizer.lr)", high)}};
}

Found decoupled_rate(C config) {
  const O& section = config.optimizer;
  if (!section.decoupled_lr) return {};
  const double high = *section.decoupled_lr;
  const double low = section.decoupled_min_lr.value_or(section.min_lr);
  if (!(high >= 0 && high <= 1e30))
    return Finding{"out of range", {.got = fmt::format("{}", high), .want = "0 to 1e30"}};
  if (section.decoupled_min_lr || low <= high) return {};
  return Finding{"below optimizer.min_lr, which is the lowest rate of this group too",
                 {.got = fmt::format("{}", high),
                  .want = fmt::format("at least {}", low),
                  .hint = "set optimizer.decoupled_min_lr"}};
}

Found decoupled_lowest(C config) {
  const O& section = config.optimizer;
  if (!section.decoupled_min_lr) return {};
  const double low = *section.decoupled_min_lr;
  if (!section.decoupled_lr)
    return Finding{"stands without optimizer.decoupled_lr", {.got = fmt::format("{}", low), .want = "unset"}};
  if (low >= 0 && low <= *section.decoupled_lr) return {};
  return Finding{
      "out of range",
      {.got = fmt::format("{}", low), .want = fmt::format("0 to {} (optimizer.decoupled_lr)", *section.decoupled_lr)}};
}

/// A decay of moments: 1 would never take up a gradient.
Rule beta_rule(std::string_view id, std::string_view key, double O::* beta) {
  return {id, key, "at least 0 and below 1", [beta](C config) -> Found {
            const double got = config.optimizer.*beta;
            if (got >= 0 && got < 1) return {};
            return Finding{"out of range", {.got = fmt::format("{}", got), .want = "at least 0 and below 1"}};
          }};
}

Found coefficients_in_turn(C config) {
  const int64_t got = config.optimizer.muon_num_ns_steps;
  if (got >= 5 && got <= 100 && got % 5 == 0) return {};
  return Finding{"the five sets of coefficients are taken in turn",
                 {.got = std::to_string(got), .want = "a multiple of 5, 5 to 100"}};
}

Found whole_matrices(C config) {
  if (config.optimizer.optimizer != "muon" || !config.optimizer.use_distributed_optimizer) return {};
  return Finding{"muon needs whole matrices, which a distributed optimizer cuts (Megatron-Core refuses the pair too)",
                 {.got = "true", .want = "false", .hint = "optimizer.use_distributed_optimizer=false"}};
}

Found coupled_decay(C config) {
  const O& section = config.optimizer;
  if (section.decoupled_weight_decay || section.optimizer == "adam" || section.optimizer == "sgd") return {};
  return Finding{fmt::format("the decay of {} is always decoupled", section.optimizer),
                 {.got = "false", .want = "true"}};
}

Found precision_aware(C config) {
  const O& section = config.optimizer;
  if (!section.use_precision_aware_optimizer || section.optimizer == "adam") return {};
  return Finding{"is for adam alone", {.got = fmt::format("true with {}", section.optimizer), .want = "false"}};
}

Rule moment_rule(std::string_view id, std::string_view key, std::string O::* dtype) {
  return {
      id, key, "torch.float32; torch.bfloat16 with optimizer.use_precision_aware_optimizer",
      [dtype](C config) -> Found {
        const std::string& got = config.optimizer.*dtype;
        if (got == "float32") return {};
        if (got != "bfloat16")
          return Finding{got == "float16" || got == "uint8"
                             ? "does not run here: 16 bits of this kind (and 8) need a scale for each tensor"
                             : "unknown number format",
                         {.got = fmt::format("{}{}", kTorch, got), .want = "torch.float32 or torch.bfloat16"}};
        if (config.optimizer.use_precision_aware_optimizer) return {};
        return Finding{
            "acts with optimizer.use_precision_aware_optimizer alone",
            {.got = "torch.bfloat16", .want = "torch.float32", .hint = "optimizer.use_precision_aware_optimizer=true"}};
      }};
}

Found positive_threshold(C config) {
  const std::optional<double>& got = config.optimizer.grad_norm_skip_threshold;
  if (!got || *got > 0) return {};
  return Finding{"out of range", {.got = fmt::format("{}", *got), .want = "above 0"}};
}

Found offloadable(C config) {
  const O& section = config.optimizer;
  if (!section.optimizer_cpu_offload || section.optimizer != "muon") return {};
  return Finding{"muon's matrices are updated where the weights are", {.got = "true with muon", .want = "false"}};
}

}  // namespace

void add_optimizer_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "optimizer", &RunConfig::optimizer, optimizer_fields());
}

void add_optimizer_rules(std::vector<Rule>& rules) {
  rules.push_back({"R021", "optimizer.optimizer", "adam, sgd, lion, muon", known_optimizer});
  // Beyond this a single step could overflow fp32 weights, and the state before a failed step would not be worth
  // saving.
  rules.push_back(number_rule("R022", "optimizer.lr", [](C c) { return c.optimizer.lr; }, 0, 1e30));
  rules.push_back({"R023", "optimizer.min_lr", "0 to optimizer.lr", lowest_rate});
  rules.push_back(number_rule("R024", "optimizer.weight_decay", [](C c) { return c.optimizer.weight_decay; }, 0, 1e6));
  rules.push_back(beta_rule("R025", "optimizer.adam_beta1", &O::adam_beta1));
  rules.push_back(beta_rule("R026", "optimizer.adam_beta2", &O::adam_beta2));
  rules.push_back(number_rule("R027", "optimizer.adam_eps", [](C c) { return c.optimizer.adam_eps; }, 0, 1e6));
  rules.push_back(number_rule("R028", "optimizer.clip_grad", [](C c) { return c.optimizer.clip_grad; }, 0, 1e30));
  rules.push_back(
      {"R150", "optimizer.decoupled_lr", "0 to 1e30; not below min_lr without decoupled_min_lr", decoupled_rate});
  rules.push_back(
      {"R151", "optimizer.decoupled_min_lr", "0 to optimizer.decoupled_lr, which is set", decoupled_lowest});
  rules.push_back(beta_rule("R152", "optimizer.sgd_momentum", &O::sgd_momentum));
  rules.push_back(beta_rule("R153", "optimizer.lion_beta1", &O::lion_beta1));
  rules.push_back(beta_rule("R154", "optimizer.lion_beta2", &O::lion_beta2));
  rules.push_back(beta_rule("R155", "optimizer.muon_momentum", &O::muon_momentum));
  rules.push_back({"R156", "optimizer.muon_num_ns_steps", "a multiple of 5, 5 to 100", coefficients_in_turn});
  rules.push_back(name_rule("R157", "optimizer.muon_scale_mode", [](C c) { return c.optimizer.muon_scale_mode; },
                            {"spectral", "shape_scaling", "unit_rms_norm"}));
  rules.push_back(name_rule("R158", "optimizer.muon_fp32_matmul_prec",
                            [](C c) { return c.optimizer.muon_fp32_matmul_prec; }, {"medium", "high", "highest"}));
  rules.push_back(number_rule(
      "R159", "optimizer.muon_extra_scale_factor", [](C c) { return c.optimizer.muon_extra_scale_factor; }, 0, 1e6));
  rules.push_back({"R160", "optimizer.use_distributed_optimizer", "false for muon", whole_matrices});
  rules.push_back({"R161", "optimizer.use_precision_aware_optimizer", "for adam alone", precision_aware});
  rules.push_back(moment_rule("R162", "optimizer.exp_avg_dtype", &O::exp_avg_dtype));
  rules.push_back(moment_rule("R163", "optimizer.exp_avg_sq_dtype", &O::exp_avg_sq_dtype));
  rules.push_back({"R164", "optimizer.optimizer_cpu_offload", "not for muon", offloadable});
  rules.push_back(number_rule(
      "R165", "optimizer.optimizer_offload_fraction", [](C c) { return c.optimizer.optimizer_offload_fraction; }, 0,
      1));
  rules.push_back({"R166", "optimizer.decoupled_weight_decay", "false for adam and sgd alone", coupled_decay});
  rules.push_back({"R167", "optimizer.grad_norm_skip_threshold", "above 0", positive_threshold});
}

}  // namespace rialto::config
