// Trackers are hints: obeyed when good, explained when not.
#include "rialto/store/train_state.h"
#include "tests/unit/store/toy.h"

namespace rialto::store {
namespace {

void write_text(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

void set_trackers(const fs::path& root, int64_t text, int64_t state) {
  write_text(root / "latest_checkpointed_iteration.txt", std::to_string(text));
  write_text(root / "latest_train_state.pt", make_train_state({.step = state}));
}

std::string joined(const Found& found) {
  std::string all;
  for (const std::string& notice : found.notices) all += notice + "\n";
  return all;
}

TEST(Find, NothingThere) {
  const TempDir root;
  EXPECT_FALSE(find_checkpoint(root));
  EXPECT_FALSE(is_native_checkpoint(root));
  EXPECT_FALSE(find_checkpoint(root / "missing"));
}

TEST(Find, NewestIsTakenSilently) {
  const TempDir root;
  write_toy(root, 1);
  write_toy(root, 2, 9);
  const auto found = find_checkpoint(root);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->iteration, 2);
  EXPECT_TRUE(found->notices.empty()) << joined(*found);
  EXPECT_TRUE(is_native_checkpoint(root));
  EXPECT_EQ(list_iterations(root), (std::vector<int64_t>{1, 2}));
}

TEST(Find, IterFolderItself) {
  const TempDir root;
  const fs::path dir = write_toy(root, 3);
  EXPECT_EQ(find_checkpoint(dir)->iter_dir, dir);
  EXPECT_EQ(find_checkpoint(dir, 3)->iteration, 3);
  expect_error(ErrorKind::kInput, {"another iteration"}, [&] { find_checkpoint(dir, 4); });
}

TEST(Find, OlderTrackerIsObeyedAloud) {
  const TempDir root;
  write_toy(root, 1);
  write_toy(root, 2);
  set_trackers(root, 1, 1);
  const auto found = find_checkpoint(root);
  EXPECT_EQ(found->iteration, 1);
  EXPECT_NE(joined(*found).find("iter_0000002"), std::string::npos);
}

TEST(Find, DisagreeingTrackersFallBackToTheNewestGood) {
  const TempDir root;
  write_toy(root, 1);
  write_toy(root, 2);
  set_trackers(root, 1, 2);  // a crash between the two
  auto found = find_checkpoint(root);
  EXPECT_EQ(found->iteration, 2);
  EXPECT_NE(joined(*found).find("latest_train_state.pt"), std::string::npos);
  fs::resize_file(root / "iter_0000002/__0_0.distcp", 10);
  found = find_checkpoint(root);
  EXPECT_EQ(found->iteration, 1);
  EXPECT_NE(joined(*found).find("__0_0.distcp"), std::string::npos);
}

TEST(Find, DamagedNewestFallsBackAndSaysSo) {
  const TempDir root;
  write_toy(root, 1);
  const fs::path second = write_toy(root, 2);
  flip_byte(second / ".metadata", 40);
  const auto found = find_checkpoint(root);
  EXPECT_EQ(found->iteration, 1);
  EXPECT_NE(joined(*found).find(".metadata"), std::string::npos);
}

TEST(Find, FlippedWeightIsFoundWhenHashesAreAskedFor) {
  const TempDir root;
  write_toy(root, 1);
  const fs::path second = write_toy(root, 2);
  flip_byte(second / "__0_0.distcp", fs::file_size(second / "__0_0.distcp") / 2);
  EXPECT_EQ(find_checkpoint(root)->iteration, 2);
  EXPECT_EQ(find_checkpoint(root, {}, CheckpointReader::Verify::kHashes)->iteration, 1);
}

TEST(Find, DamagedOrMissingTrackers) {
  const TempDir root;
  write_toy(root, 1);
  write_toy(root, 2);
  write_text(root / "latest_train_state.pt", "rubbish");
  write_text(root / "latest_checkpointed_iteration.txt", "soon");
  EXPECT_EQ(find_checkpoint(root)->iteration, 2);
  fs::remove(root / "latest_train_state.pt");
  fs::remove(root / "latest_checkpointed_iteration.txt");
  EXPECT_EQ(find_checkpoint(root)->iteration, 2);
  EXPECT_NE(joined(*find_checkpoint(root)).find("no tracker"), std::string::npos);
  write_text(root / "latest_checkpointed_iteration.txt", "7");  // names nothing
  EXPECT_EQ(find_checkpoint(root)->iteration, 2);
  write_text(root / "latest_checkpointed_iteration.txt", " 1\n");
  EXPECT_EQ(find_checkpoint(root)->iteration, 1);
}

TEST(Find, WantedIteration) {
  const TempDir root;
  write_toy(root, 1);
  write_toy(root, 2);
  EXPECT_EQ(find_checkpoint(root, 1)->iteration, 1);
  expect_error(ErrorKind::kInput, {"no iteration 5"}, [&] { find_checkpoint(root, 5); });
  fs::resize_file(root / "iter_0000001/__0_0.distcp", 10);
  expect_error(ErrorKind::kInput, {"iter_0000001", "not complete"}, [&] { find_checkpoint(root, 1); });
}

TEST(Find, NothingGoodIsAnError) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  fs::remove(dir / ".metadata");
  expect_error(ErrorKind::kInput, {"no complete checkpoint", "iter_0000001"}, [&] { find_checkpoint(root); });
}

TEST(Find, LeftoversAreMentioned) {
  const TempDir root;
  write_toy(root, 1);
  fs::create_directory(root / ".tmp.iter_0000002");
  EXPECT_NE(joined(*find_checkpoint(root)).find(".tmp.iter_0000002"), std::string::npos);
  EXPECT_EQ(find_checkpoint(root)->iteration, 1);
}

TEST(Find, ReleaseFolder) {
  const TempDir root;
  fs::rename(write_toy(root, 1), root / "release");
  write_text(root / "latest_checkpointed_iteration.txt", "release");
  fs::remove(root / "latest_train_state.pt");
  const auto found = find_checkpoint(root);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->iter_dir.filename(), "release");
}

TEST(Find, OtherNamesAreNotIterations) {
  EXPECT_EQ(parse_iter_name("iter_0000012"), 12);
  EXPECT_EQ(parse_iter_name("iter_12345678"), 12345678);
  for (const char* name :
       {"iter_12", ".tmp.iter_0000001", "iter_00000x1", "iter_", "iter_99999999999999999999", "iteration_1"})
    EXPECT_FALSE(parse_iter_name(name)) << name;
}

}  // namespace
}  // namespace rialto::store
