// SentencePiece models: loading, what tokenizer_config.json may say about one, errors.
#include "rialto/hub/sentencepiece_model.h"

#include <algorithm>
#include <array>

#include <sentencepiece_processor.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/hub/tokenizer_file.h"

namespace rialto::hub {
namespace {

/// transformers' classes that take a model's ids as they are. Others move them (XLM-R), add to them (T5) or change the
/// text first (ALBERT).
constexpr std::array<std::string_view, 6> kPlainClasses{"LlamaTokenizer",     "LlamaTokenizerFast",
                                                        "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
                                                        "GemmaTokenizer",     "GemmaTokenizerFast"};
constexpr const char* kHint = "let transformers write tokenizer.json (AutoTokenizer, then save_pretrained)";

[[noreturn]] void refuse(const fs::path& file, const std::string& what, const std::string& got) {
  throw Error(ErrorKind::kInput, file.string(), what + ", which is not covered for a SentencePiece model",
              {.got = got, .hint = kHint});
}

int to_id(const std::string& key) {
  return !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == key.npos ? std::stoi(key) : -1;
}

/// Refuses what would give other ids than the model's own.
void check_config(const fs::path& file, const Json& config, const sentencepiece::SentencePieceProcessor& model) {
  if (!config.is_object()) return;
  if (const auto name = config.find("tokenizer_class"); name != config.end() && name->is_string())
    if (std::ranges::find(kPlainClasses, name->get<std::string_view>()) == kPlainClasses.end())
      refuse(file, "names a tokenizer_class with rules of its own", name->get<std::string>());
  if (const auto prefix = config.find("add_prefix_space"); prefix != config.end() && *prefix == false)
    refuse(file, "changes the space before a text", "add_prefix_space: false");
  if (const auto options = config.find("sp_model_kwargs"); options != config.end() && !options->empty())
    refuse(file, "has sp_model_kwargs", options->dump());
  const auto added = config.find("added_tokens_decoder");
  if (added == config.end() || !added->is_object()) return;
  for (const auto& [key, token] : added->items()) {
    const int id = to_id(key);
    const bool known = id >= 0 && id < model.GetPieceSize() && token.is_object() && token.contains("content") &&
                       token.at("content") == model.IdToPiece(id);
    if (!known) refuse(file, "adds a token to the model's", key + ": " + token.dump());
  }
}

}  // namespace

struct SentencePieceModel::Impl {
  std::string where;
  sentencepiece::SentencePieceProcessor model;
  std::vector<int32_t> before, behind;  ///< what add_special puts around a text

  void check(const sentencepiece::util::Status& status, const char* what) const {
    if (!status.ok()) throw Error(ErrorKind::kInput, where, std::string(what) + ": " + status.message());
  }
};

SentencePieceModel::SentencePieceModel(const fs::path& path, std::string_view bytes) : impl_(std::make_unique<Impl>()) {
  impl_->where = path.string();
  sentencepiece::SetMinLogLevel(2);  // errors come back as a status; the library's own lines on stderr are none of ours
  impl_->check(impl_->model.LoadFromSerializedProto(bytes), "is not a SentencePiece model");
  const fs::path config = path.parent_path() / "tokenizer_config.json";
  if (!fs::exists(config)) return;
  check_config(config, read_json_file(config), impl_->model);
  const TextEnds ends = text_ends(path.parent_path());
  for (const auto& [token, ids] : {std::pair{ends.bos, &impl_->before}, {ends.eos, &impl_->behind}}) {
    if (token.empty()) continue;
    const std::optional<int32_t> id = id_of(token);
    if (!id) throw Error(ErrorKind::kInput, config.string(), "names a token that the model lacks", {.got = token});
    ids->push_back(*id);
  }
}

SentencePieceModel::~SentencePieceModel() = default;

std::vector<int32_t> SentencePieceModel::encode(std::string_view text, bool add_special) const {
  std::vector<int> ids;
  impl_->check(impl_->model.Encode(text, &ids), "cannot encode");
  if (add_special) {
    ids.insert(ids.begin(), impl_->before.begin(), impl_->before.end());
    ids.insert(ids.end(), impl_->behind.begin(), impl_->behind.end());
  }
  return ids;
}

std::string SentencePieceModel::decode(std::span<const int32_t> ids) const {
  std::vector<int> known;
  std::ranges::copy_if(ids, std::back_inserter(known), [&](int32_t id) { return id < vocab_size(); });
  std::string text;
  impl_->check(impl_->model.Decode(known, &text), "cannot decode");
  return text;
}

int64_t SentencePieceModel::vocab_size() const { return impl_->model.GetPieceSize(); }

std::optional<int32_t> SentencePieceModel::id_of(std::string_view piece) const {
  const int id = impl_->model.PieceToId(piece);  // the unknown piece's for what it does not know
  if (id < 0 || id >= vocab_size() || impl_->model.IdToPiece(id) != piece) return std::nullopt;
  return id;
}

std::optional<std::string> SentencePieceModel::eos() const {
  const int id = impl_->model.eos_id();
  if (id < 0) return std::nullopt;
  return impl_->model.IdToPiece(id);
}

}  // namespace rialto::hub
