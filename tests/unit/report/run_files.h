// A folder with runs, written by hand.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace rialto::report::test {

class RunFiles : public testing::Test {
 protected:
  RunFiles() : root_(std::filesystem::temp_directory_path() / ("rialto_report_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(root_);
  }
  ~RunFiles() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  /// Three iterations, one evaluation, a checkpoint of iteration 2 of `train_iters`.
  void write_run(const std::string& name, int train_iters = 3, const std::string& lr = "0.001") {
    std::string text = R"({"kind":"validation","iteration":0,"lm loss":5.5,"tokens":8,"time":{"elapsed_ms":1}})";
    for (const char* step : {"1", "2", "3"}) {
      text += std::string("\n{\"kind\":\"train\",\"iteration\":") + step + ",\"lm loss\":" + step +
              ".5,\"grad norm\":0.25,\"tokens\":64,\"time\":{\"at\":1,\"elapsed_ms\":4,\"tokens_per_s\":16000,"
              "\"phases_ms\":{\"forward\":" +
              step + "},\"memory\":{\"mem-max-resident-gigabytes\":0.5}}}";
    }
    write(name + "/metrics.jsonl", text + "\n");
    write(name + "/latest_checkpointed_iteration.txt", "2");
    write(name + "/iter_0000002/run_config.yaml", "train:\n  train_iters: " + std::to_string(train_iters) +
                                                      "\noptimizer:\n  lr: " + lr +
                                                      "\ndataset:\n  data_path: [a, b]\n");
  }
  std::filesystem::path root_;
};

}  // namespace rialto::report::test
