// Keys of `dataset:` and `tokenizer:`.
#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

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

Found has_data(const RunConfig& config) {
  if (!config.dataset.data_path.empty()) return {};
  return Finding{"no training data", {.got = "unset", .want = "the prefix of a .bin/.idx pair"}};
}

Rule one_dataset_rule(std::string_view id, std::string_view key, std::vector<std::string> DatasetSection::* paths) {
  return {id, key, "at most one prefix", [paths](const RunConfig& config) -> Found {
            const size_t count = (config.dataset.*paths).size();
            if (count <= 1) return {};
            return Finding{"this version reads one dataset",
                           {.got = fmt::format("{} entries", count), .want = "one prefix"}};
          }};
}

}  // namespace

void add_dataset_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "dataset", &RunConfig::dataset, dataset_fields());
  add_rows<TokenizerSection>(
      rows, "tokenizer", &RunConfig::tokenizer,
      {field("tokenizer_model", &TokenizerSection::tokenizer_model, "HF folder with tokenizer.json")});
}

void add_dataset_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back({"R061", "dataset.data_path", "set", has_data});
  rules.push_back(one_dataset_rule("R062", "dataset.data_path", &DatasetSection::data_path));
  rules.push_back(one_dataset_rule("R063", "dataset.valid_data_path", &DatasetSection::valid_data_path));
  rules.push_back(integer_rule("R064", "dataset.seq_length", [](C c) { return c.dataset.seq_length; }, 1));
}

}  // namespace rialto::config
