// The `model:` section of a run_config.yaml: what Megatron and Megatron Bridge call the values of a ModelSpec.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/schema.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Collects the lines of a section.
class SectionText {
 public:
  explicit SectionText(std::string_view name);
  void add(std::string_view key, std::string_view yaml);
  void add(std::string_view key, const char* yaml) { add(key, std::string_view(yaml)); }
  void add(std::string_view key, bool value) { add(key, std::string_view(write_scalar(value))); }
  void add(std::string_view key, int64_t value) { add(key, std::string_view(write_scalar(value))); }
  void add(std::string_view key, double value) { add(key, std::string_view(write_scalar(value))); }
  void comment(std::string_view line);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The section's text. It says all that Megatron has a name for; where layers differ in more than Megatron's keys can
/// say, it says what the first of them have. Names: Megatron-Core 0.16.1 TransformerConfig, MLATransformerConfig, and
/// the providers of Megatron Bridge.
std::string write_model_section(const spec::ModelSpec& model);

}  // namespace rialto::resolve
