// What is wrong with a training run, as far as its configuration and the files of this machine tell. No torch, no
// thread, no process: `rialto config check` prints it, and `rialto train` and `launch` refuse it before the hand-over.
#pragma once

#include <vector>

#include "rialto/config/run_config.h"

namespace rialto::cli {

/// Rules, paths that lead nowhere, and the model: the loaded one, with which model: must agree, or the one that model:
/// spells out; then the rules that look at it. A hub id is left to the loader, with the model it stands for.
/// Throws kInput where a folder that is there cannot be read, unless there is another mistake to tell.
std::vector<config::Problem> check_run(const config::RunConfig& config);

/// The same after reading; keys that cannot be read are reported alone, for rules need all values.
/// `processes`: of the run; unset: `recipe.gpus`, else one.
std::vector<config::Problem> check_run(const config::ConfigSources& sources, std::optional<int64_t> processes);

/// Those that are mistakes of the configuration, and those that are limits of this version.
std::vector<config::Problem> mistakes_of(const std::vector<config::Problem>& problems);
std::vector<config::Problem> limits_of(const std::vector<config::Problem>& problems);

}  // namespace rialto::cli
