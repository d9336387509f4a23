// Answers questions about chats as JSON: a list of requests on standard input, a list of answers on output.
//   {"do": "render", path, messages, [tools, documents, variables, now, add_generation_prompt]}
//                                       -> {"text", "spans": [[first, last] in bytes]}
//   {"do": "row", path, row, [loss, now, allow_special]}
//                                       -> {"ids", "weights", "text", "roles", [of a pair: "rejected"]}
//   {"do": "places", path, text}        -> {"ids", "places"};  {"do": "special", path} -> texts
// A request that is refused answers {"error": message}.
#include <iostream>
#include <iterator>
#include <map>
#include <memory>

#include "rialto/base/json.h"
#include "rialto/data/sft_sample.h"
#include "rialto/hub/chat_template.h"
#include "rialto/hub/tokenizer.h"

namespace rialto {
namespace {

template <class Loaded>
const Loaded& loaded(const Json& request) {
  static std::map<std::string, std::unique_ptr<Loaded>> all;
  const std::string path = request.at("path");
  auto& entry = all[path];
  if (!entry) entry = std::make_unique<Loaded>(fs::path(path));
  return *entry;
}

std::optional<int64_t> clock_of(const Json& request) {
  return request.contains("now") ? std::optional<int64_t>(request["now"]) : std::nullopt;
}

Json render(const Json& request) {
  const auto text = loaded<hub::ChatTemplate>(request).render(
      request.at("messages"), {.tools = request.value("tools", Json(nullptr)),
                               .documents = request.value("documents", Json(nullptr)),
                               .variables = request.value("variables", Json::object()),
                               .add_generation_prompt = request.value("add_generation_prompt", false),
                               .now = clock_of(request)});
  return {{"text", text.text}, {"spans", text.generated}};
}

const data::SftEncoder& encoder(const Json& request) {
  static std::map<std::string, std::unique_ptr<data::SftEncoder>> all;
  const std::string loss = request.value("loss", "assistant");
  data::SftOptions options{.tokenizer = request.at("path").get<std::string>(),
                           .clock = clock_of(request),
                           .allow_special = request.value("allow_special", false)};
  if (loss != "assistant") options.loss = loss == "full" ? data::LossMode::kFull : data::LossMode::kLastTurn;
  auto& entry = all[options.tokenizer.string() + loss + (options.allow_special ? "+" : "")];
  if (!entry) entry = std::make_unique<data::SftEncoder>(options);
  return *entry;
}

Json row(const Json& request) {
  const data::ParsedRow parsed = data::parse_sft_row(request.at("row"), "row");
  const auto encoded = [&](const data::SftRow& side) {
    data::SftDetail detail;
    const data::SftSample sample = encoder(request).encode(side, "row", &detail);
    return Json{{"ids", sample.ids}, {"weights", sample.weights}, {"text", detail.text}, {"roles", detail.roles}};
  };
  Json answer = encoded(parsed.row);
  if (parsed.rejected) answer["rejected"] = encoded(*parsed.rejected);
  return answer;
}

Json answer(const Json& request) {
  const std::string what = request.at("do");
  if (what == "render") return render(request);
  if (what == "row") return row(request);
  if (what == "special") return loaded<hub::Tokenizer>(request).special_tokens();
  if (what == "places") {
    const auto placed = loaded<hub::Tokenizer>(request).encode_places(request.at("text").get<std::string>());
    return {{"ids", placed.ids}, {"places", placed.places}};
  }
  throw Error(ErrorKind::kUsage, "chat_tool", "does not know " + what);
}

}  // namespace
}  // namespace rialto

int main() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  try {
    rialto::Json answers = rialto::Json::array();
    for (const rialto::Json& request : rialto::parse_json(text, "requests")) {
      try {
        answers.push_back(rialto::answer(request));
      } catch (const rialto::Error& error) {
        answers.push_back({{"error", error.what()}});
      }
    }
    std::cout << answers.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
