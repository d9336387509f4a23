// Keys of `dataset:` and `tokenizer:`.
#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

std::vector<Field<DatasetSection>> dataset_fields() {
  using D = DatasetSection;
  return {
      field("data_path", &D::data_path,
            "prefixes of .bin/.idx pairs that `split` cuts into parts, or weight, prefix, weight, prefix, ..."),
      field("data_args_path", &D::data_args_path, "file with the words of data_path"),
      field("train_data_path", &D::train_data_path, "the same for training alone; nothing is split then"),
      field("valid_data_path", &D::valid_data_path,
            "the same for evaluation; data_path is for training alone then, and nothing is split"),
      field("test_data_path", &D::test_data_path, "the same for testing"),
      field("per_split_data_args_path", &D::per_split_data_args_path,
            "JSON file with the words of these three under train, valid and test"),
      field_or_default("split", &D::split, "parts of data_path for training, validation, test"),
      field("seq_length", &D::seq_length, "tokens of a sample; unset: model.seq_length"),
      field("random_seed", &D::random_seed, "seed of the shuffle"),
      field_or_default("mid_level_dataset_surplus", &D::mid_level_dataset_surplus,
                       "share of samples that a blend's sources are built with beyond what their weight asks for"),
      field("path_to_cache", &D::path_to_cache, "folder that keeps the indices; unset: built at each start"),
      field("dataset_root", &D::dataset_root,
            "folder of fine-tuning rows, in place of token files: training.jsonl, validation.jsonl, test.jsonl (.gz, "
            ".zst, .parquet), or as the Hugging Face hub has data sets (data/train-00000-of-00002.parquet)"),
      field("dataset_subset", &D::dataset_subset, "the one of several subsets that dataset_root's README.md names"),
      field_or_default("loss_mode", &D::loss_mode,
                       "what of a fine-tuning row is trained: assistant, last_turn or full"),
      field_or_default("truncation", &D::truncation,
                       "what happens to a fine-tuning row longer than a sample: refuse (the run), right (cut) or drop"),
      field("max_train_samples", &D::max_train_samples, "only so many of the first rows of training.jsonl; unset: all"),
      field("template_clock", &D::template_clock,
            "the date that a chat template is told, in seconds of the epoch; unset: one that asks for it is refused"),
      field_or_default("special_tokens_in_text", &D::special_tokens_in_text,
                       "texts of fine-tuning rows may hold special tokens"),
      field_or_default("packed_sequence_specs.packed_sequence_size", &D::packed_sequence_size,
                       "tokens of a sample that holds several fine-tuning rows; 0 or less: one row each"),
      field("packed_sequence_specs.packed_train_data_path", &D::packed_train_data_path,
            "rows that are packed already: a .parquet or .npy file, a folder or a pattern of such; unset: rows of "
            "dataset_root are packed as they are read"),
      field("packed_sequence_specs.packed_val_data_path", &D::packed_val_data_path, "the same for evaluation"),
      field_or_default("packed_sequence_specs.pad_seq_to_mult", &D::pad_seq_to_mult,
                       "rows that are packed as they are read take room in multiples of this"),
      field_or_default("packing_window", &D::packing_window,
                       "rows of an epoch's order that are packed together, as they are read; 0: all"),
      field_or_default("pack_sequences_in_batch", &D::pack_sequences_in_batch,
                       "the fine-tuning rows of a micro-batch are laid end to end, without padding"),
      field_or_default("num_workers", &D::num_workers,
                       "threads that prepare the next iteration's samples; 0: none are prepared. No sample changes"),
      field_or_default("eod_mask_loss", &D::eod_mask_loss, "end-of-document tokens carry no loss"),
      field_or_default("reset_position_ids", &D::reset_position_ids,
                       "positions restart after an end-of-document token"),
      field_or_default("reset_attention_mask", &D::reset_attention_mask, "tokens see only their own document"),
  };
}

size_t train_sources(const DatasetSection& data) {
  return size_t{!data.data_path.empty()} + !data.data_args_path.empty() + !data.train_data_path.empty() +
         !data.per_split_data_args_path.empty() + (!data.dataset_root.empty() || !data.packed_train_data_path.empty());
}

Found has_data(const RunConfig& config) {
  if (train_sources(config.dataset) > 0) return {};
  return Finding{"no training data",
                 {.got = "unset", .want = "the prefix of a .bin/.idx pair, dataset.dataset_root or packed rows"}};
}

Found one_way_to_name_data(const RunConfig& config) {
  if (train_sources(config.dataset) <= 1) return {};
  return Finding{
      "training data is named in more than one way",
      {.want = "one of data_path, data_args_path, train_data_path, per_split_data_args_path, dataset_root or "
               "packed_sequence_specs"}};
}

Found one_way_to_name_parts(const RunConfig& config) {
  const DatasetSection& data = config.dataset;
  if (data.per_split_data_args_path.empty() || (data.valid_data_path.empty() && data.test_data_path.empty())) return {};
  return Finding{"this file names the data of every part", {.want = "valid_data_path and test_data_path unset"}};
}

