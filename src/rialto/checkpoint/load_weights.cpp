// Where weights come from, and filling a rank's boxes from there: a HF folder through the bridge, or a native
// checkpoint.
#include <map>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/plan.h"
#include "rialto/checkpoint/box_reader.h"
#include "rialto/checkpoint/checkpoint.h"
#include "rialto/checkpoint/stored_param.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/resolve/resolve.h"
#include "rialto/source/hf_weights.h"

namespace rialto::checkpoint {
namespace {

/// The native side's tensors of a HF folder, readable by element range.
class HfSource {
 public:
  HfSource(const fs::path& path, const spec::ModelSpec& model)
      : weights_(source::open_hf_weights(path, &model)),
        executor_(weights_.map, bridge::Direction::kToNative, weights_.reader()) {
    for (uint32_t i = 0; i < weights_.map.native.size(); ++i) index_[weights_.map.native[i].name] = i;
    executor_.check_copies();
  }

  ElementSource source_of(const spec::Param& param) {
    const auto found = index_.find(param.name);
    if (found == index_.end())
      throw Error(ErrorKind::kInternal, param.name, "no row of the family makes this parameter");
    const uint32_t index = found->second;
    const DType dtype = weights_.map.native[index].dtype;
    const size_t size = size_of(dtype);
    return {dtype, num_elements(param.shape), [this, index, size](int64_t begin, std::span<std::byte> out) {
              executor_.produce_range(index, begin, begin + static_cast<int64_t>(out.size() / size), out);
            }};
  }

 private:
  source::HfWeights weights_;
  std::map<std::string, uint32_t> index_;
  bridge::Executor executor_;
};

void require_floating(const ElementSource& source, const std::string& name) {
  if (!is_floating(source.dtype)) {
    throw Error(ErrorKind::kInput, name, "not a floating tensor",
                {.got = std::string(torch_name(source.dtype)), .want = {}, .hint = {}});
  }
}

}  // namespace

ElementSource stored_param(const store::CheckpointReader& reader, const spec::Param& param, const std::string& prefix) {
  const DType dtype = reader.dtype(reader.find_key(param, prefix));
  const size_t size = size_of(dtype);
  return {dtype, num_elements(param.shape), [&reader, &param, prefix, size](int64_t begin, std::span<std::byte> out) {
            reader.read_param(param, prefix, static_cast<uint64_t>(begin) * size, out);
          }};
}

Source open_source(const fs::path& path, std::optional<int64_t> iteration) {
  Source source;
  if (hub::is_hf_directory(path)) {
    source.model = source::hf_model(path);
    source.path = path;
    return source;
  }
  if (const auto found = store::find_checkpoint(path, iteration)) {
    const store::CheckpointReader reader(found->iter_dir);
    const std::string where = (found->iter_dir / "run_config.yaml").string();
    if (!reader.has_file("run_config.yaml")) {
      throw Error(ErrorKind::kInput, where, "missing", {.got = {}, .want = "the model's description", .hint = {}});
    }
    source.model = resolve::model_from_run_config(parse_yaml(reader.read_file("run_config.yaml"), where));
    source.path = found->iter_dir;
    source.native = true;
    source.iteration = found->iteration;
    source.notices = found->notices;
    return source;
  }
  throw Error(ErrorKind::kInput, path.string(), "neither a Hugging Face folder nor a native checkpoint",
              {.got = fs::exists(path) ? "a path without config.json and without a checkpoint" : "no such path",
               .want = "config.json, or iter_N folders",
               .hint = {}});
}

uint64_t load_weights(const Source& source, model::Weights& weights, Progress* progress) {
  Progress& shown = progress ? *progress : silent();
  std::optional<HfSource> hf;
  std::optional<store::CheckpointReader> native;
  if (source.native)
    native.emplace(source.path);
  else
    hf.emplace(source.path, source.model);
  shown.begin("load weights", weights.all().size(), "tensors");
  uint64_t rounded = 0, done = 0;
  for (model::Weight& weight : weights.all()) {
    check_cancelled(shown, "load weights");
    const ElementSource elements = native ? stored_param(*native, weight.param, "") : hf->source_of(weight.param);
    require_floating(elements, weight.param.name);
    fill_bytes(weight.data, [&](std::span<std::byte> out) {
      rounded += read_box(elements, weight.param.view, weight.box, dtype_of(weight.data.scalar_type()), out);
    });
    shown.update(++done);
  }
  shown.end();
  return rounded;
}

}  // namespace rialto::checkpoint
