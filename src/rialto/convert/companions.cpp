// The files of a Hugging Face side that are no weights.
#include <algorithm>

#include "rialto/convert/opened.h"

namespace rialto::convert {

std::vector<std::pair<std::string, fs::path>> companion_files(const fs::path& folder) {
  static const fs::path kOurs[] = {"config.json", fs::path(hub::kLayoutFile).filename(),
                                   fs::path(hub::kPassThroughFile).filename(), fs::path(hub::kScalesFile).filename()};
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
