// The parts of the table of known keys, one file each. Inside config only.
#pragma once

#include "rialto/config/known_keys.h"

namespace rialto::config {

std::span<const KnownSection> known_training();  ///< known_training.cpp
std::span<const KnownSection> known_files();     ///< known_files.cpp
std::span<const KnownSection> known_model();     ///< known_model.cpp
std::span<const KnownSection> known_watch();     ///< known_watch.cpp

}  // namespace rialto::config
