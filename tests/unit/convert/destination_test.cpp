// Destinations that are refused, replaced, or left as they were.
#include "rialto/convert/destination.h"

#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

TEST(Destination, RefusedBeforeAnythingIsWritten) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  const auto before = files_of(dir);
  write_text(dir / "file", "x");
  expect_error(ErrorKind::kConfig, {"is a file"}, [&] { convert_plain(dir / "hf", dir / "file"); });
  fs::remove(dir / "file");
  expect_error(ErrorKind::kConfig, {"is the source"}, [&] { convert_plain(dir / "hf", dir / "hf"); });
  expect_error(ErrorKind::kConfig, {"inside the source"}, [&] { convert_plain(dir / "hf", dir / "hf/out"); });
  expect_error(ErrorKind::kConfig, {"inside the source"}, [&] { convert_plain(dir / "hf", dir / "hf/../hf/out"); });
  expect_error(ErrorKind::kConfig, {"inside the destination"}, [&] { convert_plain(dir / "hf", dir); });
  expect_error(ErrorKind::kConfig, {"of the wanted kind"},
               [&] { convert_plain(dir / "hf", dir / "out", [](ConvertOptions& o) { o.to = Target::kHf; }); });
  expect_error(ErrorKind::kConfig, {"--like"},
               [&] { convert_plain(dir / "hf", dir / "out", [&](ConvertOptions& o) { o.like = dir / "hf"; }); });
  expect_error(ErrorKind::kInput, {"nothing here"}, [&] { convert_plain(dir / "none", dir / "out"); });
  fs::create_directory(dir / "empty");
  expect_error(ErrorKind::kInput, {"neither"}, [&] { convert_plain(dir / "empty", dir / "out"); });
  EXPECT_EQ(files_of(dir), before);
}

TEST(Destination, SymbolicLinksDoNotHideTheSource) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  fs::create_directory_symlink(dir / "hf", dir / "link");
  expect_error(ErrorKind::kConfig, {"is the source"},
               [&] { convert_plain(dir / "hf", dir / "link", [](ConvertOptions& o) { o.overwrite = true; }); });
  expect_error(ErrorKind::kConfig, {"inside the source"}, [&] { convert_plain(dir / "hf", dir / "link/out"); });
}

TEST(Destination, OverwriteReplacesModelsOnly) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  const Json config = toy_config();
  write_hf(dir / "other", config, toy_tensors(config, DType::kBF16, 99));
  convert_plain(dir / "hf", dir / "native");
  const auto first = files_of(dir / "native");
  expect_error(ErrorKind::kConfig, {"not empty", "--overwrite"}, [&] { convert_plain(dir / "other", dir / "native"); });
  EXPECT_EQ(files_of(dir / "native"), first);
  convert_plain(dir / "other", dir / "native", [](ConvertOptions& o) { o.overwrite = true; });
  EXPECT_NE(files_of(dir / "native"), first);
  EXPECT_TRUE(verify({dir / "other", dir / "native", {}, {}}, nullptr).differences.empty());
  fs::create_directory(dir / "precious");
  write_text(dir / "precious/thesis.txt", "x");
  expect_error(ErrorKind::kConfig, {"neither a model nor a checkpoint"},
               [&] { convert_plain(dir / "hf", dir / "precious", [](ConvertOptions& o) { o.overwrite = true; }); });
  EXPECT_TRUE(fs::exists(dir / "precious/thesis.txt"));
  fs::create_directory(dir / "empty");
  convert_plain(dir / "hf", dir / "empty");
  EXPECT_TRUE(fs::exists(dir / "empty/iter_0000001"));
  convert_plain(dir / "hf", dir / "made/on/the/way");
  expect_clean(dir);
}

TEST(Destination, NoRoom) {
  const TempDir dir;
  expect_error(ErrorKind::kIo, {"not enough space"}, [&] { check_room(dir / "x", uint64_t{1} << 60, nullptr); });
  std::vector<std::string> notices;
  check_room(dir / "deep/er", 1000, &notices);
  EXPECT_TRUE(notices.empty());
  check_room(dir / "x", uint64_t{1} << 60, &notices);  // a dry run goes on, and says so
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_THAT(notices[0], testing::HasSubstr("MiB free"));
}

}  // namespace
}  // namespace rialto::convert
