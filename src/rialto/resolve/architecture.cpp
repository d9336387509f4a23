// From `architectures` of a config.json to a family.
#include "rialto/resolve/architecture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"

namespace rialto::resolve {
namespace {

/// Appended to what is wrong with a config.json without a known architecture.
std::string not_run(const Json& config) {
  const std::string code = remote_code_of(config);
  if (code.empty()) return "";
  return fmt::format(", and the Python code that the repository brings ('auto_map': {}) is never run", code);
}

}  // namespace

std::string remote_code_of(const Json& config) {
  const auto found = config.find("auto_map");
  if (found == config.end() || found->is_null() || found->empty()) return "";
  // The class for text comes first, where a repository names several.
  for (const char* key : {"AutoModelForCausalLM", "AutoModel", "AutoConfig"})
    if (found->is_object() && found->contains(key) && found->at(key).is_string())
      return found->at(key).get<std::string>();
  return found->dump();
}

std::string architecture_of(const Json& config, const std::string& where) {
  const auto found = config.find("architectures");
  if (found == config.end() || !found->is_array() || found->empty() || !found->front().is_string())
    throw Error(ErrorKind::kInput, where, "does not say which model it is" + not_run(config),
                {.want = "\"architectures\": [\"...ForCausalLM\"]"});
  return found->front().get<std::string>();
}

const families::Family& family_of(const Json& config, const std::string& where) {
  const std::string name = architecture_of(config, where);
  if (const families::Family* family = families::find_by_architecture(name)) return *family;
  std::vector<std::string> known;
  for (const families::Family* family : families::registry())
    known.insert(known.end(), family->architectures.begin(), family->architectures.end());
  const std::string near = nearest(name, known);
  throw Error(ErrorKind::kInput, where, "the architecture is not known" + not_run(config),
              {.got = name,
               .want = fmt::format("one of {}", fmt::join(known, ", ")),
               .hint = fmt::format("{}`rialto models new NAME --from DIR` starts a family for it",
                                   near.empty() ? "" : fmt::format("the nearest is {}; ", near))});
}

}  // namespace rialto::resolve
