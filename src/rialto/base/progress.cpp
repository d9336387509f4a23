// The silent Progress, and the one way to stop.
#include "rialto/base/progress.h"

#include "rialto/base/error.h"

namespace rialto {

namespace {

class Silent final : public Progress {
 public:
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void update(uint64_t) override {}
  void end() override {}
  void notice(std::string_view) override {}
};

}  // namespace

Progress& silent() {
  static Silent instance;
  return instance;
}

void check_cancelled(const Progress& progress, std::string_view where) {
  if (progress.cancelled()) throw Error(ErrorKind::kStopped, where, "stopped on request");
}

}  // namespace rialto
