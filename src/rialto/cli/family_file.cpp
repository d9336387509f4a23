// The text of a new family's file: the nearest family's file, edited.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/cli/family_draft.h"
#include "rialto/families/source.h"

namespace rialto::cli {
namespace {

/// Every family has one; MLA apart, Megatron Bridge's general providers have no names of families in them.
constexpr std::string_view kLatentProvider = "megatron.bridge.models.mla_provider.MLAModelProvider";

/// Names come from files that anyone may have written: control characters, quotes and all that is not ASCII are
/// escaped, so that a comment stays one comment.
std::string quoted(const std::string& text) { return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace); }

/// A family file's text, with the places that a new family changes. A place that is not there is our own mistake: all
/// family files have the same frame.
class Text {
 public:
  explicit Text(const families::Family& base) : base_(base), text_(families::source_of(base)) {}

  void replace(const std::string& old, const std::string& with) { text_.replace(find(old), old.size(), with); }
  void replace_all(const std::string& old, const std::string& with) {
    size_t at = find(old);
    for (; at != std::string::npos; at = text_.find(old, at + with.size())) text_.replace(at, old.size(), with);
  }
  /// From `begin` on up to, and not with, the next `end`.
  void replace_span(const std::string& begin, const std::string& end, const std::string& with) {
    const size_t at = find(begin);
    text_.replace(at, find(end, at) - at, with);
  }
  void insert_before(const std::string& place, const std::string& text, const std::string& behind = "") {
    text_.insert(find(place, behind.empty() ? 0 : find(behind)), text);
  }
  bool has(const std::string& text) const { return text_.find(text) != std::string::npos; }
  const std::string& get() const { return text_; }

 private:
  size_t find(const std::string& what, size_t from = 0) const {
    const size_t at = text_.find(what, from);
    if (at == std::string::npos)
      throw Error(ErrorKind::kInternal, fmt::format("families/{}.cpp", base_.name), "is not in the usual frame",
                  {.want = what});
    return at;
  }

  const families::Family& base_;
  std::string text_;
};

std::string head(const FamilyDraft& draft) {
  return fmt::format(
      "// {0}: say here what is special. Source: say here which configuration and modelling files.\n"
      "// Started by `rialto models new {1}` from {2}.cpp, whose traits, config rows and tensor rows these are. What "
      "is\n"
      "// commented out below is to be settled against the published code, and then removed; so is this sentence.\n",
      draft.title, draft.name, draft.base->name);
}

std::string config_comments(const FamilyDraft& draft) {
  std::string text;
  if (!draft.new_keys.empty())
    text +=
        "    // Keys of config.json that no row names, with the values seen. Each needs a row: its kind "
        "(bridge/rows.h),\n"
        "    // kMustEqual where the model code computes this value only, or kKept where it changes nothing.\n";
  for (const DraftKey& key : draft.new_keys)
    text += fmt::format("    // {{{}, kMustEqual, {}}},{}\n", quoted(key.key), quoted(key.value),
                        key.note.empty() ? "" : "  // " + key.note);
  if (!draft.refused_keys.empty()) text += "    // Values of config.json that a row does not accept:\n";
  for (const DraftKey& key : draft.refused_keys)
    text += fmt::format("    //   {}: {}; {}\n", quoted(key.key), quoted(key.value), key.note);
  if (!draft.absent_keys.empty()) text += "    // Keys that a row requires and config.json lacks:\n";
  for (const std::string& key : draft.absent_keys) text += fmt::format("    //   {}\n", quoted(key));
  return text;
}

/// "(8, 36) or (4, 36), l 0-35".
std::string shapes_and_numbers(const TensorGroup& group) {
  std::vector<std::string> shapes, parts;
  for (const Shape& shape : group.shapes) shapes.push_back(to_text(shape));
  if (!shapes.empty()) parts.push_back(fmt::format("{}", fmt::join(shapes, " or ")));
  if (!group.numbers.empty()) parts.push_back(group.numbers);
  if (!group.note.empty()) parts.push_back(group.note);
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string tensor_list(const char* what, const std::vector<TensorGroup>& groups) {
  if (groups.empty()) return "";
  std::string text = fmt::format("// {}:\n", what);
  for (const TensorGroup& group : groups)
    text += fmt::format("//   {}  {}\n", quoted(group.pattern), shapes_and_numbers(group));
  return text;
}

std::string tensor_comments(const FamilyDraft& draft) {
  std::string text;
  if (!draft.unmatched.empty())
    text +=
        "// Tensors that no row names. Each needs a row of a table that is joined into kParams (bridge/param_rows.h "
        "has the\n"
        "// ops), or one of .ignored, with the reason why it carries nothing.\n";
  for (const TensorGroup& group : draft.unmatched)
    text += fmt::format("// {{{}, \"\"}},  // {}\n", quoted(group.pattern), shapes_and_numbers(group));
  text += tensor_list(
      "Tensors that a row names, for a part that the model of this config.json has not: a trait or a config row lacks",
      draft.unused);
  text += tensor_list("Tensors of another shape than in the model that these rows make of config.json", draft.reshaped);
  text += tensor_list("Tensors of that model that the files lack", draft.missing);
  if (!draft.idle_rows.empty())
    text +=
        fmt::format("// Rows above that found no tensor. Those of parts that the model has not do no harm:\n//   {}\n",
                    fmt::join(draft.idle_rows, "\n//   "));
  return text.empty() ? text : text + "\n";
}

}  // namespace

std::string family_file(const FamilyDraft& draft) {
  const families::Family& base = *draft.base;
  const std::string name(base.name), architectures = "constexpr std::string_view kArchitectures[] = ";
  Text text(base);
  text.replace_span("//", "#include", head(draft));
  text.replace_all(name + "_family", draft.name + "_family");
  text.replace(fmt::format(".name = \"{}\"", name), fmt::format(".name = \"{}\"", draft.name));
  text.replace(fmt::format(".title = \"{}\"", base.title), fmt::format(".title = \"{}\"", draft.title));
  text.replace(fmt::format(".model_type = \"{}\"", base.model_type),
               fmt::format(".model_type = \"{}\"", draft.model_type));
  if (text.has("    .provider ="))
    text.replace_span("    .provider =", "    .config =",
                      base.traits.latent ? fmt::format("    .provider = \"{}\",\n", kLatentProvider) : "");
  text.insert_before("};", config_comments(draft), "kOwnConfig[] = {");
  text.insert_before(architectures, tensor_comments(draft));
  text.replace_span(architectures, ";", fmt::format("{}{{\"{}\"}}", architectures, draft.architecture));
  return text.get();
}

}  // namespace rialto::cli
