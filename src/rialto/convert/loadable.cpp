// Whether a model could be loaded.
#include "rialto/convert/loadable.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/convert/opened.h"
#include "rialto/source/hf_weights.h"

namespace rialto::convert {

namespace {

spec::ModelSpec matched_model(const fs::path& path) {
  if (hub::is_hf_directory(path)) return source::open_hf_weights(path).resolved.model;
  if (!store::is_native_checkpoint(path))
    throw Error(ErrorKind::kInput, path.string(), "neither a Hugging Face model nor a Megatron checkpoint");
  const OpenedNative native = open_native(path, {}, {});
  if (!native.checkpoint->has_file("run_config.yaml"))
    throw Error(ErrorKind::kInput, native.checkpoint->path().string(), "holds no run_config.yaml",
                {.want = "the model's description", .hint = "rialto convert writes one"});
  return native.resolved.model;
}

}  // namespace

spec::ModelSpec loadable_model(const fs::path& path) {
  if (!fs::exists(path)) throw Error(ErrorKind::kInput, path.string(), "there is nothing here");
  try {
    return matched_model(path);
  } catch (const Error& error) {  // of two models, the line says which
    if (std::string_view(error.what()).find(path.string()) != std::string_view::npos) throw;
    throw Error(error.kind(), path.string(), error.what());
  }
}

void check_same_vocabulary(const std::string& a, const spec::ModelSpec& model_a, const std::string& b,
                           const spec::ModelSpec& model_b) {
  if (model_a.vocab == model_b.vocab) return;
  throw Error(ErrorKind::kConfig, "--logits", "the models have different vocabularies",
              {.got = fmt::format("{} of {} and {} of {}", model_a.vocab, a, model_b.vocab, b),
               .want = "as many logits of one as of the other"});
}

}  // namespace rialto::convert
