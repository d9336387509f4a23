// Answers questions about data and tokenizers as JSON: a list of requests on standard input, a list of answers on
// output.
//   {"do": "indices", prefix, seq_length, num_samples, seed, first, last, [eod, eod_mask_loss, reset_positions,
//    reset_mask], samples: [numbers]}   -> {"document", "sample", "shuffle", "samples": [{tokens, ...}]}
//   {"do": "open", set: [section.key=value], part, seq_length, eod, num_samples, samples}
//                                       -> {"size", "samples", [of a blend: "source_index", "sample_index"]}
//   {"do": "blending", weights, size} or {"do": "blending", sizes} -> [sources, samples]
//   {"do": "normalized", weights}       -> weights
//   {"do": "split", split, documents}   -> [[first, last], ...]
//   {"do": "encode", path, text, special} -> ids;  {"do": "decode", path, ids, skip} -> text
//   {"do": "stream", path, ids, skip}   -> list of pieces;  {"do": "vocab", path} -> number
//   {"do": "fast", path} -> whether our own code encodes
//   {"do": "entropy", prefix}           -> nats a token
// A request that is refused answers {"error": message}.
#include <iostream>
#include <iterator>
#include <map>
#include <memory>

#include "rialto/base/json.h"
#include "rialto/data/blend.h"
#include "rialto/data/blended_dataset.h"
#include "rialto/data/blending_index.h"
#include "rialto/data/entropy.h"
#include "rialto/data/open_datasets.h"
#include "rialto/data/split.h"
#include "rialto/hub/tokenizer.h"

namespace rialto {
namespace {

Json samples_of(const data::Dataset& dataset, const Json& request) {
  Json out = Json::array();
  for (const int64_t number : request.at("samples").get<std::vector<int64_t>>()) {
    const data::Sample sample = dataset.get(number);
    out.push_back({{"tokens", sample.tokens},
                   {"labels", sample.labels},
                   {"loss_weights", sample.loss_weights},
                   {"positions", sample.positions},
                   {"documents", sample.documents}});
  }
  return out;
}

Json indices(const Json& request) {
  data::GptDatasetOptions options;
  options.prefix = request.at("prefix").get<std::string>();
  options.seq_length = request.at("seq_length");
  options.num_samples = request.at("num_samples");
  options.seed = request.at("seed");
  options.first_document = request.at("first");
  options.last_document = request.at("last");
  if (request.contains("eod")) options.eod_token = request.at("eod").get<int32_t>();
  options.eod_mask_loss = request.value("eod_mask_loss", false);
  options.reset_position_ids = request.value("reset_positions", false);
  options.reset_attention_mask = request.value("reset_mask", false);
  const data::GptDataset dataset(options);
  Json answer;
  answer["document"] = dataset.document_index();
  answer["sample"] = dataset.sample_index();
  answer["shuffle"] = dataset.shuffle_index();
  answer["samples"] = samples_of(dataset, request);
  return answer;
}

Json open(const Json& request) {
  const config::RunConfig config = config::read_run_config("", request.at("set").get<std::vector<std::string>>());
  data::DatasetOpener opener(
      config.dataset,
      {.seq_length = request.at("seq_length"), .eod_token = request.at("eod").get<int32_t>(), .ops = &real_file_ops()});
  const auto dataset = opener.open(static_cast<data::Part>(request.at("part").get<int>()), request.at("num_samples"));
  Json answer{{"size", dataset->size()}, {"samples", samples_of(*dataset, request)}};
  if (const auto* blend = dynamic_cast<const data::BlendedDataset*>(dataset.get())) {
    answer["source_index"] = blend->source_index();
    answer["sample_index"] = blend->sample_index();
  }
  return answer;
}

Json blending(const Json& request) {
  const auto index = request.contains("sizes")
                         ? data::blend_everything(request.at("sizes").get<std::vector<int64_t>>())
                         : data::blend_by_weight(data::normalized(request.at("weights")), request.at("size"));
  return {index.sources, index.samples};
}

const hub::Tokenizer& tokenizer(const Json& request) {
  static std::map<std::string, std::unique_ptr<hub::Tokenizer>> loaded;
  const std::string path = request.at("path");
  auto& entry = loaded[path];
  if (!entry) entry = std::make_unique<hub::Tokenizer>(path);
  return *entry;
}

Json stream(const Json& request) {
  hub::StreamDecoder decoder(tokenizer(request), request.at("skip").get<bool>());
  Json pieces = Json::array();
  for (const int32_t id : request.at("ids").get<std::vector<int32_t>>()) pieces.push_back(decoder.push(id));
  pieces.push_back(decoder.finish());
  return pieces;
}

Json answer(const Json& request) {
  const std::string what = request.at("do");
  if (what == "indices") return indices(request);
  if (what == "open") return open(request);
  if (what == "blending") return blending(request);
  if (what == "normalized") return data::normalized(request.at("weights"));
  if (what == "split") return data::split_sequences(request.at("split"), request.at("documents"));
  if (what == "encode")
    return tokenizer(request).encode(request.at("text").get<std::string>(), request.at("special").get<bool>());
  if (what == "decode")
    return tokenizer(request).decode(request.at("ids").get<std::vector<int32_t>>(), request.at("skip").get<bool>());
  if (what == "stream") return stream(request);
  if (what == "fast") return tokenizer(request).is_fast();
  if (what == "vocab") return tokenizer(request).vocab_size();
  if (what == "entropy") return data::unigram_entropy(request.at("prefix").get<std::string>()).nats_per_token;
  throw Error(ErrorKind::kUsage, "data_tool", "does not know " + what);
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
