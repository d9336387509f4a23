// Rendezvous through c10d's TCPStore, and groups over c10d's backends.
#include "rialto/comm/world.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/comm/backend.h"

namespace rialto::comm {
namespace {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown host";
}

/// c10d's messages go on for lines (stack traces); an Error is one.
std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

[[noreturn]] void fail(const std::string& who, const std::string& what, const std::exception& cause) {
  throw Error(ErrorKind::kComm, who, fmt::format("{} failed: {}", what, first_line(cause.what())),
              {.hint = "another rank has ended or hangs: look for the first error among the ranks"});
}

template <class Action>
auto guarded(const std::string& who, const std::string& what, const Action& action) {
  try {
    return action();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& cause) {
    fail(who, what, cause);
  }
}

c10d::ReduceOp reduce_op(Reduce op) {
  switch (op) {
    case Reduce::kSum:
      return c10d::ReduceOp::SUM;
    case Reduce::kAverage:
      return c10d::ReduceOp::AVG;
    case Reduce::kMax:
      return c10d::ReduceOp::MAX;
  }
  return c10d::ReduceOp::SUM;
}

class Started final : public Pending {
 public:
  Started(c10::intrusive_ptr<c10d::Work> work, std::string who, std::string what)
      : work_(std::move(work)), who_(std::move(who)), what_(std::move(what)) {}
  void wait() override {
    guarded(who_, what_, [&] { work_->wait(); });
  }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
  std::string who_, what_;
};

/// Several that were started one by one.
class All final : public Pending {
 public:
  explicit All(std::vector<std::unique_ptr<Pending>> parts) : parts_(std::move(parts)) {}
  void wait() override {
    for (const auto& part : parts_) part->wait();
  }

 private:
  std::vector<std::unique_ptr<Pending>> parts_;
};

class C10dGroup final : public Group {
 public:
  C10dGroup(c10::intrusive_ptr<c10d::Backend> backend, at::Device device, std::string who, std::string axis,
            std::shared_ptr<std::map<std::string, Volume>> volumes)
      : backend_(std::move(backend)),
        device_(device),
        who_(std::move(who)),
        axis_(std::move(axis)),
        volumes_(std::move(volumes)) {}
  int rank() const override { return backend_->getRank(); }
  int size() const override { return backend_->getSize(); }
  at::Device device() const override { return device_; }

  std::unique_ptr<Pending> all_reduce(at::Tensor x, Reduce op, std::string what) override {
    count(x.scalar_type() == at::kDouble ? "numbers" : "all_reduce", x);
    return start(std::move(what), [&] {
      std::vector<at::Tensor> tensors{std::move(x)};
      c10d::AllreduceOptions options;
      options.reduceOp = reduce_op(op);
      return backend_->allreduce(tensors, options);
    });
  }
  std::unique_ptr<Pending> reduce_scatter(at::Tensor part, at::Tensor whole, Reduce op, std::string what) override {
    count("reduce_scatter", whole);
    return start(std::move(what), [&] {
      c10d::ReduceScatterOptions options;
      options.reduceOp = reduce_op(op);
      return backend_->_reduce_scatter_base(part, whole, options);
    });
  }
  std::unique_ptr<Pending> all_gather(at::Tensor whole, at::Tensor part, std::string what) override {
    count("all_gather", whole);
    return start(std::move(what), [&] { return backend_->_allgather_base(whole, part); });
  }
  std::unique_ptr<Pending> all_to_all(at::Tensor out, at::Tensor in, std::vector<int64_t> out_rows,
                                      std::vector<int64_t> in_rows, std::string what) override {
    count("all_to_all", in);
    return start(std::move(what), [&] { return backend_->alltoall_base(out, in, out_rows, in_rows); });
  }
  std::unique_ptr<Pending> broadcast(at::Tensor x, int root, std::string what) override {
    count("broadcast", x);
    return start(std::move(what), [&] {
      std::vector<at::Tensor> tensors{std::move(x)};
      c10d::BroadcastOptions options;
      options.rootRank = root;
      return backend_->broadcast(tensors, options);
    });
  }
  std::unique_ptr<Pending> send(at::Tensor x, int to, int tag, std::string what) override {
    count("send", x);
    return start(std::move(what), [&] {
      std::vector<at::Tensor> tensors{std::move(x)};
      return backend_->send(tensors, to, tag);
    });
  }
  std::unique_ptr<Pending> receive(at::Tensor x, int from, int tag, std::string what) override {
    count("receive", x);
    return start(std::move(what), [&] {
      std::vector<at::Tensor> tensors{std::move(x)};
      return backend_->recv(tensors, from, tag);
    });
  }

  std::unique_ptr<Pending> exchange(at::Tensor out, int to, at::Tensor in, int from, int tag,
                                    std::string what) override {
    // Of NCCL a send may wait for its receive to be launched, so the two have to be launched together.
    const bool together = device_.is_cuda();
    if (together) backend_->startCoalescing();
    std::vector<std::unique_ptr<Pending>> both;
    both.push_back(send(std::move(out), to, tag, what));
    both.push_back(receive(std::move(in), from, tag, what));
    if (together) return start(std::move(what), [&] { return backend_->endCoalescing(); });
    return std::make_unique<All>(std::move(both));
  }

