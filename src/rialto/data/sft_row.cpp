// Reading rows of conversations, texts and preference pairs.
#include "rialto/data/sft_row.h"

#include <array>
#include <map>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

constexpr double kLeastWeight = 1e-6, kMostWeight = 1e6;
constexpr const char* kForms = "messages, conversations, prompt and completion, or chosen and rejected";

[[noreturn]] void bad(const std::string& where, std::string_view what, const ErrorParts& parts = {}) {
  throw Error(ErrorKind::kInput, where, what, parts);
}

/// The value under `key`, or null when there is none, or JSON's null.
const Json* get(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found == row.end() || found->is_null() ? nullptr : &*found;
}

double weight_of(const Json& object, double least, const std::string& where) {
  const Json* weight = get(object, "weight");
  if (!weight) return 1;
  const double value = weight->is_number() ? weight->get<double>() : -1;
  if (!(value >= least && value <= kMostWeight))
    bad(where, "has a weight that is none", {.got = weight->dump(), .want = "a positive number, at most a million"});
  return value;
}

std::string role_of(const Json& from, const std::string& where) {
  static const std::map<std::string, std::string> kRoles{
      {"system", "system"},  {"human", "user"},     {"user", "user"},          {"gpt", "assistant"},
      {"tool", "tool"},      {"function", "tool"},  {"observation", "tool"},   {"chatgpt", "assistant"},
      {"bing", "assistant"}, {"bard", "assistant"}, {"assistant", "assistant"}};
  const auto found = from.is_string() ? kRoles.find(from.get<std::string>()) : kRoles.end();
  if (found == kRoles.end())
    bad(where, "a turn is from somebody that is not known",
        {.got = from.dump(), .want = "human, gpt, system or tool", .hint = "write the row as messages with roles"});
  return found->second;
}

Json message(const std::string& role, const Json& content) { return {{"role", role}, {"content", content}}; }

/// Arguments of tool calls, when they are JSON written as text, as objects.
void open_arguments(Json& turn) {
  const auto calls = turn.find("tool_calls");
  if (calls == turn.end() || !calls->is_array()) return;
  for (Json& call : *calls) {
    if (!call.is_object()) continue;
    Json& inner = call.contains("function") && call["function"].is_object() ? call["function"] : call;
    const auto arguments = inner.find("arguments");
    if (arguments == inner.end() || !arguments->is_string()) continue;
    const Json parsed = Json::parse(arguments->get<std::string>(), nullptr, false);
    if (parsed.is_object()) *arguments = parsed;
  }
}

void add_turn(SftRow& row, Json turn, double factor, const std::string& where) {
  if (!turn.is_object()) bad(where, "a message is not an object", {.got = turn.type_name()});
  if (!turn.contains("role") && turn.contains("from")) {
    if (!turn.contains("value")) bad(where, "a turn has no value", {.got = turn.dump()});
    Json renamed = message(role_of(turn["from"], where), turn["value"]);
    if (const Json* weight = get(turn, "weight")) renamed["weight"] = *weight;
    turn = std::move(renamed);
  }
  if (!turn.contains("role") || !turn["role"].is_string())
    bad(where, "a message has no role",
        {.got = turn.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80)});
  row.message_weights.push_back(factor * weight_of(turn, 0, where));
  turn.erase("weight");
  open_arguments(turn);
  row.messages.push_back(std::move(turn));
}

void add_turns(SftRow& row, const Json& turns, double factor, const std::string& where) {
  if (!turns.is_array()) bad(where, "messages are not a list", {.got = turns.type_name()});
  for (const Json& turn : turns) add_turn(row, turn, factor, where);
}

/// A prompt and how it goes on: texts, or messages where one of them is.
void add_pair(SftRow& row, const Json& prompt, const Json& completion, const std::string& where) {
  if (prompt.is_string() && completion.is_string()) {
    row.prompt = prompt.get<std::string>();
    row.completion = completion.get<std::string>();
    if (row.completion.empty()) bad(where, "the completion is empty");
    return;
  }
  const auto turns = [&](const Json& side, const char* role) {
    if (!side.is_string() && !side.is_array())
      bad(where, "a prompt or completion is neither text nor messages", {.got = side.type_name()});
    return side.is_string() ? Json::array({message(role, side)}) : side;
  };
  add_turns(row, turns(prompt, "user"), 0, where);
  add_turns(row, turns(completion, "assistant"), 1, where);
}

/// Everything beside the turns.
SftRow with_surroundings(const Json& row, const std::string& where) {
  SftRow out;
  out.weight = weight_of(row, kLeastWeight, where);
  if (const Json* tools = get(row, "tools")) {
    out.tools = tools->is_string() && !tools->get_ref<const std::string&>().empty()
                    ? parse_json(tools->get_ref<const std::string&>(), where + " tools")
                    : *tools;
    if (out.tools.empty() || out.tools == "") out.tools = nullptr;
    if (!out.tools.is_null() && !out.tools.is_array()) bad(where, "tools are not a list", {.got = tools->type_name()});
  }
  if (const Json* documents = get(row, "documents")) {
    out.documents = *documents;
    if (!documents->is_array()) bad(where, "documents are not a list", {.got = documents->type_name()});
  }
  if (const Json* variables = get(row, "chat_template_kwargs")) {
    out.variables = *variables;
    if (!variables->is_object()) bad(where, "chat_template_kwargs is not an object", {.got = variables->type_name()});
  }
  return out;
}

/// Two answers to a prompt, or two whole conversations.
ParsedRow parse_pair(const SftRow& empty, const Json* prompt, const Json& chosen, const Json& rejected,
                     const std::string& where) {
  const auto side = [&](const Json& answer) {
    SftRow row = empty;
    if (prompt)
      add_pair(row, *prompt, answer, where);
    else
      add_turns(row, answer, 1, where);
    return row;
  };
  // Some files repeat the prompt in front of either answer.
  const bool whole = prompt && prompt->is_string() && chosen.is_array() && chosen.size() > 1;
  if (whole) prompt = nullptr;
  ParsedRow parsed{side(chosen), side(rejected)};
  if (chosen == rejected) bad(where, "the chosen answer is the rejected one");
  return parsed;
}

}  // namespace

ParsedRow parse_sft_row(const Json& row, const std::string& where) {
  if (!row.is_object()) bad(where, "not a row of conversations or texts", {.got = row.type_name(), .want = kForms});
  SftRow out = with_surroundings(row, where);
  for (const char* key : {"messages", "conversation", "conversations"}) {
    const Json* turns = get(row, key);
    if (!turns) continue;
    const Json* system = get(row, "system");
    if (key == std::string_view("conversations") && system && system->is_string() && *system != "")
      add_turn(out, message("system", *system), 1, where);
    add_turns(out, *turns, 1, where);
    if (out.messages.empty()) bad(where, "has no messages");
    return {out, std::nullopt};
  }
  const Json *chosen = get(row, "chosen"), *rejected = get(row, "rejected");
  if (chosen && rejected) return parse_pair(out, get(row, "prompt"), *chosen, *rejected, where);
  for (const auto& [first, second] : {std::pair("prompt", "completion"), std::pair("input", "output")}) {
    const Json *prompt = get(row, first), *completion = get(row, second);
    if (!prompt || !completion) continue;
    if (get(row, "instruction"))
      bad(where, "has an instruction beside input and output", {.want = kForms, .hint = "write both into the prompt"});
    add_pair(out, *prompt, *completion, where);
    return {out, std::nullopt};
  }
  bad(where, "not a row of conversations or texts", {.want = kForms});
}

}  // namespace rialto::data
