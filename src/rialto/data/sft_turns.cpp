// Telling the turns of a conversation apart.
#include "rialto/data/sft_turns.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

bool is_answer(const Json& message) { return message.value("role", "") == "assistant"; }

/// Tokens from the first to the last that stand for bytes of the span. Source: transformers' apply_chat_template, which
/// leaves out all but the first token of a character that ends a span; they are trained here.
TrainedTokens tokens_of(const std::vector<hub::TextSpan>& places, const hub::TextSpan& span, double weight) {
  const auto inside = [&](const hub::TextSpan& place) {
    return place.first < span.second && place.second > span.first;
  };
  const auto first = std::ranges::find_if(places, inside);
  const auto last = std::find_if(places.rbegin(), places.rend(), inside);
  if (first == places.end()) return {};
  return {static_cast<size_t>(first - places.begin()), static_cast<size_t>(places.rend() - last), weight};
}

Json beginning(const Json& messages, size_t count) {
  Json out = Json::array();
  for (size_t i = 0; i < count; ++i) out.push_back(messages[i]);
  return out;
}

/// How many tokens rendering the first `count` messages gives, which must be the conversation's own first tokens.
size_t tokens_before(const RenderedChat& chat, size_t count, bool prompted, const std::string& where) {
  hub::ChatOptions options = chat.options;
  options.add_generation_prompt = prompted;
  const std::vector<int32_t>& all = chat.tokens.ids;
  const std::vector<int32_t> part =
      chat.tokenizer.encode(chat.chat.render(beginning(chat.row.messages, count), options).text, false);
  if (part.size() <= all.size() && std::equal(part.begin(), part.end(), all.begin())) return part.size();
  const auto differs = std::ranges::mismatch(part, all).in1 - part.begin();
  throw Error(
      ErrorKind::kInput, where,
      fmt::format("the template, which marks no answers, renders the first {} messages{} otherwise than inside the "
                  "whole conversation, from token {} on",
                  count, prompted ? " with a generation prompt" : "", differs),
      {.got = {},
       .want = "a template with {% generation %} markers",
       .hint = "train the last turn alone, or on everything, or mark the answers in the template"});
}

bool is_blank(const RenderedChat& chat, size_t first, size_t last) {
  if (first >= last) return true;
  const std::vector<hub::TextSpan>& places = chat.tokens.places;
  const std::string_view text =
      std::string_view(chat.rendered.text).substr(places[first].first, places[last - 1].second - places[first].first);
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// What answer `index` adds, without white space behind the token that ends it.
TrainedTokens inferred(const RenderedChat& chat, size_t index, const std::string& where) {
  const Json& messages = chat.row.messages;
  if (index == 0)
    throw Error(ErrorKind::kInput, where, "begins with the assistant, in front of which there is nothing to render",
                {.got = {}, .want = "a template with {% generation %} markers", .hint = "give this message weight 0"});
  TrainedTokens turn{.first = tokens_before(chat, index, true, where), .weight = chat.row.message_weights[index]};
  turn.last = index + 1 == messages.size() ? chat.tokens.ids.size() : tokens_before(chat, index + 1, false, where);
  for (size_t i = turn.last; i > turn.first; --i) {
    if (!chat.special_ids.contains(chat.tokens.ids[i - 1])) continue;
    if (is_blank(chat, i, turn.last)) turn.last = i;
    break;
  }
  return turn;
}

std::vector<size_t> answers(const SftRow& row) {
  std::vector<size_t> out;
  for (size_t i = 0; i < row.messages.size(); ++i)
    if (is_answer(row.messages[i])) out.push_back(i);
  return out;
}

/// What the template marks; each mark is an answer's where answers have weights of their own.
std::vector<TrainedTokens> marked(const RenderedChat& chat, LossMode mode, const std::string& where) {
  const std::vector<hub::TextSpan>& spans = chat.rendered.generated;
  const std::vector<size_t> all = answers(chat.row);
  const auto weight = [&](size_t answer) { return chat.row.message_weights[all[answer]]; };
  const bool alike = std::ranges::all_of(all, [&](size_t i) { return chat.row.message_weights[i] == 1; });
  const bool matched = spans.size() == all.size();
  if (!matched && (!alike || mode == LossMode::kLastTurn))
    throw Error(ErrorKind::kInput, where, "the template does not mark one piece for each answer",
                {.got = fmt::format("{} pieces for {} answers", spans.size(), all.size()),
                 .want = "as many",
                 .hint = "weights of answers, and the last turn, need that"});
  std::vector<TrainedTokens> out;
  for (size_t i = mode == LossMode::kLastTurn ? spans.size() - 1 : 0; i < spans.size(); ++i)
    out.push_back(tokens_of(chat.tokens.places, spans[i], alike ? 1 : weight(i)));
  return out;
}

}  // namespace

std::vector<TrainedTokens> trained_tokens(const RenderedChat& chat, LossMode mode, const std::string& where) {
  if (mode == LossMode::kFull) return {{0, chat.tokens.ids.size(), 1}};
  if (mode == LossMode::kLastTurn && !is_answer(chat.row.messages.back()))
    throw Error(ErrorKind::kInput, where, "does not end with an answer of the assistant");
  if (chat.chat.marks_generation(chat.row.tools)) return marked(chat, mode, where);
  std::vector<TrainedTokens> out;
  for (const size_t index : answers(chat.row)) {
    if (mode == LossMode::kLastTurn && index + 1 < chat.row.messages.size()) continue;
    if (chat.row.message_weights[index] > 0) out.push_back(inferred(chat, index, where));
  }
  return out;
}

std::vector<std::string> roles_of(const RenderedChat& chat) {
  std::vector<std::string> roles(chat.tokens.ids.size());
  const std::string& text = chat.rendered.text;
  size_t from = 0;
  for (size_t count = 1; count <= chat.row.messages.size(); ++count) {
    size_t end = text.size();
    if (count < chat.row.messages.size()) {
      try {
        const std::string part = chat.chat.render(beginning(chat.row.messages, count), chat.options).text;
        end = static_cast<size_t>(std::ranges::mismatch(part, text).in1 - part.begin());
      } catch (const Error&) {
        continue;  // a beginning that the template does not like: the next one tells
      }
    }
    const std::string role = chat.row.messages[count - 1].value("role", "");
    for (size_t i = 0; i < roles.size(); ++i)
      if (chat.tokens.places[i].first >= from && chat.tokens.places[i].first < end) roles[i] = role;
    from = std::max(from, end);
  }
  return roles;
}

}  // namespace rialto::data