 private:
  void count(const char* operation, const at::Tensor& x) {
    Volume& volume = (*volumes_)[axis_ + " " + operation];
    ++volume.calls;
    volume.bytes += static_cast<int64_t>(x.nbytes());
  }
  template <class Call>
  std::unique_ptr<Pending> start(std::string what, const Call& call) {
    what += " over " + axis_;
    auto work = guarded(who_, what, call);
    return std::make_unique<Started>(std::move(work), who_, std::move(what));
  }
  c10::intrusive_ptr<c10d::Backend> backend_;
  at::Device device_;
  std::string who_, axis_;
  std::shared_ptr<std::map<std::string, Volume>> volumes_;
};

class C10dWorld final : public World {
 public:
  C10dWorld(const spec::Place& place, const WorldOptions& options)
      : place_(place),
        options_(options),
        who_(fmt::format("rank {} of {} on {}", place.rank, place.world, host_name())) {
    c10d::TCPStoreOptions store;
    store.port = static_cast<std::uint16_t>(place.port);
    store.isServer = place.rank == 0;
    store.numWorkers = static_cast<std::size_t>(place.world);
    store.timeout = options.timeout;
    if (place.listening) store.masterListenFd = *place.listening;
    store_ = guarded(who_, fmt::format("meeting the other ranks at {}:{}", place.host, place.port),
                     [&] { return c10::make_intrusive<c10d::TCPStore>(place.host, store); });
  }
  int rank() const override { return place_.rank; }
  int size() const override { return place_.world; }

  std::shared_ptr<Group> group(const std::string& name, const std::vector<int>& ranks) override {
    const auto self = std::find(ranks.begin(), ranks.end(), place_.rank);
    if (self == ranks.end()) throw Error(ErrorKind::kInternal, who_, fmt::format("not in its group '{}'", name));
    auto backend = guarded(who_, fmt::format("connecting the ranks of '{}'", name), [&] {
      return make_backend(c10::make_intrusive<c10d::PrefixStore>(name, store_), static_cast<int>(self - ranks.begin()),
                          static_cast<int>(ranks.size()),
                          {.device = options_.device, .timeout = options_.timeout, .host = place_.host});
    });
    return std::make_shared<C10dGroup>(std::move(backend), options_.device, who_, name.substr(0, name.find('/')),
                                       volumes_);
  }
  std::map<std::string, Volume> volumes() const override { return *volumes_; }

  void agree(std::string_view what, const std::string& value) override {
    const std::string prefix = fmt::format("agree/{}/", what), bad = prefix + "bad";
    const auto text_of = [&](const std::string& key) {
      const std::vector<uint8_t> bytes = store_->get(key);
      return std::string(bytes.begin(), bytes.end());
    };
    const auto put = [&](const std::string& key, const std::string& text) {
      store_->set(key, std::vector<uint8_t>(text.begin(), text.end()));
    };
    std::string found;
    guarded(who_, fmt::format("comparing the {} with the other ranks", what), [&] {
      if (place_.rank == 0) put(prefix + "0", value);
      if (text_of(prefix + "0") != value) put(bad, fmt::format("{}\n{}", place_.rank, value));
      meet(prefix + "compared/");
      if (!store_->check({bad})) return;
      found = text_of(bad) + "\n" + text_of(prefix + "0");
      meet(prefix + "told/");
    });
    if (found.empty()) return;
    const size_t first = found.find('\n'), second = found.find('\n', first + 1);
    throw Error(ErrorKind::kConfig, "rank " + found.substr(0, first), fmt::format("its {} is not that of rank 0", what),
                {.got = found.substr(first + 1, second - first - 1), .want = found.substr(second + 1)});
  }

 private:
  /// Returns when every rank has come. Rank 0, which serves the store, returns last, so that it may end at once.
  void meet(const std::string& prefix) {
    const std::vector<uint8_t> yes{1};
    const auto others = [&](const char* what) {
      std::vector<std::string> keys;
      for (int rank = 1; rank < place_.world; ++rank) keys.push_back(fmt::format("{}{}{}", prefix, what, rank));
      return keys;
    };
    if (place_.rank == 0) {
      store_->wait(others("came/"));
      store_->set(prefix + "go", yes);
      store_->wait(others("left/"));
    } else {
      store_->set(fmt::format("{}came/{}", prefix, place_.rank), yes);
      store_->wait({prefix + "go"});
      store_->set(fmt::format("{}left/{}", prefix, place_.rank), yes);
    }
  }

  spec::Place place_;
  WorldOptions options_;
  std::string who_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::shared_ptr<std::map<std::string, Volume>> volumes_ = std::make_shared<std::map<std::string, Volume>>();
};

}  // namespace

std::shared_ptr<World> World::connect(const spec::Place& place, const WorldOptions& options) {
  return std::make_shared<C10dWorld>(place, options);
}

}  // namespace rialto::comm
