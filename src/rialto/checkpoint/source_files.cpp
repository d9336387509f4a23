// Carrying rialto_source/ into a checkpoint.
#include "rialto/checkpoint/source_files.h"

#include <algorithm>

#include "rialto/hub/hf_directory.h"
#include "rialto/hub/source_layout.h"
#include "rialto/hub/tokenizer_file.h"
#include "rialto/resolve/resolve.h"
#include "rialto/source/keep.h"

namespace rialto::checkpoint {
namespace {

const std::string kFolder = std::string(hub::kSourceFolder) + "/";

}  // namespace

void add_source_files(store::CheckpointWriter& writer, const fs::path& hf_dir) {
  source::keep_source(writer, source::open_hf_weights(hf_dir));
}

bool carry_source_files(store::CheckpointWriter& writer, const fs::path& iter_dir) {
  const fs::path folder = iter_dir / hub::kSourceFolder;
  if (!fs::is_directory(folder)) return false;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) writer.copy_file(kFolder + fs::relative(file, folder).generic_string(), file);
  return true;
}

void add_tokenizer_files(store::CheckpointWriter& writer, const spec::ModelSpec& model, const fs::path& tokenizer) {
  writer.add_file(kFolder + "config.json", to_python_json(resolve::hf_from_model(model)) + "\n");
  if (fs::is_directory(tokenizer)) {
    for (const std::string& name : hub::companion_files_of(tokenizer))
      writer.copy_file(kFolder + name, tokenizer / name);
  } else {
    writer.copy_file(kFolder + hub::tokenizer_name_in_folder(tokenizer), tokenizer);
  }
}

}  // namespace rialto::checkpoint
