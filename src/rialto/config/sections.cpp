// The rows of every section. Names: Megatron Bridge's ConfigContainer.
#include "rialto/config/sections.h"

#include <algorithm>

#include "rialto/config/fields.h"
#include "rialto/config/model_keys.h"
#include "rialto/config/more_rows.h"
#include "rialto/config/precision.h"

namespace rialto::config {

void read_value(const Node& node, std::vector<std::string>& out) {
  out.clear();
  if (node.kind == Node::Kind::kNull) return;
  if (node.kind != Node::Kind::kList) {
    out.push_back(read_string(node));
    return;
  }
  for (const Node& item : node.items) out.push_back(read_string(item));
}

std::string write_flow_text(const std::string& text) {
  const bool plain = text.find_first_of(",[]{}\"'#:& ") == std::string::npos;
  const std::string item = write_scalar(text);
  if (plain || (!item.empty() && (item[0] == '"' || item[0] == '\''))) return item;
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

std::string write_value(const std::vector<std::string>& value) {
  std::string text = "[";
  for (size_t i = 0; i < value.size(); ++i) text += (i > 0 ? ", " : "") + write_flow_text(value[i]);
  return text + "]";
}

void ModelSection::set(std::string_view key, Node value) {
  const auto at = std::find(keys.keys.begin(), keys.keys.end(), key);
  const auto index = at - keys.keys.begin();
  if (at != keys.keys.end()) {
    keys.keys.erase(at);
    keys.items.erase(keys.items.begin() + index);
  }
  if (value.kind == Node::Kind::kNull) return;
  keys.keys.emplace_back(key);
  keys.items.push_back(std::move(value));
}

std::optional<int64_t> ModelSection::seq_length() const {
  const Node* length = find("seq_length");
  return length ? std::optional<int64_t>(read_int(*length)) : std::nullopt;
}

namespace {

template <class Section>
void add_rows(std::vector<KeyRow>& rows, std::string_view name, Section RunConfig::* section,
              const std::vector<Field<Section>>& fields) {
  for (const auto& row : fields) {
    rows.push_back({name, row.key, row.help,
                    [section, read = row.read](RunConfig& config, const Node& node) { read(config.*section, node); },
                    [section, write = row.write](const RunConfig& config) { return write(config.*section); },
                    row.type});
  }
}

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
      field("mtp_loss_scaling_factor", &M::mtp_loss_scaling_factor,
            "weight of the losses of multi-token prediction, over its depths; 0: those blocks rest"),
      field("tensor_model_parallel_size", &M::tensor_model_parallel_size,
            "ranks that share each layer; 1 in this version"),
      field("pipeline_model_parallel_size", &M::pipeline_model_parallel_size, "pipeline stages; 1 in this version"),
      field("context_parallel_size", &M::context_parallel_size, "ranks that share each sequence; 1 in this version"),
  };
}

std::vector<Field<OptimizerSection>> optimizer_fields() {
  using O = OptimizerSection;
  return {
      field("optimizer", &O::optimizer, "adam (decoupled weight decay: AdamW)"),
      field_or_default("lr", &O::lr, "highest learning rate"),
      field_or_default("min_lr", &O::min_lr, "lowest learning rate of the decay"),
      field("weight_decay", &O::weight_decay, "decay of matrices; norms and biases have none"),
      field("adam_beta1", &O::adam_beta1, "decay of the first moment"),
      field("adam_beta2", &O::adam_beta2, "decay of the second moment"),
      field("adam_eps", &O::adam_eps, "added to the root of the second moment"),
      field("clip_grad", &O::clip_grad, "largest norm of the gradient; 0: no clipping"),
      field("use_distributed_optimizer", &O::use_distributed_optimizer,
            "recorded in checkpoints; the state is written so that both of Megatron's optimizers read it"),
  };
}

std::vector<Field<SchedulerSection>> scheduler_fields() {
  using S = SchedulerSection;
  return {
      field("lr_decay_style", &S::lr_decay_style, "constant, linear, cosine or WSD"),
      field("lr_decay_iters", &S::lr_decay_iters, "iteration at which the decay ends; unset: train.train_iters"),
      field("lr_wsd_decay_iters", &S::lr_wsd_decay_iters, "iterations of the final decay of WSD"),
      field("lr_wsd_decay_style", &S::lr_wsd_decay_style, "linear, cosine, exponential or minus_sqrt"),
      field("lr_warmup_iters", &S::lr_warmup_iters, "iterations of linear warm-up"),
      field("lr_warmup_init", &S::lr_warmup_init, "learning rate at the start of the warm-up"),
      field("override_opt_param_scheduler", &S::override_opt_param_scheduler,
            "resume although the schedule differs from the checkpoint's"),
  };
}

std::vector<Field<DatasetSection>> dataset_fields() {
  using D = DatasetSection;
  return {
      field("data_path", &D::data_path, "prefix of the training .bin/.idx"),
      field("valid_data_path", &D::valid_data_path, "prefix of held-out .bin/.idx; unset: `split` of data_path"),
      field_or_default("split", &D::split,
                       "parts of data_path for training, validation, test (when valid_data_path is unset)"),
      field("seq_length", &D::seq_length, "tokens of a sample; unset: model.seq_length"),
      field("random_seed", &D::random_seed, "seed of the shuffle"),
      field_or_default("eod_mask_loss", &D::eod_mask_loss, "end-of-document tokens carry no loss"),
      field_or_default("reset_position_ids", &D::reset_position_ids,
                       "positions restart after an end-of-document token"),
      field_or_default("reset_attention_mask", &D::reset_attention_mask, "tokens see only their own document"),
  };
}

std::vector<Field<CheckpointSection>> checkpoint_fields() {
  using C = CheckpointSection;
  return {
      field("save", &C::save, "folder that gets iter_N folders; unset: nothing is saved"),
      field("load", &C::load, "folder to resume from; empty or absent: a new run"),
      field("pretrained_checkpoint", &C::pretrained_checkpoint,
            "HF folder, hub id (ORG/NAME[@REVISION]) or native checkpoint whose weights a new run starts from"),
      field("save_interval", &C::save_interval, "iterations between saves; unset: only at the end"),
      field("ckpt_step", &C::ckpt_step, "iteration to load; unset: the newest good one"),
      field("save_optim", &C::save_optim, "save the optimizer's state"),
      field("load_optim", &C::load_optim, "resume with the optimizer's state"),
      field("save_rng", &C::save_rng, "false: no random state exists beyond the seeds"),
      field(
          "separate_expert_optimizer", &C::separate_expert_optimizer,
          "the optimizer's groups as a Megatron run with expert parallelism resumes them; false: as one without does"),
      field("fully_parallel_save", &C::fully_parallel_save, "recorded for Megatron; one process writes everything"),
  };
}

std::vector<KeyRow> make_rows() {
  std::vector<KeyRow> rows;
  add_model_keys(rows);
  add_rows(rows, "model", &RunConfig::model, model_fields());
  add_rows<ModelPrecision>(rows, "model", &RunConfig::model_precision,
                           {field("bf16", &ModelPrecision::bf16, "must agree with mixed_precision when it is set")});
  using T = TrainSection;
  add_rows<T>(rows, "train", &RunConfig::train,
              {field_or_default("micro_batch_size", &T::micro_batch_size, "sequences of one forward and backward pass"),
               field_or_default("global_batch_size", &T::global_batch_size, "sequences of one optimizer step"),
               field_or_default("train_iters", &T::train_iters, "optimizer steps of the whole run"),
               field("exit_interval", &T::exit_interval, "save and exit at every multiple of this iteration")});
  using V = ValidationSection;
  add_rows<V>(rows, "validation", &RunConfig::validation,
              {field("eval_iters", &V::eval_iters, "global batches of one evaluation"),
               field("eval_interval", &V::eval_interval, "iterations between evaluations; unset: none")});
  add_rows(rows, "optimizer", &RunConfig::optimizer, optimizer_fields());
  add_rows(rows, "scheduler", &RunConfig::scheduler, scheduler_fields());
  add_rows(rows, "dataset", &RunConfig::dataset, dataset_fields());
  add_rows<TokenizerSection>(
      rows, "tokenizer", &RunConfig::tokenizer,
      {field("tokenizer_model", &TokenizerSection::tokenizer_model, "HF folder with tokenizer.json")});
  add_rows(rows, "checkpoint", &RunConfig::checkpoint, checkpoint_fields());
  using L = LoggerSection;
  add_rows<L>(rows, "logger", &RunConfig::logger,
              {field("log_interval", &L::log_interval, "iterations between step lines"),
               field("metrics_jsonl", &L::metrics_jsonl,
                     "file with one JSON record per iteration; unset: SAVE/metrics.jsonl")});
  add_rows<RngSection>(rows, "rng", &RunConfig::rng, {field("seed", &RngSection::seed, "seed of random weights")});
  rows.push_back({"", "mixed_precision",
                  "bf16_mixed (bf16 weights, fp32 main parameters and gradients) or fp32; or Bridge's map of flags",
                  [](RunConfig& config, const Node& node) { config.mixed_precision = read_precision(node); },
                  [](const RunConfig& config) { return write_scalar(config.mixed_precision); }, "name of a preset"});
  add_second_names(rows);
  add_targets(rows);
  add_known_keys(rows);
  return rows;
}

}  // namespace

std::string KeyRow::full_name() const {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

const std::vector<KeyRow>& key_rows() {
  static const std::vector<KeyRow> rows = make_rows();
  return rows;
}

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    const auto add = [&out](std::string_view name) {
      if (!name.empty() && std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
    };
    for (const KeyRow& row : key_rows()) add(row.section);
    for (const KnownSection& section : known_sections()) add(section.name);
    return out;
  }();
  return names;
}

const KeyRow* find_row(std::string_view section, std::string_view key) {
  for (const KeyRow& row : key_rows()) {
    if (row.section == section && row.key == key) return &row;
  }
  return nullptr;
}

bool is_section(std::string_view name) {
  return std::find(section_names().begin(), section_names().end(), name) != section_names().end();
}

}  // namespace rialto::config
