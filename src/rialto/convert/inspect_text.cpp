// The report of inspect() for people.
#include <fmt/format.h>

#include "rialto/convert/convert.h"

namespace rialto::convert {
namespace {

std::string plain(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "unknown" : value.dump();
}

std::string size_text(uint64_t bytes) {
  if (bytes >= 1u << 30) return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (1u << 30));
  if (bytes >= 1u << 20) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1u << 20));
  return fmt::format("{} bytes", bytes);
}

}  // namespace

std::string inspect_to_text(const Json& report) {
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<12} {}\n", name, value);
  };
  line("kind", report["kind"] == "hf" ? "Hugging Face model" : "Megatron checkpoint (torch_dist)");
  line("path", plain(report["path"]));
  if (report.contains("iteration"))
    line("iteration", report.contains("iterations")
                          ? fmt::format("{} (of {})", report["iteration"].dump(), report["iterations"].dump())
                          : report["iteration"].dump());
  if (report.contains("family"))
    line("model", fmt::format("{} ({})", plain(report["architecture"]), plain(report["family"])));
  if (report.contains("layers"))
    line("shape", fmt::format("{} layers, hidden {}, vocabulary {}{}", report["layers"].dump(), report["hidden"].dump(),
                              report["vocab"].dump(), report["tied"] == true ? ", tied head" : ""));
  if (report.contains("parameters")) line("parameters", report["parameters"].dump());
  std::string dtypes;
  for (const auto& [name, count] : report["dtypes"].items())
    dtypes += fmt::format("{}{} {} tensors", dtypes.empty() ? "" : ", ", name, count["tensors"].dump());
  line("dtypes", dtypes);
  if (report.contains("optimizer_tensors"))
    line("tensors",
         fmt::format("{} of the model, {} of the optimizer, {} aliases, {} objects", report["tensors"].dump(),
                     report["optimizer_tensors"].dump(), report["aliases"].dump(), report["objects"].dump()));
  line("size", fmt::format("{} in {} files", size_text(report["bytes"].get<uint64_t>()), report["shards"].size()));
  for (const Json& shard : report["shards"])
    text += fmt::format("  {:<44} {:>12}  {}\n", plain(shard["file"]), size_text(shard["bytes"].get<uint64_t>()),
                        shard.contains("xxh3_128") ? plain(shard["xxh3_128"]) : "");
  if (report.contains("hashes")) line("hashes", plain(report["hashes"]));
  if (report.contains("writer")) line("written by", plain(report["writer"]));
  if (report.contains("training") && !report["training"].is_null())
    line("training", fmt::format("step {}, {} samples", report["training"]["step"].dump(),
                                 report["training"]["consumed_train_samples"].dump()));
  for (const Json& notice : report["notices"]) text += fmt::format("note: {}\n", plain(notice));
  return text;
}

}  // namespace rialto::convert
