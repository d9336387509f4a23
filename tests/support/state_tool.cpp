// Loads the training state of an iter folder (ours or Megatron's) and saves it again under another root, without a step
// between: state_tool ITER_DIR ROOT bf16|fp32. So a test can compare what was read with what was there.
#include <cstdio>
#include <string_view>

#include "rialto/base/error.h"
#include "rialto/checkpoint/checkpoint.h"

namespace rialto {
namespace {

void resave(const fs::path& from, const fs::path& root, bool fp32) {
  checkpoint::Source source = checkpoint::open_source(from);
  source.model.dtype = fp32 ? DType::kF32 : DType::kBF16;
  model::Weights weights(source.model, {}, {}, {at::kCPU, fp32 ? at::kFloat : at::kBFloat16}, true);
  optim::AdamW optimizer(weights, {});
  const checkpoint::TrainingState state = checkpoint::load_training(from, source.model, weights, optimizer, nullptr);
  checkpoint::SaveOptions options;
  options.root = root;
  checkpoint::save(real_file_ops(), options, source.model, weights, &optimizer, state, Json{{"max_lr", 1e-3}, {"min_lr", 0.0}}, nullptr);
}

}  // namespace
}  // namespace rialto

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw rialto::Error(rialto::ErrorKind::kUsage, "state_tool", "want ITER_DIR ROOT bf16|fp32");
    rialto::resave(argv[1], argv[2], std::string_view(argv[3]) == "fp32");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