/// Rows are documents of their own, and their parts are files.
Found rows_without_token_file_keys(const RunConfig& config) {
  const DatasetSection& data = config.dataset;
  if (data.dataset_root.empty() && data.packed_train_data_path.empty()) return {};
  for (const auto& [key, set] : {std::pair{"valid_data_path", !data.valid_data_path.empty()},
                                 {"test_data_path", !data.test_data_path.empty()},
                                 {"eod_mask_loss", data.eod_mask_loss},
                                 {"reset_position_ids", data.reset_position_ids},
                                 {"reset_attention_mask", data.reset_attention_mask}})
    if (set) return Finding{"fine-tuning rows beside a key of token files", {.got = key, .want = "without it"}};
  return {};
}

Found packed_size_of_packed_data(const RunConfig& config) {
  const DatasetSection& data = config.dataset;
  if (data.has_packed_samples()) {
    if (!data.dataset_root.empty() || !data.packed_train_data_path.empty()) return {};
    return Finding{"nothing to pack", {.want = "dataset_root or packed_train_data_path beside it"}};
  }
  for (const std::string* path : {&data.packed_train_data_path, &data.packed_val_data_path})
    if (!path->empty())
      return Finding{"packed rows without the size of a sample",
                     {.got = fmt::format("{}", data.packed_sequence_size), .want = "the size they were packed to"}};
  return {};
}

Found multiple_fits(const RunConfig& config) {
  const DatasetSection& data = config.dataset;
  if (data.pad_seq_to_mult >= 1 && (!data.has_packed_samples() || data.pad_seq_to_mult <= data.packed_sequence_size))
    return {};
  return Finding{"out of range", {.got = fmt::format("{}", data.pad_seq_to_mult), .want = "1 to the size of a sample"}};
}

/// The rows of a micro-batch, or of a sample: one way at a time.
Found rows_to_lay_end_to_end(const RunConfig& config) {
  const DatasetSection& data = config.dataset;
  if (!data.pack_sequences_in_batch) return {};
  if (data.has_packed_samples()) return Finding{"samples are packed already", {.got = "true", .want = "false"}};
  if (data.dataset_root.empty()) return Finding{"it is for fine-tuning rows", {.got = "true", .want = "false"}};
  return {};
}

}  // namespace

void add_dataset_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "dataset", &RunConfig::dataset, dataset_fields());
  add_rows<TokenizerSection>(
      rows, "tokenizer", &RunConfig::tokenizer,
      {field("tokenizer_model", &TokenizerSection::tokenizer_model, "HF folder, or a tokenizer's file"),
       field("tokenizer_type", &TokenizerSection::tokenizer_type,
             "what that is: HuggingFaceTokenizer, SentencePieceTokenizer or TikTokenizer")});
}

void add_dataset_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back({"R061", "dataset.data_path", "set", has_data});
  rules.push_back({"R600", "dataset.data_path", "the one way in which training data is named", one_way_to_name_data});
  rules.push_back({"R601", "dataset.per_split_data_args_path", "set without valid_data_path and test_data_path",
                   one_way_to_name_parts});
  rules.push_back(number_rule(
      "R602", "dataset.mid_level_dataset_surplus", [](C c) { return c.dataset.mid_level_dataset_surplus; }, 0, 10));
  rules.push_back(
      {"R603", "dataset.dataset_root", "without keys that are of token files", rows_without_token_file_keys});
  rules.push_back(name_rule("R604", "dataset.loss_mode", [](C c) { return c.dataset.loss_mode; },
                            {"assistant", "last_turn", "full"}));
  rules.push_back(
      name_rule("R605", "dataset.truncation", [](C c) { return c.dataset.truncation; }, {"refuse", "right", "drop"}));
  rules.push_back(
      integer_rule("R606", "dataset.max_train_samples", [](C c) { return c.dataset.max_train_samples; }, 1));
  rules.push_back(integer_rule(
      "R607", "dataset.template_clock", [](C c) { return c.dataset.template_clock; }, 0, int64_t{1} << 40));
  rules.push_back({"R608", "dataset.packed_sequence_specs.packed_sequence_size",
                   "the size of a sample, where rows are packed", packed_size_of_packed_data});
  rules.push_back(
      {"R609", "dataset.packed_sequence_specs.pad_seq_to_mult", "at least 1, at most a sample's size", multiple_fits});
  rules.push_back(integer_rule("R610", "dataset.packing_window", [](C c) { return c.dataset.packing_window; }, 0));
  rules.push_back({"R611", "dataset.pack_sequences_in_batch", "true for fine-tuning rows that are not packed otherwise",
                   rows_to_lay_end_to_end});
  rules.push_back(integer_rule("R612", "dataset.num_workers", [](C c) { return c.dataset.num_workers; }, 0, 1024));
  // unset: whatever the file is
  rules.push_back(name_rule(
      "R613", "tokenizer.tokenizer_type",
      [](C c) { return c.tokenizer.tokenizer_type.empty() ? "HuggingFaceTokenizer" : c.tokenizer.tokenizer_type; },
      {"HuggingFaceTokenizer", "SentencePieceTokenizer", "TikTokenizer"}));
  rules.push_back(integer_rule("R064", "dataset.seq_length", [](C c) { return c.dataset.seq_length; }, 1));
}

}  // namespace rialto::config
