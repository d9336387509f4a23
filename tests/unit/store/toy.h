// A small model, temporary folders, and checkpoints of the model with known bytes.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/store/checkpoint.h"
#include "rialto/store/common_state.h"
#include "rialto/store/names.h"

namespace rialto::store {

/// A folder of its own for the running test, removed afterwards.
class TempDir {
 public:
  TempDir() {
    // In memory where possible: these tests sync thousands of files.
    const fs::path base = ::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
    std::string name = (base / "rialto_test_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() { fs::remove_all(path_); }
  operator const fs::path&() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

inline spec::ModelSpec toy_model(bool per_layer_keys = false) {
  spec::ModelSpec model;
  model.family = "llama";
  model.hidden = 8;
  model.vocab = 11;
  model.max_positions = 64;
  model.per_layer_keys = per_layer_keys;
  spec::Attention attention;
  attention.num_heads = 4;
  attention.num_groups = 2;
  attention.head_dim = 6;
  attention.rope = spec::Rope{.base = 10000, .dim = 6, .scaling = {}};
  for (int i = 0; i < 3; ++i)
    model.layers.push_back({spec::Norm{}, attention, spec::Norm{}, spec::DenseFfn{.hidden = 10}});
  return model;
}

/// Bytes that name their parameter and place: damage and mix-ups show.
inline std::vector<std::byte> bytes_for(const spec::Param& param, size_t width, unsigned salt = 0) {
  std::vector<std::byte> bytes(static_cast<size_t>(num_elements(param.shape)) * width);
  uint64_t state = std::hash<std::string>{}(param.name) + salt;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

/// Adds every parameter and what readers ask for, then commits.
inline void fill_and_commit(CheckpointWriter& writer, const spec::ModelSpec& model, int64_t iteration,
                            unsigned salt = 0) {
  for (const spec::Param& param : spec::param_table(model))
    writer.add_chunk(chunk_of(param, DType::kBF16), [&](const ByteSink& sink) {
      const std::vector<std::byte> bytes = bytes_for(param, 2, salt);
      const size_t half = bytes.size() / 4 * 2;
      sink(std::span(bytes).first(half));
      sink(std::span(bytes).subspan(half));
    });
  writer.add_extra_states(model);
  writer.add_file("run_config.yaml", "model: {}\n");
  writer.add_file("rialto_source/config.json", "{}\n");
  writer.set_fact("true_vocab", model.vocab);
  writer.commit(
      make_common(model, iteration),
      {.step = iteration, .consumed_train_samples = 3'000'000'000, .floating_point_operations_so_far = 1e18 / 3});
}

inline fs::path write_toy(const fs::path& root, int64_t iteration, unsigned salt = 0, FileOps& ops = real_file_ops(),
                          bool replace = false) {
  CheckpointWriter writer(ops, root, iteration, replace);
  fill_and_commit(writer, toy_model(), iteration, salt);
  return root / iter_name(iteration);
}

/// Every parameter reads as it was written.
inline void expect_toy(const fs::path& iter_dir, unsigned salt = 0) {
  const CheckpointReader reader(iter_dir);
  for (const spec::Param& param : spec::param_table(toy_model())) {
    std::vector<std::byte> bytes(static_cast<size_t>(num_elements(param.shape)) * 2);
    reader.read_param(param, "", 0, bytes);
    EXPECT_EQ(bytes, bytes_for(param, 2, salt)) << param.name;
  }
}

inline void flip_byte(const fs::path& path, uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  char byte = 0;
  file.get(byte);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ 1));
}

/// Runs `body`, which must throw an Error of `kind` whose text holds every one of `parts`.
template <class Body>
void expect_error(ErrorKind kind, const std::vector<std::string>& parts, Body&& body) {
  try {
    body();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (const std::string& part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nlacks: " << part;
  }
}

}  // namespace rialto::store
