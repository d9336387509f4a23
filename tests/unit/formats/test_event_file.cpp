// Event files byte for byte; tests/oracle/test_tensorboard.py reads them with TensorBoard.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/formats/event_cut.h"
#include "rialto/formats/event_file.h"

namespace rialto::formats {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    out += digits;
  }
  return out;
}

class EventFileTest : public testing::Test {
 protected:
  EventFileTest() : folder_(fs::temp_directory_path() / ("event_file_test." + std::to_string(getpid()))) {
    fs::remove_all(folder_);
  }
  ~EventFileTest() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST(EventBytes, Crc32cOfTheStandardsExamples) {
  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventBytes, AScalarIsOneProtobufMessage) {
  // wall_time 1.0 as a double; step 300 as a varint; summary { value { tag "ab"; simple_value 0.5 } }
  EXPECT_EQ(hex(scalar_event("ab", 0.5, 300, 1.0)),
            "09000000000000f03f"
            "10ac02"
            "2a0b"
            "0a09"
            "0a026162"
            "150000003f");
}

TEST(EventBytes, AFrameHasLengthAndTwoMaskedChecksums) {
  // As TensorBoard's own masked_crc32c has it.
  EXPECT_EQ(hex(tfrecord("abc")),
            "0300000000000000"
            "b099490e"
            "616263"
            "6e57f121");
}

TEST_F(EventFileTest, WaitsForItsQueueAndWritesWholeRecords) {
  EventFile file(real_file_ops(), folder_, false, 2);
  const auto header = fs::file_size(file.path());
  file.add("loss", 1.5, 1);
  EXPECT_EQ(fs::file_size(file.path()), header);
  file.add("loss", 1.25, 2);
  const auto two = fs::file_size(file.path());
  EXPECT_EQ(two - header, 2 * tfrecord(scalar_event("loss", 1.5, 1, 0)).size());
  file.add("loss", 1, 3);
  file.flush();
  EXPECT_GT(fs::file_size(file.path()), two);
}

TEST_F(EventFileTest, CuttingKeepsWhatIsAskedForAndWholeRecords) {
  fs::path path;
  {
    EventFile file(real_file_ops(), folder_, false, 1);
    path = file.path();
    for (int64_t step = 1; step <= 4; ++step) file.add(step % 2 ? "odd" : "even", 1, step * 200);
  }
  const std::string whole = read_text_file(path);
  const auto all = [](std::string_view, int64_t) { return true; };
  cut_event_files(real_file_ops(), folder_, all);
  EXPECT_EQ(read_text_file(path), whole);
  const size_t one = tfrecord(scalar_event("even", 1, 400, 0)).size();
  cut_event_files(real_file_ops(), folder_,
                  [](std::string_view tag, int64_t step) { return tag == "odd" || step <= 400; });
  EXPECT_EQ(read_text_file(path), whole.substr(0, whole.size() - one));
  std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() - 3);
  cut_event_files(real_file_ops(), folder_, all);
  EXPECT_EQ(read_text_file(path), whole.substr(0, whole.size() - one));
  std::string flipped = whole;
  flipped[whole.size() - one / 2] ^= 1;
  std::ofstream(path, std::ios::binary) << flipped;
  cut_event_files(real_file_ops(), folder_, all);
  EXPECT_EQ(read_text_file(path), whole.substr(0, whole.size() - one));
}

TEST_F(EventFileTest, EveryFileIsNewerByNameThanThoseBefore) {
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) names.push_back(EventFile(real_file_ops(), folder_, true, 10).path().filename().string());
  EXPECT_LT(names[0], names[1]);
  EXPECT_LT(names[1], names[2]);
}

}  // namespace
}  // namespace rialto::formats
