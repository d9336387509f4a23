// Starting and watching local ranks.
#include "rialto/cli/ranks.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rialto/base/error.h"

extern char** environ;

namespace rialto::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<int> signal_seen = 0;
extern "C" void note_signal(int number) { signal_seen = number; }

[[noreturn]] void io_error(const std::string& where, const char* what, int code) {
  throw Error(ErrorKind::kIo, where, fmt::format("{}: {}", what, std::strerror(code)));
}

/// A socket bound to a free port of the loopback address. Rank 0 inherits it, so that nobody can take the port
/// meanwhile.
class FreePort {
 public:
  FreePort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (socket_ < 0 || ::bind(socket_, plain, size) != 0 || ::listen(socket_, 128) != 0 ||
        ::getsockname(socket_, plain, &size) != 0)
      io_error("rialto launch", "no port for the ranks to meet at", errno);
    port_ = ntohs(address.sin_port);
  }
  ~FreePort() { ::close(socket_); }
  FreePort(const FreePort&) = delete;
  FreePort& operator=(const FreePort&) = delete;
  int socket() const { return socket_; }
  int port() const { return port_; }

 private:
  int socket_, port_ = 0;
};

constexpr int kInheritedSocket = 3;

struct Rank {
  int number = 0;
  pid_t pid = -1;
  int errors = -1;      ///< its standard error; -1 when closed
  std::string partial;  ///< the beginning of a line
  std::string message;  ///< its error line
  std::optional<int> code;
};

