// Where the Hub is, where its files are kept, and who asks: the environment variables of huggingface_hub.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

/// Value of an environment variable, nullptr when it is not set. Tests hand in their own.
using Environment = std::function<const char*(const char* name)>;

struct HubSettings {
  fs::path cache;                    ///< HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub
  std::string endpoint;              ///< HF_ENDPOINT, without a slash at its end
  std::optional<std::string> token;  ///< HF_TOKEN, else what HF_HOME/token holds
  bool offline = false;              ///< HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE
};

/// Throws kConfig on an HF_ENDPOINT that is no URL and a token that cannot be sent.
HubSettings read_hub_settings(const Environment& environment);

}  // namespace rialto::hub
