// Reads the records of a run.
#include "rialto/report/run_folder.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/file_ops.h"
#include "rialto/base/schema.h"
#include "rialto/store/names.h"

namespace rialto::report {
namespace {

constexpr uint64_t kMostBytes = uint64_t{4} << 30;
constexpr int kSearchDepth = 3;

void add_values(const Json& values, const std::string& prefix, int64_t iteration, RunFolder& run) {
  for (const auto& [name, value] : values.items()) {
    if (value.is_number()) run.series[prefix + name].emplace_back(iteration, value.get<double>());
  }
}

std::string text_of(const Json& words) {
  if (words.is_string()) return words.get<std::string>();
  std::string text;
  for (const Json& token : words) text += (text.empty() ? "" : " ") + token.dump();
  return text;
}

void add_sample(const Json& record, RunFolder& run) {
  run.samples.push_back({record["iteration"].get<int64_t>(), text_of(record.value("prompt", Json())),
                         text_of(record.value("text", Json()))});
}

void add_record(const Json& record, RunFolder& run) {
  const auto iteration = record.at("iteration").get<int64_t>();
  run.iteration = std::max(run.iteration, iteration);
  const bool train = record.value("kind", "") == "train";
  if (!train) {
    const std::string kind = record.value("kind", "");
    if (kind == "sample") add_sample(record, run);
    if (record.contains("lm loss")) run.series[kind + " loss"].emplace_back(iteration, record["lm loss"].get<double>());
    return;
  }
  run.tokens += record.value("tokens", int64_t{0});
  Json values = record;
  values.erase("iteration");
  add_values(values, "", iteration, run);
  const Json time = record.value("time", Json::object());
  add_values(time, "time/", iteration, run);
  if (time.contains("phases_ms")) add_values(time["phases_ms"], "phases/", iteration, run);
  if (time.contains("memory")) add_values(time["memory"], "memory/", iteration, run);
}

void read_records(RunFolder& run) {
  const std::string text = read_text_file(run.metrics, kMostBytes);
  for (size_t begin = 0, line = 1, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1, ++line) {
    const std::string where = fmt::format("{}:{}", run.metrics.string(), line);
    const Json record = parse_json(text.substr(begin, end - begin), where);
    if (!record.is_object() || !record.contains("iteration") || !record["iteration"].is_number_integer())
      throw Error(ErrorKind::kInput, where, "not a record of a run", {.want = "an object with \"iteration\""});
    add_record(record, run);
  }
  if (run.series.empty()) throw Error(ErrorKind::kInput, run.metrics.string(), "no records");
}

void flatten(const Node& node, const std::string& name, std::map<std::string, std::string>& out) {
  if (node.kind == Node::Kind::kMap) {
    for (size_t i = 0; i < node.items.size(); ++i)
      flatten(node.items[i], name.empty() ? node.keys[i] : name + "." + node.keys[i], out);
    return;
  }
  std::string text = node.text;
  if (node.kind == Node::Kind::kNull) text = "null";
  if (node.kind == Node::Kind::kList) {
    for (const Node& item : node.items) text += (text.empty() ? "" : ", ") + item.text;
    text = "[" + text + "]";
  }
  out[name] = text;
}

/// The checkpoint that the tracker names.
void read_checkpoint(RunFolder& run) {
  const fs::path tracker = run.path / store::kTrackerText;
  if (!fs::exists(tracker)) return;
  const std::optional<int64_t> iteration = store::parse_number(read_text_file(tracker, 64));
  if (!iteration) return;
  const fs::path folder = run.path / store::iter_name(*iteration);
  if (!fs::is_directory(folder)) return;
  run.checkpoint = folder;
  if (fs::exists(folder / "run_config.yaml"))
    flatten(read_yaml_file((folder / "run_config.yaml").string()), "", run.config);
}

Json value_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

int64_t seconds_since(fs::file_time_type time) {
  return std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - time).count();
}

std::string ago_text(int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s ago", std::max<int64_t>(0, seconds));
  if (seconds < 7200) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86400);
}

}  // namespace

std::optional<double> RunFolder::last(const std::string& name) const {
  const auto found = series.find(name);
  return found == series.end() ? std::nullopt : std::optional(found->second.back().second);
}

RunFolder read_run(const fs::path& path) {
  RunFolder run;
  const bool folder = fs::is_directory(path);
  run.metrics = folder ? path / "metrics.jsonl" : path;
  run.path = folder ? path : path.parent_path();
  if (!fs::exists(run.metrics)) {
    throw Error(ErrorKind::kInput, path.string(), "no records of a run here",
                {.want = "a folder with metrics.jsonl, or that file", .hint = "rialto runs lists runs"});
  }
  const fs::path full = fs::absolute(run.path).lexically_normal();
  run.name = (full.has_filename() ? full : full.parent_path()).filename().string();
  run.written = fs::last_write_time(run.metrics);
  read_records(run);
  read_checkpoint(run);
  return run;
}

std::vector<fs::path> find_runs(const fs::path& path) {
  if (!fs::is_directory(path)) throw Error(ErrorKind::kInput, path.string(), "not a folder");
  std::vector<fs::path> found;
  if (fs::exists(path / "metrics.jsonl")) found.push_back(path);
  const auto skip = fs::directory_options::skip_permission_denied;
  for (auto at = fs::recursive_directory_iterator(path, skip); at != fs::recursive_directory_iterator(); ++at) {
    if (!at->is_directory()) continue;
    if (fs::exists(at->path() / "metrics.jsonl")) found.push_back(at->path());
    const std::string name = at->path().filename().string();
    if (at.depth() + 1 >= kSearchDepth || name.starts_with("iter_") || name.starts_with("."))
      at.disable_recursion_pending();
  }
  std::ranges::sort(found);
  return found;
}

std::string state_of(const RunFolder& run) {
  const auto length = run.config.find("train.train_iters");
  if (length != run.config.end() && length->second == std::to_string(run.iteration)) return "finished";
  return seconds_since(run.written) < 60 ? "active" : "stopped";
}

Json runs_table(const std::vector<RunFolder>& runs) {
  Json table = Json::array();
  for (const RunFolder& run : runs) {
    table.push_back({{"folder", run.path.string()},
                     {"iteration", run.iteration},
                     {"tokens", run.tokens},
                     {"lm loss", value_or_null(run.last("lm loss"))},
                     {"validation loss", value_or_null(run.last("validation loss"))},
                     {"state", state_of(run)},
                     {"checkpoint", run.checkpoint ? Json(run.checkpoint->filename().string()) : Json(nullptr)},
                     {"seconds ago", seconds_since(run.written)}});
  }
  return table;
}

std::string runs_text(const Json& table) {
  if (table.empty()) return "no runs here\n";
  std::vector<std::vector<std::string>> rows = {
      {"run", "iterations", "lm loss", "validation", "state", "checkpoint", "when"}};
  const auto number = [](const Json& value) {
    return value.is_null() ? std::string("-") : fmt::format("{:.4f}", value.get<double>());
  };
  for (const Json& run : table) {
    const std::string checkpoint = run["checkpoint"].is_null() ? "-" : run["checkpoint"].get<std::string>();
    rows.push_back({run["folder"].get<std::string>(), run["iteration"].dump(), number(run["lm loss"]),
                    number(run["validation loss"]), run["state"].get<std::string>(), checkpoint,
                    ago_text(run["seconds ago"].get<int64_t>())});
  }
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i)
      text += i + 1 < row.size() ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i] + "\n";
  }
  return text;
}

}  // namespace rialto::report
