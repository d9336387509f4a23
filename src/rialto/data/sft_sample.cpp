// Rows to tokens and weights.
#include "rialto/data/sft_sample.h"

#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/data/sft_turns.h"
#include "rialto/hub/special_tokens.h"

namespace rialto::data {
namespace {

/// Calls `text` with every text inside `value`; roles are the template's own words.
template <class Function>
void each_text(const Json& value, const Function& text) {
  if (value.is_string()) text(value.get_ref<const std::string&>());
  if (value.is_array())
    for (const Json& item : value) each_text(item, text);
  if (value.is_object())
    for (const auto& [key, item] : value.items())
      if (key != "role") each_text(item, text);
}

fs::path folder_of(const fs::path& tokenizer) {
  return fs::is_directory(tokenizer) ? tokenizer : tokenizer.parent_path();
}

void require_trained(const SftSample& sample, const std::string& where) {
  if (sample.ids.empty()) throw Error(ErrorKind::kInput, where, "has no tokens");
  // the first token is nobody's label
  if (std::any_of(sample.weights.begin() + 1, sample.weights.end(), [](float weight) { return weight > 0; })) return;
  throw Error(ErrorKind::kInput, where, "nothing in it is trained",
              {.got = {}, .want = "an answer of the assistant that has tokens"});
}

/// What the tokenizer's own template puts before a text: its BOS, if it has that habit.
std::vector<int32_t> bos_of(const hub::Tokenizer& tokenizer) {
  const std::vector<int32_t> plain = tokenizer.encode("a", false), full = tokenizer.encode("a", true);
  const auto at = std::ranges::search(full, plain).begin();
  return {full.begin(), at == full.end() ? full.begin() : at};
}

}  // namespace

LossMode loss_mode_of(std::string_view name) {
  if (name == "assistant") return LossMode::kAssistant;
  if (name == "last_turn") return LossMode::kLastTurn;
  if (name == "full") return LossMode::kFull;
  throw Error(ErrorKind::kInternal, "loss mode", "passed the checks", {.got = std::string(name)});
}

SftEncoder::SftEncoder(const SftOptions& options)
    : options_(options),
      tokenizer_(options.tokenizer),
      special_(tokenizer_.special_tokens()),
      bos_(bos_of(tokenizer_)) {
  const fs::path folder = folder_of(options.tokenizer);
  try {
    chat_.emplace(folder);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    no_chat_ = error.what();
  }
  for (const std::string& token : special_)
    if (const auto id = tokenizer_.id_of(token)) special_ids_.insert(*id);
  if (const auto token = hub::eos_token(folder)) eos_ = tokenizer_.id_of(*token);
}

const hub::ChatTemplate& SftEncoder::chat() const {
  if (!chat_) throw Error(ErrorKind::kConfig, "chat template", no_chat_);
  return *chat_;
}

bool SftEncoder::ignores_tools(const SftRow& row) const {
  if (row.is_text() || row.tools.is_null()) return false;
  hub::ChatOptions options{
      .tools = row.tools, .documents = row.documents, .variables = row.variables, .now = options_.clock};
  const std::string with = chat().render(row.messages, options).text;
  options.tools = nullptr;
  return chat().render(row.messages, options).text == with;
}

void SftEncoder::refuse_special(const SftRow& row, const std::string& where) const {
  const auto check = [&](const std::string& text) {
    for (const std::string& token : special_) {
      if (token.empty() || text.find(token) == std::string::npos) continue;
      throw Error(ErrorKind::kInput, where, "its text holds a special token, which the model would take for a real one",
                  {.got = token, .want = "plain text", .hint = "clean the row, or allow special tokens in texts"});
    }
  };
  each_text(row.messages, check);
  each_text(row.tools, check);
  each_text(row.documents, check);
  each_text(row.variables, check);
  check(row.prompt);
  check(row.completion);
}

SftSample SftEncoder::encode(const SftRow& row, const std::string& where, SftDetail* detail) const {
  if (!options_.allow_special) refuse_special(row, where);
  SftSample sample = row.is_text() ? encode_text(row, detail, where) : encode_chat(row, detail, where);
  for (float& weight : sample.weights) weight *= static_cast<float>(row.weight);
  require_trained(sample, where);
  return sample;
}

SftSample SftEncoder::encode_text(const SftRow& row, SftDetail* detail, const std::string& where) const {
  if (!eos_)
    throw Error(ErrorKind::kConfig, options_.tokenizer.string(), "names no end-of-text token to end a completion with",
                {.got = {}, .want = "eos_token in tokenizer_config.json", .hint = {}});
  const hub::PlacedTokens prompt = tokenizer_.encode_places(row.prompt);
  const hub::PlacedTokens completion = tokenizer_.encode_places(row.completion);
  if (completion.ids.empty()) throw Error(ErrorKind::kInput, where, "the completion has no tokens");
  SftSample sample{.ids = bos_};
  sample.ids.insert(sample.ids.end(), prompt.ids.begin(), prompt.ids.end());
  const size_t context = sample.ids.size();
  sample.ids.insert(sample.ids.end(), completion.ids.begin(), completion.ids.end());
  sample.ids.push_back(*eos_);
  sample.weights.assign(sample.ids.size(), 1);
  if (options_.loss != LossMode::kFull) std::fill_n(sample.weights.begin(), context, 0.0f);
  if (!detail) return sample;
  const std::string bos = tokenizer_.decode(bos_, false);
  detail->text = bos + row.prompt + row.completion + tokenizer_.decode(std::vector<int32_t>{*eos_}, false);
  detail->places.assign(bos_.size(), {0, bos.size()});
  const auto add = [&](const std::vector<hub::TextSpan>& places, size_t at) {
    for (const auto& [begin, end] : places) detail->places.emplace_back(at + begin, at + end);
  };
  add(prompt.places, bos.size());
  add(completion.places, bos.size() + row.prompt.size());
  detail->places.emplace_back(bos.size() + row.prompt.size() + row.completion.size(), detail->text.size());
  detail->roles.assign(context, "prompt");
  detail->roles.resize(sample.ids.size(), "completion");
  return sample;
}

SftSample SftEncoder::encode_chat(const SftRow& row, SftDetail* detail, const std::string& where) const {
  hub::ChatOptions options{
      .tools = row.tools, .documents = row.documents, .variables = row.variables, .now = options_.clock};
  try {
    hub::ChatText text = chat().render(row.messages, options);
    hub::PlacedTokens tokens = tokenizer_.encode_places(text.text);
    const RenderedChat rendered{chat(),          tokenizer_,       special_ids_, row, std::move(options),
                                std::move(text), std::move(tokens)};
    SftSample sample{.ids = rendered.tokens.ids, .weights = std::vector<float>(rendered.tokens.ids.size())};
    for (const TrainedTokens& turn : trained_tokens(rendered, options_.loss, where))
      std::fill(sample.weights.begin() + static_cast<std::ptrdiff_t>(turn.first),
                sample.weights.begin() + static_cast<std::ptrdiff_t>(turn.last), static_cast<float>(turn.weight));
    if (detail) *detail = {rendered.rendered.text, rendered.tokens.places, roles_of(rendered)};
    return sample;
  } catch (const Error& error) {
    const std::string what = error.what();
    if (error.kind() != ErrorKind::kInput || what.starts_with("[" + where)) throw;
    throw Error(ErrorKind::kInput, where, what);
  }
}

}  // namespace rialto::data
