// Makes the page out of its template, page.html.
#include "rialto/report/page.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "rialto/base/version.h"

namespace rialto::report {

extern const std::string_view kPageTemplate;  // generated from page.html

namespace {

constexpr size_t kMostSamples = 20;

Json curve(const Series& series) {
  const size_t stride = (series.size() + kMostPoints - 1) / kMostPoints;
  Json iterations = Json::array(), values = Json::array();
  for (size_t i = 0; i < series.size(); ++i) {
    if (i % stride != 0 && i + 1 != series.size()) continue;
    iterations.push_back(series[i].first);
    values.push_back(std::isfinite(series[i].second) ? Json(series[i].second) : Json(nullptr));
  }
  return {{"x", iterations}, {"y", values}};
}

/// Mean over the records that have the phase.
Json mean_phases(const RunFolder& run) {
  Json means = Json::object();
  for (const auto& [name, series] : run.series) {
    if (!name.starts_with("phases/")) continue;
    double sum = 0;
    for (const auto& [iteration, value] : series) sum += value;
    means[name.substr(7)] = sum / static_cast<double>(run.series.at("lm loss").size());
  }
  return means;
}

/// The first, the last and some between, of a long run.
Json samples_of(const RunFolder& run) {
  const size_t count = run.samples.size(), stride = (count + kMostSamples - 1) / kMostSamples;
  Json samples = Json::array();
  for (size_t i = 0; i < count; ++i) {
    if (i % stride != 0 && i + 1 != count) continue;
    const RunFolder::Sample& sample = run.samples[i];
    samples.push_back({{"iteration", sample.iteration}, {"prompt", sample.prompt}, {"text", sample.text}});
  }
  return samples;
}

/// Keys in which the runs differ, then all the others: [key, value of each run...].
Json config_rows(const std::vector<RunFolder>& runs, bool differing) {
  std::set<std::string> keys;
  for (const RunFolder& run : runs)
    for (const auto& [key, value] : run.config) keys.insert(key);
  Json rows = Json::array();
  for (const std::string& key : keys) {
    Json row = {key};
    bool same = true;
    for (const RunFolder& run : runs) {
      const auto found = run.config.find(key);
      row.push_back(found == run.config.end() ? Json(nullptr) : Json(found->second));
      same = same && row.back() == row[1];
    }
    if (same != differing) rows.push_back(row);
  }
  return rows;
}

/// "</script>" inside a string would end the data.
std::string script_safe(const Json& json) {
  std::string text;
  for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  }
  return text;
}

}  // namespace

Json page_data(const std::vector<RunFolder>& runs) {
  Json data = {{"rialto", version()}, {"runs", Json::array()}};
  const Json table = runs_table(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    Json run = table[i];
    run["name"] = runs[i].name;
    run["phases"] = mean_phases(runs[i]);
    run["samples"] = samples_of(runs[i]);
    run["series"] = Json::object();
    for (const auto& [name, series] : runs[i].series)
      if (!name.starts_with("phases/")) run["series"][name] = curve(series);
    data["runs"].push_back(run);
  }
  data["differing"] = config_rows(runs, true);
  data["common"] = config_rows(runs, false);
  return data;
}

std::string page(const std::vector<RunFolder>& runs) {
  constexpr std::string_view kMark = "@DATA@";
  std::string text(kPageTemplate);
  text.replace(text.find(kMark), kMark.size(), script_safe(page_data(runs)));
  return text;
}

}  // namespace rialto::report
