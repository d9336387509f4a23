// Names inside a checkpoint root, said once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::store {

inline constexpr std::string_view kTrackerText = "latest_checkpointed_iteration.txt";
inline constexpr std::string_view kTrackerState = "latest_train_state.pt";
inline constexpr std::string_view kTrainState = "train_state.pt";
inline constexpr std::string_view kCommon = "common.pt";
inline constexpr std::string_view kMetadata = ".metadata";
inline constexpr std::string_view kMetadataJson = "metadata.json";
inline constexpr std::string_view kManifest = "manifest.json";
inline constexpr std::string_view kRelease = "release";  ///< Megatron's folder for weights without an iteration
inline constexpr std::string_view kModelData = "__0_0.distcp", kOptimizerData = "__0_1.distcp";
inline constexpr std::string_view kOptimizerPrefix = "optimizer.";

/// "iter_0000012". Temporary folders are ".tmp.iter_0000012": other programs parse every name that starts with iter_.
std::string iter_name(int64_t iteration);
/// The number of "iter_0000012"; nullopt for any other name.
std::optional<int64_t> parse_iter_name(std::string_view name);
/// Digits only (spaces around them allowed); nullopt for anything else.
std::optional<int64_t> parse_number(std::string_view text);
/// True for a path that stays inside the folder it is relative to.
bool is_inside(const fs::path& relative);

}  // namespace rialto::store
