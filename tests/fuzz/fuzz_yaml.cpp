// YAML documents and override values. Texts that are read are written and read again.
#include <cmath>
#include <cstdlib>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"

namespace {

void check(const rialto::Node& node) {
  using Kind = rialto::Node::Kind;
  if (node.kind == Kind::kString &&
      rialto::parse_yaml("k: " + rialto::write_scalar(node.text), "fuzz").items.at(0).text != node.text)
    std::abort();
  if (node.kind == Kind::kFloat && !std::isnan(node.number) &&
      rialto::parse_yaml_value(rialto::write_scalar(node.number)).number != node.number)
    std::abort();
  for (const rialto::Node& item : node.items) check(item);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    check(rialto::parse_yaml(text, "fuzz"));
  } catch (const rialto::Error&) {
  }
  try {
    rialto::parse_yaml_value(text);
  } catch (const rialto::Error&) {
  }
  return 0;
}
