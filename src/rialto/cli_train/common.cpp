// Shared options, environment and the stop flag of rialto-train.
#include <ATen/Parallel.h>

#include <csignal>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/cli_train/command.h"

namespace rialto::cli_train {
namespace {

volatile std::sig_atomic_t stop_flag = 0;

// SA_RESETHAND put the default action back, so the next signal ends the process.
void on_signal(int) { stop_flag = 1; }

}  // namespace

void apply(const Common& common, int usual) {
  if (common.threads < 0 || common.threads > 4096) {
    throw Error(ErrorKind::kUsage, "--threads", "out of range",
                {.got = std::to_string(common.threads), .want = "1 to 4096", .hint = {}});
  }
  int threads = common.threads;
  if (threads == 0 && usual > 0) threads = std::getenv("OMP_NUM_THREADS") ? at::get_num_threads() : usual;
  at::set_num_threads(threads > 0 ? threads : static_cast<int>(available_threads()));
}

std::optional<DType> parse_dtype(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const auto dtype = dtype_from_torch(name);
  if (dtype != DType::kF32 && dtype != DType::kBF16) {
    throw Error(ErrorKind::kUsage, "--dtype", "not a dtype to compute in",
                {.got = name, .want = "fp32 or bf16", .hint = {}});
  }
  return dtype;
}

FileOps& file_ops() {
  static const std::unique_ptr<FileOps> faulty = [] {
    const char* spec = std::getenv("RIALTO_TEST_FAULT");
    return spec != nullptr && *spec != '\0' ? faulty_file_ops(real_file_ops(), spec) : nullptr;
  }();
  return faulty ? *faulty : real_file_ops();
}

void install_stop_handlers(int extra_signal) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, extra_signal}) sigaction(signal, &action, nullptr);
}

bool stop_requested() { return stop_flag != 0; }

void end_with_launcher() {
  const char* launcher = std::getenv("RIALTO_LAUNCHER_PID");
  if (!launcher || std::to_string(getppid()) != launcher) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::to_string(getppid()) != launcher) raise(SIGKILL);  // it ended meanwhile
}

int final_code(int code) {
  return code == exit_code(ErrorKind::kStopped) && std::getenv("TORCHELASTIC_RUN_ID") != nullptr ? 0 : code;
}

}  // namespace rialto::cli_train
