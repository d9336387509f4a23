// Progress says nothing about short work, and plain lines where there is no terminal.
#include <gtest/gtest.h>

#include "rialto/base/terminal_progress.h"

namespace rialto {
namespace {

std::string printed_by(const std::function<void(TerminalProgress&)>& body) {
  std::FILE* file = std::tmpfile();
  {
    TerminalProgress progress(nullptr, file);
    body(progress);
  }
  std::string text(4096, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(TerminalProgress, ShortWorkIsSilent) {
  EXPECT_EQ(printed_by([](TerminalProgress& progress) {
              progress.begin("convert", 100, "bytes");
              progress.update(50);
              progress.end();
            }),
            "");
}

TEST(TerminalProgress, NoticesAreLines) {
  EXPECT_EQ(printed_by([](TerminalProgress& progress) { progress.notice("fell back"); }), "note: fell back\n");
}

TEST(TerminalProgress, CancelledFollowsTheFlag) {
  std::atomic<bool> stop = false;
  TerminalProgress progress(&stop);
  EXPECT_FALSE(progress.cancelled());
  stop = true;
  EXPECT_TRUE(progress.cancelled());
}

TEST(TerminalProgress, Amounts) {
  EXPECT_EQ(amount_text(512, "bytes"), "512 B");
  EXPECT_EQ(amount_text(1536, "bytes"), "1.5 KiB");
  EXPECT_EQ(amount_text(310.0 * (1 << 20), "bytes"), "310 MiB");
  EXPECT_EQ(amount_text(1234, "tokens"), "1234 tokens");
  EXPECT_EQ(amount_text(12'345'678, "tokens"), "12 M tokens");
  EXPECT_EQ(duration_text(42.4), "0:42");
  EXPECT_EQ(duration_text(3723), "1:02:03");
}

}  // namespace
}  // namespace rialto
