// The one exception of the library: where, what, got, want, hint, in one line; each kind has its exit code.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace rialto {

enum class ErrorKind {
  kUsage,     ///< wrong command line; exit 2
  kConfig,    ///< configuration refused before anything started (a destination that is not empty included); exit 2
  kInput,     ///< damaged or incomplete input; exit 3
  kShape,     ///< shapes that do not fit; exit 3
  kVerify,    ///< a check found something; exit 4
  kIo,        ///< the operating system said no; exit 1
  kInternal,  ///< our own mistake, and non-finite numbers; exit 1
  kComm,      ///< a rank died or hung; exit 70
  kStopped,   ///< stopped on request with the state saved; exit 75
};

/// Exit code of a program that ends with this kind of error.
int exit_code(ErrorKind kind);

/// Optional parts of a message. Empty parts are left out.
struct ErrorParts {
  std::string got = {};
  std::string want = {};
  std::string hint = {};
};

/// `what()` is the whole line: "[where] what; got X, want Y. Hint: ...".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string_view where, std::string_view what, const ErrorParts& parts = {});
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// The entry of `known` nearest to `word` by edit distance, or "" when nothing is near (more than half differs).
std::string nearest(std::string_view word, const std::string* known, size_t count);
template <class Strings>
std::string nearest(std::string_view word, const Strings& known) {
  return nearest(word, known.data(), known.size());
}

}  // namespace rialto
