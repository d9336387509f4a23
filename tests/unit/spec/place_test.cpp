// A process's place: each launcher's variables, and what is refused.
#include "rialto/spec/place.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::spec {
namespace {

using Environment = std::map<std::string, const char*>;

Place place(const Environment& environment) {
  return find_place([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second;
  });
}

std::string refusal(const Environment& environment) {
  try {
    place(environment);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "accepted";
}

const Environment kTorchrun = {{"RANK", "5"},
                               {"WORLD_SIZE", "8"},
                               {"LOCAL_RANK", "1"},
                               {"LOCAL_WORLD_SIZE", "4"},
                               {"MASTER_PORT", "29500"},
                               {"MASTER_ADDR", "node7"}};

TEST(Place, OneProcessWithoutALauncher) {
  EXPECT_EQ(place({}).world, 1);
  EXPECT_EQ(place({{"MASTER_PORT", "1234"}, {"RANK", "3"}}).world, 1);  // half a launcher is none
  // A batch script has its allocation's variables, not those of a step.
  EXPECT_EQ(place({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}).world, 1);
}

TEST(Place, EveryLauncher) {
  const Place torchrun = place(kTorchrun);
  EXPECT_EQ(torchrun.rank, 5);
  EXPECT_EQ(torchrun.world, 8);
  EXPECT_EQ(torchrun.local_rank, 1);
  EXPECT_EQ(torchrun.local_world, 4);
  EXPECT_EQ(torchrun.host, "node7");
  EXPECT_EQ(torchrun.port, 29500);
  const Place slurm =
      place({{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_LOCALID", "1"}, {"MASTER_PORT", "4000"}});
  EXPECT_EQ(slurm.rank, 3);
  EXPECT_EQ(slurm.world, 4);
  EXPECT_EQ(slurm.local_rank, 1);
  const Place mpi = place({{"OMPI_COMM_WORLD_RANK", "1"},
                           {"OMPI_COMM_WORLD_SIZE", "2"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "0"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"},
                           {"MASTER_PORT", "4000"}});
  EXPECT_EQ(mpi.rank, 1);
  EXPECT_EQ(mpi.local_world, 1);
}

TEST(Place, TorchrunComesFirst) {
  Environment both = kTorchrun;
  both["SLURM_PROCID"] = "0";
  both["SLURM_STEP_NUM_TASKS"] = "2";
  EXPECT_EQ(place(both).rank, 5);
}

TEST(Place, OnlyTheFirstRankTakesTheSocket) {
  Environment environment = kTorchrun;
  environment["RIALTO_STORE_SOCKET"] = "3";
  EXPECT_FALSE(place(environment).listening);
  environment["RANK"] = "0";
  EXPECT_EQ(place(environment).listening, 3);
}

TEST(Place, RefusesNamingTheVariable) {
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"RANK", "8"},
                                                                  {"RANK", "-1"},
                                                                  {"RANK", "two"},
                                                                  {"WORLD_SIZE", "0"},
                                                                  {"WORLD_SIZE", "3x"},
                                                                  {"MASTER_PORT", "70000"}}) {
    Environment environment = kTorchrun;
    environment[name] = value;
    EXPECT_THAT(refusal(environment), testing::HasSubstr(std::string("[") + name + "]")) << value;
  }
  Environment environment = kTorchrun;
  environment.erase("MASTER_PORT");
  EXPECT_THAT(refusal(environment),
              testing::HasSubstr("[MASTER_PORT] the launcher's variable cannot be used; got unset"));
}

}  // namespace
}  // namespace rialto::spec
