// What `rialto models new` says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/cli/family_draft.h"

namespace rialto::cli {
namespace {

Json to_json(const std::vector<TensorGroup>& groups) {
  Json list = Json::array();
  for (const TensorGroup& group : groups) {
    Json shapes = Json::array();
    for (const Shape& shape : group.shapes) shapes.push_back(to_text(shape));
    list.push_back({{"pattern", group.pattern},
                    {"numbers", group.numbers},
                    {"shapes", shapes},
                    {"note", group.note},
                    {"tensors", group.names}});
  }
  return list;
}

Json to_json(const std::vector<DraftKey>& keys) {
  Json list = Json::array();
  for (const DraftKey& key : keys) list.push_back({{"key", key.key}, {"value", key.value}, {"note", key.note}});
  return list;
}

std::string groups_text(const Json& groups, const std::string& title) {
  size_t count = 0;
  std::string text;
  for (const Json& group : groups) {
    count += group["tensors"].size();
    text += "  " + group["pattern"].get<std::string>();
    const auto shapes = group["shapes"].get<std::vector<std::string>>();
    if (!shapes.empty()) text += fmt::format("  {}", fmt::join(shapes, " or "));
    for (const char* part : {"numbers", "note"})
      if (group[part] != "") text += fmt::format("; {}", group[part].get<std::string>());
    text += "\n";
  }
  return groups.empty() ? "" : fmt::format("\n{}: {}\n{}", title, count, text);
}

std::string keys_text(const Json& keys, const std::string& title) {
  std::string text;
  for (const Json& key : keys) {
    const std::string note = key["note"];
    text += fmt::format("  {}: {}{}\n", key["key"].get<std::string>(), key["value"].get<std::string>(),
                        note.empty() ? "" : "; " + note);
  }
  return keys.empty() ? "" : fmt::format("\n{}: {}\n{}", title, keys.size(), text);
}

std::string lines_text(const Json& lines, const std::string& title) {
  if (lines.empty()) return "";
  return fmt::format("\n{}: {}\n  {}\n", title, lines.size(), fmt::join(lines.get<std::vector<std::string>>(), "\n  "));
}

Json next_steps(const FamilyDraft& draft, const std::string& out) {
  return {fmt::format("settle what is commented out in {}", out == "-" ? "the file" : out),
          fmt::format("put it into src/rialto/families as {}.cpp: CMake finds it there, nothing is registered by hand",
                      draft.name),
          fmt::format("./dev build; rialto models show {} --from DIR; rialto convert DIR OUT --dry-run", draft.name),
          "a toy in tests/oracle/toy_table.py, a published config in tests/unit/resolve/published.h, a row in "
          "docs/models/families.md; then ./dev test",
          "docs/adding-a-family.md says more of each"};
}

}  // namespace

Json draft_to_json(const FamilyDraft& draft, const std::string& out) {
  return {{"name", draft.name},
          {"architecture", draft.architecture},
          {"nearest", {{"family", std::string(draft.base->name)}, {"title", std::string(draft.base->title)}}},
          {"file", out},
          {"tensors", draft.num_tensors},
          {"matched", draft.num_matched},
          {"unmatched", to_json(draft.unmatched)},
          {"unused", to_json(draft.unused)},
          {"reshaped", to_json(draft.reshaped)},
          {"missing", to_json(draft.missing)},
          {"idle_rows", draft.idle_rows},
          {"new_keys", to_json(draft.new_keys)},
          {"refused_values", to_json(draft.refused_keys)},
          {"absent_keys", draft.absent_keys},
          {"refusal", draft.refusal},
          {"notes", draft.notes},
          {"next", next_steps(draft, out)}};
}

std::string draft_to_text(const Json& draft) {
  const std::string out = draft["file"];
  std::string text =
      fmt::format("{} for {}, from the nearest family: {} ({})\nmatched {} of {} tensors\n",
                  out == "-" ? "a start" : out + ": a start", draft["architecture"].get<std::string>(),
                  draft["nearest"]["title"].get<std::string>(), draft["nearest"]["family"].get<std::string>(),
                  draft["matched"].get<size_t>(), draft["tensors"].get<size_t>());
  for (const Json& note : draft["notes"]) text += fmt::format("note: {}\n", note.get<std::string>());
  if (draft["refusal"] != "")
    text += fmt::format("note: tensors were compared by name only, for these rows make no model of the config: {}\n",
                        draft["refusal"].get<std::string>());
  text += groups_text(draft["unmatched"], "Tensors that no row names");
  text +=
      groups_text(draft["unused"], "Tensors that a row names, for a part that this config asks no trait or row for");
  text += groups_text(draft["reshaped"], "Tensors of another shape than these rows and this config make");
  text += groups_text(draft["missing"], "Tensors that these rows and this config make, and that the files lack");
  text += lines_text(draft["idle_rows"], "Rows that found no tensor (harmless where the model has no such part)");
  text += keys_text(draft["new_keys"], "Keys of config.json that no row names");
  text += keys_text(draft["refused_values"], "Values of config.json that a row does not accept");
  text += lines_text(draft["absent_keys"], "Keys that a row requires and config.json lacks");
  text += "\nNext:\n";
  for (size_t step = 0; step < draft["next"].size(); ++step)
    text += fmt::format("  {}. {}\n", step + 1, draft["next"][step].get<std::string>());
  return text;
}

}  // namespace rialto::cli
