// Names of models on the Hugging Face Hub: ORG/NAME, or ORG/NAME@REVISION.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rialto::hub {

struct HubId {
  std::string organisation, name;
  std::string revision = "main";  ///< branch, tag or commit

  std::string repository() const { return organisation + "/" + name; }
  std::string cache_folder() const { return "models--" + organisation + "--" + name; }
};

/// None when `text` cannot be a hub id: not one slash, or characters that the Hub does not have in names.
std::optional<HubId> parse_hub_id(std::string_view text);

/// Branch, tag or commit: nothing that could leave the folder of revisions.
bool is_revision(std::string_view text);
/// 40 lower-case hexadecimal digits.
bool is_commit(std::string_view text);

}  // namespace rialto::hub
