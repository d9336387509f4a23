// Drawing samples.
#include "rialto/cli/sft_text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace rialto::cli {
namespace {

constexpr std::string_view kStyle = R"(
body { font: 15px/1.6 sans-serif; margin: 2em auto; padding: 0 1em; max-width: 60em; color: #222; background: #fff }
section { border: 1px solid #ccc; border-radius: 6px; margin: 1em 0; padding: 0 1em 1em }
h2 { font-size: 1em } h2 small { font-weight: normal; color: #666 }
h3 { font-size: .8em; margin: .8em 0 .2em; color: #666 }
pre { font: 13px/1.7 monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
pre span { border-right: 1px dotted #bbb } pre span.on { background: #c8f0c8 } pre span.part { background: #e6f5c8 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } pre span.on { background: #1d4f1d }
  pre span.part { background: #4a4f1d } section { border-color: #444 } }
)";

size_t trained(const ShownSample& shown) {
  return static_cast<size_t>(std::ranges::count_if(shown.sample.weights, [](float weight) { return weight > 0; }));
}

std::string name_of(const ShownSample& shown) {
  return shown.side.empty() ? shown.where : shown.where + " " + shown.side;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// Control characters of a row must not reach a terminal, and are none in HTML: spelled out, but line ends and tabs.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f)
      out += fmt::format("\\x{:02x}", code);
    else
      out += c;
  }
  return out;
}

}  // namespace

std::vector<ShownPiece> pieces_of(const ShownSample& shown) {
  const auto& [ids, weights] = shown.sample;
  const data::SftDetail& detail = shown.detail;
  std::vector<ShownPiece> pieces;
  size_t done = 0;
  for (size_t i = 0; i < ids.size(); ++i) {  // a sample that was cut shows what is left of it
    const auto [begin, end] = detail.places[i];
    if (begin > done) pieces.push_back({detail.text.substr(done, begin - done), {}, 0, detail.roles[i]});
    done = std::max(done, begin);
    const bool same_piece = end <= done && !pieces.empty() && !pieces.back().ids.empty();
    if (same_piece) {
      pieces.back().ids.push_back(ids[i]);
      continue;
    }
    pieces.push_back({detail.text.substr(done, std::max(end, done) - done), {ids[i]}, weights[i], detail.roles[i]});
    done = std::max(done, end);
  }
  return pieces;
}

std::string terminal_text(const ShownSample& shown, bool colours) {
  const std::string_view on = colours ? "\x1b[32m" : "«", off = colours ? "\x1b[0m" : "»";
  std::string body;
  bool open = false;
  std::string role;
  for (const ShownPiece& piece : pieces_of(shown)) {
    const bool trains = piece.weight > 0 || (open && piece.ids.empty());
    if (open && !trains) body += off;
    if (colours && piece.role != role && !piece.role.empty())
      body += fmt::format("{}\x1b[1m[{}]\x1b[0m{}", open && trains ? off : "", printable(piece.role),
                          open && trains ? on : "");
    role = piece.role;
    if (!open && trains) body += on;
    open = trains;
    body += printable(piece.text);
  }
  if (open) body += off;
  return fmt::format("{}: {} tokens, {} trained\n{}\n\n", name_of(shown), shown.sample.ids.size(), trained(shown),
                     body);
}

Json sample_json(const ShownSample& shown) {
  Json pieces = Json::array();
  for (const ShownPiece& piece : pieces_of(shown))
    pieces.push_back({{"text", piece.text}, {"ids", piece.ids}, {"weight", piece.weight}, {"role", piece.role}});
  Json out{{"row", shown.where}, {"tokens", shown.sample.ids.size()}, {"trained", trained(shown)}};
  if (!shown.side.empty()) out["side"] = shown.side;
  out["text"] = shown.detail.text;
  out["pieces"] = pieces;
  return out;
}

std::string html_page(const std::vector<ShownSample>& samples) {
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Fine-tuning rows</title>\n<style>{}</style>\n"
      "<h1>Rows as the model sees them</h1>\n<p>Each box is a token; what is trained is green, with a weight other "
      "than 1 "
      "yellow-green. Hover over a token for its id.</p>\n",
      kStyle);
  for (const ShownSample& shown : samples) {
    page += fmt::format("<section><h2>{} <small>{} tokens, {} trained</small></h2>\n", escaped(name_of(shown)),
                        shown.sample.ids.size(), trained(shown));
    std::string role = "\n";
    for (const ShownPiece& piece : pieces_of(shown)) {
      if (piece.role != role)
        page += fmt::format("{}<h3>{}</h3><pre>", role == "\n" ? "" : "</pre>\n", escaped(piece.role));
      role = piece.role;
      const char* kind = piece.weight <= 0 ? "" : piece.weight == 1 ? " class=\"on\"" : " class=\"part\"";
      page +=
          fmt::format("<span{} title=\"{}{}\">{}</span>", kind, fmt::join(piece.ids, " "),
                      piece.weight > 0 ? fmt::format(", weight {}", piece.weight) : "", escaped(printable(piece.text)));
    }
    page += std::string(role == "\n" ? "" : "</pre>") + "</section>\n";
  }
  return page + "</html>\n";
}

}  // namespace rialto::cli
