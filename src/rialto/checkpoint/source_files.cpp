// Carrying rialto_source/ into a checkpoint.
#include "rialto/checkpoint/source_files.h"

#include <algorithm>

#include "rialto/hub/hf_directory.h"
#include "rialto/hub/source_layout.h"

namespace rialto::checkpoint {
namespace {
const std::string kFolder = std::string(hub::kSourceFolder) + "/";
}

void add_source_files(store::CheckpointWriter& writer, const fs::path& hf_dir) {
  const hub::HfDirectory directory(hf_dir);
  writer.copy_file(kFolder + "config.json", hf_dir / "config.json");
  for (const std::string& name : directory.companion_files()) writer.copy_file(kFolder + name, hf_dir / name);
  writer.add_file(hub::kLayoutFile, hub::to_json(hub::layout_of(directory)).dump(1) + "\n");
}

void carry_source_files(store::CheckpointWriter& writer, const fs::path& iter_dir) {
  const fs::path folder = iter_dir / hub::kSourceFolder;
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) writer.copy_file(kFolder + fs::relative(file, folder).generic_string(), file);
}

}  // namespace rialto::checkpoint