std::vector<std::string> environment_of(const RankJob& job, int rank, int port) {
  std::vector<std::string> all = job.environment;
  const auto set = [&all](const char* name, auto value) { all.push_back(fmt::format("{}={}", name, value)); };
  set("RANK", rank);
  set("LOCAL_RANK", rank);
  set("WORLD_SIZE", job.num_ranks);
  set("LOCAL_WORLD_SIZE", job.num_ranks);
  set("MASTER_ADDR", "127.0.0.1");
  set("MASTER_PORT", port);
  set("RIALTO_LAUNCHER_PID", ::getpid());
  if (rank == 0) set("RIALTO_STORE_SOCKET", kInheritedSocket);
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view inherited = *entry;
    const std::string_view name = inherited.substr(0, inherited.find('=') + 1);
    const auto is_set = [name](const std::string& ours) { return std::string_view(ours).starts_with(name); };
    if (name != "RIALTO_STORE_SOCKET=" && std::none_of(all.begin(), all.end(), is_set)) all.emplace_back(inherited);
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

class Ranks {
 public:
  explicit Ranks(const RankJob& job) {
    const FreePort meeting;
    try {
      for (int rank = 0; rank < job.num_ranks; ++rank) start(job, rank, meeting);
    } catch (...) {
      kill_all();
      throw;
    }
  }
  ~Ranks() { kill_all(); }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int wait() {
    while (running()) {
      forward_signal();
      read_errors();
      reap();
      if (failed_at_ && Clock::now() - *failed_at_ > std::chrono::seconds(kGraceSeconds)) kill_all();
    }
    while (reading()) read_errors();
    for (Rank& rank : ranks_) finish_line(rank);
    return report();
  }

 private:
  void start(const RankJob& job, int number, const FreePort& meeting) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) io_error("rialto launch", "no pipe", errno);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    if (number == 0) posix_spawn_file_actions_adddup2(&actions, meeting.socket(), kInheritedSocket);
    // A group of its own: a terminal's Ctrl-C reaches this process alone, which passes it on, once.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::vector<std::string> arguments{job.program.string()}, environment = environment_of(job, number, meeting.port());
    arguments.insert(arguments.end(), job.arguments.begin(), job.arguments.end());
    Rank rank;
    rank.number = number;
    rank.errors = ends[0];
    const int code = ::posix_spawn(&rank.pid, job.program.c_str(), &actions, &attributes, pointers(arguments).data(),
                                   pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    ::close(ends[1]);
    if (code != 0) {
      ::close(ends[0]);
      io_error(job.program.string(), "cannot be started", code);
    }
    ranks_.push_back(std::move(rank));
  }

  bool running() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return !rank.code; });
  }

  bool reading() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.errors >= 0; });
  }

  void forward_signal() {
    if (const int number = signal_seen.exchange(0))
      for (const Rank& rank : ranks_)
        if (!rank.code) ::kill(rank.pid, number);
  }

  void kill_all() {
    for (Rank& rank : ranks_)
      if (!rank.code) ::kill(rank.pid, SIGKILL);
    for (Rank& rank : ranks_)
      if (int status = 0; !rank.code) ended(rank, ::waitpid(rank.pid, &status, 0) == rank.pid ? status : 0);
  }

  /// Waits a little for something to be written.
  void read_errors() {
    std::vector<pollfd> open;
    for (const Rank& rank : ranks_)
      if (rank.errors >= 0) open.push_back({.fd = rank.errors, .events = POLLIN, .revents = 0});
    constexpr int kWaitMs = 20;
    ::poll(open.data(), open.size(), kWaitMs);
    for (const pollfd& entry : open) {
      if (entry.revents == 0) continue;
      for (Rank& rank : ranks_)
        if (rank.errors == entry.fd) read_from(rank);
    }
  }

  void read_from(Rank& rank) {
    char bytes[4096];
    const ssize_t count = ::read(rank.errors, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) {  // end of file: every writer has ended
      ::close(rank.errors);
      rank.errors = -1;
      return;
    }
    rank.partial.append(bytes, static_cast<size_t>(count));
    for (size_t end; (end = rank.partial.find('\n')) != std::string::npos; rank.partial.erase(0, end + 1))
      show(rank, rank.partial.substr(0, end + 1));
    // A progress bar has no newline; the first rank's is passed on as it comes.
    if (rank.number == 0 && !rank.partial.empty() &&
        !std::string_view("error: ").starts_with(rank.partial.substr(0, 7))) {
      fmt::print(stderr, "{}", std::exchange(rank.partial, {}));
    }
  }

  void finish_line(Rank& rank) {
    if (!rank.partial.empty()) show(rank, std::exchange(rank.partial, {}) + "\n");
  }

  static void show(Rank& rank, const std::string& line) {
    if (line.starts_with("error: ") && rank.message.empty())
      rank.message = line;
    else if (rank.number == 0)
      fmt::print(stderr, "{}", line);
    else
      fmt::print(stderr, "[rank {}] {}", rank.number, line);
  }

  void reap() {
    int status = 0;
    while (true) {
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid <= 0) return;
      for (Rank& rank : ranks_)
        if (rank.pid == pid) ended(rank, status);
    }
  }

  void ended(Rank& rank, int status) {
    rank.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (*rank.code == 0 || *rank.code == exit_code(ErrorKind::kStopped)) return;
    if (!failed_at_) failed_at_ = Clock::now();
    failures_.push_back(&rank);
  }

  /// Ranks that lost another one end with kComm; the first of the others is the cause.
  int report() {
    if (failures_.empty()) {
      for (const Rank& rank : ranks_)
        if (*rank.code != 0) return *rank.code;
      return 0;
    }
    const Rank* first = failures_.front();
    for (const Rank* rank : failures_) {
      if (*rank->code != exit_code(ErrorKind::kComm)) {
        first = rank;
        break;
      }
    }
    const std::string ends_by = *first->code > 128 ? fmt::format("ended by signal {}", *first->code - 128)
                                                   : fmt::format("ended with code {}", *first->code);
    std::string_view message = first->message;
    if (message.starts_with("error: ")) message.remove_prefix(7);
    if (message.ends_with('\n')) message.remove_suffix(1);
    fmt::print(stderr, "error: rank {} of {}: {}\n", first->number, ranks_.size(), message.empty() ? ends_by : message);
    return *first->code > 128 ? exit_code(ErrorKind::kComm) : *first->code;
  }

  std::vector<Rank> ranks_;
  std::vector<const Rank*> failures_;  ///< in the order of their ends
  std::optional<Clock::time_point> failed_at_;
};

}  // namespace

int run_ranks(const RankJob& job) {
  struct sigaction action = {};
  action.sa_handler = note_signal;
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) sigaction(number, &action, nullptr);
  return Ranks(job).wait();
}

}  // namespace rialto::cli
