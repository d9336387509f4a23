// What a conversion did, as JSON and as text.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/convert/convert.h"

namespace rialto::convert {
namespace {

const char* proved(const ConvertReport& report) { return report.names_only ? "names only" : "shapes and names"; }

}  // namespace

Json to_json(const ConvertReport& report) {
  return {{"family", report.family},
          {"architecture", report.architecture},
          {"from", report.from},
          {"to", report.to},
          {"source", report.source.string()},
          {"destination", report.destination.string()},
          {"dry_run", report.dry_run},
          {"proved", proved(report)},
          {"parameters", report.parameters},
          {"tensors_in", report.num_tensors_in},
          {"tensors_out", report.num_tensors_out},
          {"pieces", report.num_pieces},
          {"bytes_read", report.bytes_read},
          {"bytes_written", report.bytes_written},
          {"rounded_values", report.rounded_values},
          {"ignored", report.ignored},
          {"notices", report.notices},
          {"seconds", report.seconds}};
}

std::string to_text(const ConvertReport& report) {
  std::string text = fmt::format("{} ({}), {} parameters: {} tensors of {} -> {} of {}, {} pieces, complete\n",
                                 report.architecture, report.family, report.parameters, report.num_tensors_in,
                                 report.from, report.num_tensors_out, report.to, report.num_pieces);
  for (const std::string& line : report.ignored) text += fmt::format("not converted: {}\n", line);
  if (report.rounded_values > 0) text += fmt::format("irreversible: {} values were rounded\n", report.rounded_values);
  if (report.dry_run)
    return text + fmt::format("dry run: proved {}; nothing was read from tensors, nothing written\n", proved(report));
  const double mib = static_cast<double>(report.bytes_written) / (1 << 20);
  text += fmt::format("wrote {}: {:.1f} MiB in {:.2f} s ({:.0f} MiB/s)\n", report.destination.string(), mib,
                      report.seconds, mib / std::max(report.seconds, 1e-9));
  return text;
}

}  // namespace rialto::convert
