// A Hugging Face folder as a source.
#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/convert/dtypes.h"
#include "rialto/convert/opened.h"

namespace rialto::convert {

OpenedHf open_hf(const fs::path& path) {
  hub::HfDirectory directory(path);
  hub::SourceLayout layout = hub::layout_of(directory);
  resolve::Resolved resolved = resolve::model_from_hf(directory.config(), (path / "config.json").string());
  OpenedHf opened{std::move(directory), std::move(layout), std::move(resolved), {}, {}};
  const families::Family& family = *opened.resolved.family;
  std::vector<bridge::SourceTensor> source;
  for (const auto& [name, tensor] : opened.directory.tensors())
    source.push_back({name, tensor.entry.shape, tensor.entry.dtype});
  bridge::drop_absent_mtp(opened.resolved.model, family.params, source);
  opened.params = spec::param_table(opened.resolved.model);
  opened.map = bridge::make_map(opened.resolved.model, family.params, source);
  bridge::match_source(opened.map, source, family.ignored);
  join_stacks(opened.map, opened.params);
  bridge::prove_complete(opened.map);
  opened.resolved.model.dtype = main_dtype(opened.map);  // config.json may say otherwise; what is stored counts
  return opened;
}

bridge::ByteReader OpenedHf::reader() const {
  std::vector<const hub::HfTensor*> tensors;
  for (const bridge::TensorInfo& tensor : map.hf) tensors.push_back(&directory.tensors().at(tensor.name));
  return [this, tensors = std::move(tensors)](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    directory.read(*tensors[index], begin, out);
  };
}

std::vector<std::pair<std::string, fs::path>> companion_files(const fs::path& folder) {
  static const fs::path kOurs[] = {"config.json", fs::path(hub::kLayoutFile).filename(),
                                   fs::path(hub::kPassThroughFile).filename()};
  std::vector<std::pair<std::string, fs::path>> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path relative = entry.path().lexically_relative(folder);
    if (entry.is_regular_file() && std::find(std::begin(kOurs), std::end(kOurs), relative) == std::end(kOurs))
      files.emplace_back(relative.generic_string(), entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace rialto::convert
