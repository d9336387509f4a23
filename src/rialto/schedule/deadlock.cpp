// Plays the lists of all ranks against each other.
//
// The play is strict: a send is done only once its receive has been posted, as with a transport that holds no message,
// and messages of one direction between two ranks meet in the order of posting, as collectives libraries demand.
#include <deque>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/schedule/actions.h"

namespace rialto::schedule {
namespace {

struct Post {
  int slot = -1, microbatch = 0, chunk = 0;
  bool forward = true;
};

bool is_send(Act act) { return act == Act::kPostSendForward || act == Act::kPostSendBackward; }
bool is_receive(Act act) { return act == Act::kPostRecvForward || act == Act::kPostRecvBackward; }
bool is_forward(Act act) {
  return act == Act::kPostSendForward || act == Act::kPostRecvForward || act == Act::kForward;
}

class Play {
 public:
  explicit Play(const std::vector<std::vector<Action>>& ranks)
      : ranks_(ranks), at_(ranks.size(), 0), open_(ranks.size()) {}

  std::string run() {
    // Only ranks that can go on are visited: whoever is waited for wakes whoever waits.
    std::deque<size_t> ready;
    for (size_t rank = 0; rank < ranks_.size(); ++rank) ready.push_back(rank);
    while (!ready.empty()) {
      const size_t rank = ready.front();
      ready.pop_front();
      while (at_[rank] < ranks_[rank].size() && step(rank, ready))
        if (!trouble_.empty()) return trouble_;
      if (!trouble_.empty()) return trouble_;
    }
    return describe_stuck();
  }

 private:
  const Action& current(size_t rank) const { return ranks_[rank][at_[rank]]; }

  /// Takes one action; false when the rank must wait.
  bool step(size_t rank, std::deque<size_t>& ready) {
    const Action& action = current(rank);
    if (is_send(action.act) || is_receive(action.act)) {
      if (!post(rank, action, ready)) return false;
    } else if (action.act == Act::kWait) {
      const auto found = open_[rank].find(action.slot);
      if (found == open_[rank].end()) return fail(rank, "waits for a slot that nothing was posted in");
      if (!found->second) return false;
      open_[rank].erase(found);
    } else if (action.act == Act::kStep && !open_[rank].empty()) {
      return fail(rank, fmt::format("steps with slot {} still open", open_[rank].begin()->first));
    } else if (action.act == Act::kForward || action.act == Act::kBackward || action.act == Act::kBackwardWeight) {
      if (!compute(rank, action)) return false;
    }
    ++at_[rank];
    return true;
  }

  /// A backward pass needs its own forward pass, one of weights its own backward pass; nothing is computed twice.
  bool compute(size_t rank, const Action& action) {
    const auto key = std::tuple(rank, action.chunk, action.microbatch);
    if (action.act == Act::kForward && !forwards_.insert(key).second) return fail(rank, "runs twice");
    if (action.act == Act::kBackward && forwards_.erase(key) == 0) return fail(rank, "runs without its forward pass");
    if (action.act == Act::kBackward) backwards_.insert(key);
    if (action.act == Act::kBackwardWeight && backwards_.erase(key) == 0)
      return fail(rank, "runs without its backward pass");
    return true;
  }

  bool post(size_t rank, const Action& action, std::deque<size_t>& ready) {
    const auto peer = static_cast<size_t>(action.peer);
    if (action.peer < 0 || peer >= ranks_.size() || peer == rank) return fail(rank, "names a peer that does not exist");
    if (!open_[rank].emplace(action.slot, false).second) return fail(rank, "posts into a slot that is still open");
    const bool send = is_send(action.act);
    const Post mine{action.slot, action.microbatch, action.chunk, is_forward(action.act)};
    const auto channel = [&](bool sends) {
      return std::tuple(send ? peer : rank, send ? rank : peer, mine.forward, sends);
    };
    auto& waiting = posts_[channel(!send)];  // the other side's posts of this pair and direction
    if (waiting.empty()) {
      posts_[channel(send)].push_back(mine);
      return true;
    }
    const Post theirs = waiting.front();
    waiting.pop_front();
    const size_t my_stage = stage(rank, mine), their_stage = stage(peer, theirs);
    const bool neighbours = send == mine.forward ? their_stage == my_stage + 1 : my_stage == their_stage + 1;
    if (theirs.microbatch != mine.microbatch || !neighbours)
      return fail(rank, fmt::format("meets micro-batch {} chunk {} of rank {}", theirs.microbatch, theirs.chunk, peer));
    open_[rank][mine.slot] = true;
    open_[peer][theirs.slot] = true;
    ready.push_back(peer);
    return true;
  }

  size_t stage(size_t rank, const Post& post) const { return static_cast<size_t>(post.chunk) * ranks_.size() + rank; }

  bool fail(size_t rank, std::string_view what) {
    trouble_ = fmt::format("rank {} action {} ({}) {}", rank, at_[rank], to_text(current(rank)), what);
    return false;
  }

  std::string describe_stuck() const {
    std::vector<std::string> stuck;
    for (size_t rank = 0; rank < ranks_.size(); ++rank) {
      if (at_[rank] < ranks_[rank].size())
        stuck.push_back(fmt::format("rank {} at action {} ({})", rank, at_[rank], to_text(current(rank))));
      else if (!open_[rank].empty())
        stuck.push_back(fmt::format("rank {} ended with slot {} open", rank, open_[rank].begin()->first));
      if (stuck.size() == 8) break;
    }
    return stuck.empty() ? "" : fmt::format("stuck: {}", fmt::join(stuck, ", "));
  }

  const std::vector<std::vector<Action>>& ranks_;
  std::vector<size_t> at_;
  std::vector<std::map<int, bool>> open_;  ///< slot -> met its other half
  /// (receiver, sender, is forward, is send) -> unmatched
  std::map<std::tuple<size_t, size_t, bool, bool>, std::deque<Post>> posts_;
  std::set<std::tuple<size_t, int, int>> forwards_, backwards_;
  std::string trouble_;
};

}  // namespace

std::string find_deadlock(const std::vector<std::vector<Action>>& ranks) { return Play(ranks).run(); }

}  // namespace rialto::schedule
