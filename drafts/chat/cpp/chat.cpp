// Conversations: reading rows, telling turns apart, marking tokens.
#include "rialto/data/chat.h"

#include <algorithm>
#include <map>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

constexpr const char* kRowForms = "messages, conversations, or prompt and completion";

Json message(const char* role, const Json& content) { return {{"role", role}, {"content", content}}; }

/// ShareGPT's names of roles.
std::string role_of(const std::string& from) {
  static const std::map<std::string, std::string> kRoles{
      {"human", "user"}, {"gpt", "assistant"}, {"chatgpt", "assistant"}, {"bing", "assistant"}, {"function", "tool"}};
  const auto found = kRoles.find(from);
  return found == kRoles.end() ? from : found->second;
}

Json from_sharegpt(const Json& row, const Json& turns, const std::string& where) {
  Json messages = Json::array();
  if (const auto system = row.find("system"); system != row.end() && system->is_string() && !system->empty())
    messages.push_back(message("system", *system));
  for (const Json& turn : turns) {
    if (turn.is_object() && turn.contains("role")) {
      messages.push_back(turn);
      continue;
    }
    const bool plain = turn.is_object() && turn.contains("from") && turn["from"].is_string() && turn.contains("value");
    if (!plain) throw Error(ErrorKind::kInput, where, "a turn that has no from and value", {.got = turn.dump()});
    messages.push_back(message(role_of(turn["from"]).c_str(), turn["value"]));
  }
  return messages;
}

/// A prompt and a completion: texts, or messages already.
Json from_pair(const Json& prompt, const Json& completion) {
  Json messages = prompt.is_array() ? prompt : Json::array({message("user", prompt)});
  if (completion.is_array())
    messages.insert(messages.end(), completion.begin(), completion.end());
  else
    messages.push_back(message("assistant", completion));
  return messages;
}

Json messages_of(const Json& row, const std::string& where) {
  const auto get = [&](const char* key) {
    const auto found = row.find(key);
    return found == row.end() || found->is_null() ? nullptr : &*found;
  };
  for (const char* key : {"messages", "conversation", "conversations"}) {
    const Json* turns = get(key);
    if (!turns) continue;
    if (!turns->is_array()) throw Error(ErrorKind::kInput, where, std::string(key) + " is not a list");
    return from_sharegpt(row, *turns, where);
  }
  for (const auto& [first, second] : {std::pair("prompt", "completion"), std::pair("input", "output")}) {
    if (get(first) && get(second)) return from_pair(*get(first), *get(second));
  }
  throw Error(ErrorKind::kInput, where, "not a row of a chat file", {.got = {}, .want = kRowForms});
}

bool is_assistant(const Json& message) { return message.value("role", "") == "assistant"; }

bool begins_with(const std::string& text, const std::string& beginning) { return text.compare(0, beginning.size(), beginning) == 0; }

/// What each assistant message adds to the text.
std::vector<hub::TextSpan> inferred_turns(const hub::ChatTemplate& chat, const Conversation& row,
                                          const hub::ChatOptions& options, const std::string& text,
                                          const std::string& where) {
  std::vector<hub::TextSpan> turns;
  hub::ChatOptions prompted = options;
  prompted.add_generation_prompt = true;
  Json so_far = Json::array();
  for (size_t i = 0; i < row.messages.size(); ++i) {
    if (!is_assistant(row.messages[i]) || so_far.empty()) {
      so_far.push_back(row.messages[i]);
      continue;
    }
    const std::string before = chat.render(so_far, prompted).text;
    so_far.push_back(row.messages[i]);
    const std::string with = i + 1 == row.messages.size() ? text : chat.render(so_far, options).text;
    if (!begins_with(text, with) || !begins_with(with, before))
      throw Error(ErrorKind::kInput, where, "the template renders a turn differently when more follow",
                  {.got = "message " + std::to_string(i + 1),
                   .want = "a template with {% generation %} markers",
                   .hint = "train the last turn alone, or on everything"});
    turns.emplace_back(before.size(), with.size());
  }
  return turns;
}

/// The last turn alone needs no earlier one to be told apart.
hub::TextSpan inferred_last_turn(const hub::ChatTemplate& chat, const Conversation& row, const hub::ChatOptions& options,
                                 const std::string& text, const std::string& where) {
  Json before = row.messages;
  if (!is_assistant(before.back()) || before.size() < 2)
    throw Error(ErrorKind::kInput, where, "does not end with an answer of the assistant");
  before.erase(before.size() - 1);
  hub::ChatOptions prompted = options;
  prompted.add_generation_prompt = true;
  const std::string prompt = chat.render(before, prompted).text;
  if (!begins_with(text, prompt))
    throw Error(ErrorKind::kInput, where, "the template renders the prompt differently when the answer follows",
                {.got = {}, .want = "a template with {% generation %} markers"});
  return {prompt.size(), text.size()};
}

std::vector<hub::TextSpan> trained_spans(const hub::ChatTemplate& chat, const Conversation& row,
                                         const hub::ChatOptions& options, const hub::ChatText& rendered, LossMode mode,
                                         const std::string& where) {
  if (mode == LossMode::kFull) return {{0, rendered.text.size()}};
  if (chat.marks_generation(row.tools)) {
    if (mode == LossMode::kAssistant || rendered.generated.empty()) return rendered.generated;
    return {rendered.generated.back()};
  }
  if (mode == LossMode::kLastTurn) return {inferred_last_turn(chat, row, options, rendered.text, where)};
  return inferred_turns(chat, row, options, rendered.text, where);
}

}  // namespace

Conversation conversation_of(const Json& row, const std::string& where) {
  if (!row.is_object()) throw Error(ErrorKind::kInput, where, "not a row of a chat file", {.got = {}, .want = kRowForms});
  Conversation out{.messages = messages_of(row, where)};
  if (out.messages.empty()) throw Error(ErrorKind::kInput, where, "no messages");
  for (const Json& turn : out.messages) {
    if (!turn.is_object() || !turn.contains("role") || !turn["role"].is_string())
      throw Error(ErrorKind::kInput, where, "a message without a role", {.got = turn.dump()});
  }
  if (row.contains("tools") && !row["tools"].empty()) out.tools = row["tools"];
  if (row.contains("chat_template_kwargs") && row["chat_template_kwargs"].is_object())
    out.variables = row["chat_template_kwargs"];
  return out;
}

ChatTokens chat_tokens(const hub::ChatTemplate& chat, const hub::Tokenizer& tokenizer, const Conversation& row,
                       LossMode mode, const std::string& where) {
  const hub::ChatOptions options{.tools = row.tools, .documents = nullptr, .variables = row.variables};
  hub::ChatText rendered;
  try {
    rendered = chat.render(row.messages, options);
  } catch (const Error& error) {
    throw Error(error.kind(), where, error.what());
  }
  ChatTokens out;
  tokenizer.encode_places(rendered.text, out.ids, out.places);
  out.trained.resize(out.ids.size());
  bool any = false;
  for (const auto& [begin, end] : trained_spans(chat, row, options, rendered, mode, where)) {
    for (size_t i = 0; i < out.ids.size(); ++i) {
      if (out.places[i].first >= end || out.places[i].second <= begin) continue;
      out.trained[i] = 1;
      any = true;
    }
  }
  if (!any) throw Error(ErrorKind::kInput, where, "nothing in it is trained", {.got = {}, .want = "an answer of the assistant"});
  out.text = std::move(rendered.text);
  return out;
}

}  // namespace rialto::data
