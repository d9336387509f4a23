// run_ranks(n, body): the current test once more in n processes that form one World over Gloo.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "rialto/cli/ranks.h"
#include "rialto/comm/world.h"
#include "rialto/spec/place.h"

namespace rialto {

/// In the test: starts the ranks, waits, and returns their common exit code. In a rank: connects, runs `body`, and ends
/// the process with 0 when nothing failed, else 1.
inline int run_ranks(int num_ranks, const std::function<void(std::shared_ptr<comm::World>)>& body) {
  if (std::getenv("RIALTO_TEST_RANKS") != nullptr) {
    const spec::Place place = spec::find_place([](const char* name) { return std::getenv(name); });
    body(comm::World::connect(place, {.timeout = std::chrono::seconds(60)}));
    std::exit(testing::Test::HasFailure() ? 1 : 0);
  }
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  return cli::run_ranks({.program = std::filesystem::read_symlink("/proc/self/exe"),
                         .arguments = {"--gtest_filter=" + std::string(test->test_suite_name()) + "." + test->name()},
                         .num_ranks = num_ranks,
                         .environment = {"RIALTO_TEST_RANKS=1", "OMP_NUM_THREADS=1"}});
}

}  // namespace rialto
