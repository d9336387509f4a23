// The error line, exit codes, and the nearest known word for hints.
#include "rialto/base/error.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace rialto {

namespace {

std::string one_line(std::string_view where, std::string_view what, const ErrorParts& parts) {
  std::string line;
  if (!where.empty()) line.append("[").append(where).append("] ");
  line.append(what);
  if (!parts.got.empty()) line.append("; got ").append(parts.got);
  if (!parts.want.empty()) line.append(parts.got.empty() ? "; want " : ", want ").append(parts.want);
  if (!parts.hint.empty()) {
    if (!line.ends_with('.') && !line.ends_with('?')) line.append(".");
    line.append(" Hint: ").append(parts.hint);
  }
  // Names from damaged files may hold anything; a message stays one line.
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kConfig:
      return 2;
    case ErrorKind::kInput:
    case ErrorKind::kShape:
      return 3;
    case ErrorKind::kVerify:
      return 4;
    case ErrorKind::kIo:
    case ErrorKind::kInternal:
      return 1;
    case ErrorKind::kComm:
      return 70;
    case ErrorKind::kStopped:
      return 75;
  }
  return 1;
}

Error::Error(ErrorKind kind, std::string_view where, std::string_view what, const ErrorParts& parts)
    : std::runtime_error(one_line(where, what, parts)), kind_(kind) {}

std::string nearest(std::string_view word, const std::string* known, size_t count) {
  constexpr size_t kLongest = 512;  // distance is quadratic; longer words are not typing mistakes
  if (word.size() > kLongest) return {};
  std::string best;
  size_t best_distance = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::string& candidate = known[i];
    if (candidate.size() > kLongest) continue;
    const size_t distance = edit_distance(word, candidate);
    if (2 * distance > std::max(word.size(), candidate.size())) continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace rialto
