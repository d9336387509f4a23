// Whole runs on a toy: its data, its configuration, what it wrote.
#pragma once

#include <ATen/Parallel.h>

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/random.h"
#include "rialto/formats/indexed_dataset.h"
#include "rialto/store/checkpoint.h"
#include "rialto/train/train.h"

namespace rialto::train {

/// A folder of its own with documents that a toy can learn, and runs in it.
class ToyRun {
 public:
  ToyRun() : folder_(fs::temp_directory_path() / ("rialto_train_" + std::to_string(getpid()))) {
    at::set_num_threads(1);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_data("train", 600, 64);
    write_data("valid", 80, 64);
  }
  ~ToyRun() { fs::remove_all(folder_); }

  /// Documents that count upwards by a step of their own: a toy can learn that.
  void write_data(const std::string& name, int documents, int64_t vocab) {
    formats::IndexedDatasetWriter writer(real_file_ops(), folder_ / name, vocab);
    const RandomStream random(11, name);
    for (int d = 0; d < documents; ++d) {
      std::vector<int32_t> tokens(17 + random.bits(static_cast<uint64_t>(d)) % 23);
      const auto step = static_cast<int32_t>(1 + d % 3);
      for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = static_cast<int32_t>((d + step * static_cast<int32_t>(i)) % static_cast<int32_t>(vocab));
      writer.add_document(tokens);
    }
    writer.finish();
  }

  config::RunConfig config(const std::string& run, const std::string& precision = "fp32") const {
    config::RunConfig config;
    config.mixed_precision = precision;
    config.model.set("num_layers", "2");
    config.model.set("hidden_size", "32");
    config.model.set("ffn_hidden_size", "48");
    config.model.set("num_attention_heads", "4");
    config.model.set("num_query_groups", "2");
    config.model.set("vocab_size", "64");
    config.model.set("seq_length", "24");
    config.model.set("share_embeddings_and_output_weights", "true");
    config.train = {.micro_batch_size = 2, .global_batch_size = 4, .train_iters = 20};
    config.validation = {.eval_iters = 2, .eval_interval = 8};
    config.optimizer.lr = 1e-2;
    config.optimizer.min_lr = 1e-3;
    config.scheduler.lr_warmup_iters = 12;
    config.dataset.data_path = {(folder_ / "train").string()};
    config.dataset.valid_data_path = {(folder_ / "valid").string()};
    config.checkpoint.save = (folder_ / run).string();
    config.checkpoint.load = config.checkpoint.save;
    config.logger.log_interval = 5;
    return config;
  }

  std::vector<Json> records(const std::string& run) const {
    std::vector<Json> out;
    const std::string text = read_text_file(folder_ / run / "metrics.jsonl");
    for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      Json record = Json::parse(text.substr(begin, end - begin));
      record.erase("time");
      out.push_back(record);
    }
    return out;
  }

  /// Everything that a checkpoint holds, by key.
  std::map<std::string, std::string> state(const std::string& run, int64_t iteration) const {
    const auto found = store::find_checkpoint(folder_ / run, iteration);
    const store::CheckpointReader reader(found.value().iter_dir);
    std::map<std::string, std::string> out;
    for (const auto& [key, tensor] : reader.metadata().tensors) {
      std::string bytes(static_cast<size_t>(num_elements(tensor.shape)) * size_of(tensor.dtype), '\0');
      reader.read(key, Shape(tensor.shape.size(), 0), tensor.shape, std::as_writable_bytes(std::span(bytes)));
      out[key] = bytes;
    }
    return out;
  }

  std::string failure(const config::RunConfig& config, ErrorKind kind) {
    try {
      train(config, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "the run did not fail";
    return "";
  }

  fs::path folder_;
};

}  // namespace rialto::train
