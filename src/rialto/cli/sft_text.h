// Samples of fine-tuning data for people and programs: on a terminal, as a page, as JSON. Inside cli only.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/data/sft_reader.h"

namespace rialto::cli {

/// A sample with its name: "file:line", and which answer of a preference pair it is.
struct ShownSample {
  std::string where, side;
  data::SftSample sample;
  data::SftDetail detail;
};

/// Tokens that stand for the same bytes, or one token: what is shown as one piece.
struct ShownPiece {
  std::string text;
  std::vector<int32_t> ids;
  float weight = 0;  ///< of the first token
  std::string role;
};
/// The whole text in pieces; text that no token stands for is a piece without ids.
std::vector<ShownPiece> pieces_of(const ShownSample& shown);

/// With colours: what is trained in green, roles in bold. Without: what is trained between guillemets.
std::string terminal_text(const ShownSample& shown, bool colours);
/// {"row", "side", "tokens": number, "trained": number, "text", "pieces": [{"text", "ids", "weight", "role"}]}
Json sample_json(const ShownSample& shown);
/// A page that needs no other file.
std::string html_page(const std::vector<ShownSample>& samples);

}  // namespace rialto::cli
