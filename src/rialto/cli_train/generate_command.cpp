// rialto-train generate MODEL: text or token ids in, text as it comes out.
#include <csignal>
#include <cstdio>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli_train/command.h"
#include "rialto/generate/loaded_model.h"
#include "rialto/hub/local_model.h"
#include "rialto/train/setup.h"

namespace rialto::cli_train {
namespace {

struct Options {
  Common common;
  std::string model, dtype;
  std::optional<std::string> prompt, prompt_tokens;
  std::optional<int64_t> max_new_tokens, top_k;
  std::optional<double> temperature, top_p;
  uint64_t seed = 1234;
  bool greedy = false;
};

void check(const Options& options) {
  if (options.prompt.has_value() == options.prompt_tokens.has_value()) {
    throw Error(ErrorKind::kUsage, "generate", "give either --prompt or --prompt-tokens");
  }
  if (options.greedy && (options.temperature || options.top_p || options.top_k)) {
    throw Error(ErrorKind::kUsage, "--greedy", "greedy decoding takes no --temperature, --top-p or --top-k");
  }
  const auto refuse = [](const char* name, const std::string& got, const char* want) {
    throw Error(ErrorKind::kUsage, name, "out of range", {.got = got, .want = want, .hint = {}});
  };
  if (options.temperature && !(*options.temperature > 0))
    refuse("--temperature", fmt::format("{}", *options.temperature), "above 0 (or --greedy)");
  if (options.top_p && !(*options.top_p > 0 && *options.top_p <= 1))
    refuse("--top-p", fmt::format("{}", *options.top_p), "above 0, at most 1");
  if (options.top_k && *options.top_k < 0) refuse("--top-k", std::to_string(*options.top_k), "0 (all) or more");
  if (options.max_new_tokens && *options.max_new_tokens < 1)
    refuse("--max-new-tokens", std::to_string(*options.max_new_tokens), "1 or more");
}

generate::Sampling sampling_of(const Options& options, const generate::LoadedModel& model) {
  generate::Sampling sampling = generate::default_sampling(model);
  sampling.seed = options.seed;
  if (options.max_new_tokens) sampling.max_new_tokens = *options.max_new_tokens;
  if (options.greedy) sampling.greedy = true;
  if (options.temperature || options.top_p || options.top_k) {
    if (sampling.greedy) sampling.temperature = 1.0, sampling.top_p = 1.0, sampling.top_k = 0;
    sampling.greedy = false;
    if (options.temperature) sampling.temperature = *options.temperature;
    if (options.top_p) sampling.top_p = *options.top_p;
    if (options.top_k) sampling.top_k = *options.top_k;
  }
  return sampling;
}

/// "[1, 2, 3]" or "1,2,3".
std::vector<int64_t> parse_tokens(std::string text, int64_t vocab) {
  if (text.find('[') == std::string::npos) text = "[" + text + "]";
  const Json json = parse_json(text, "--prompt-tokens");
  std::vector<int64_t> tokens;
  for (const Json& id : json) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab) {
      throw Error(ErrorKind::kUsage, "--prompt-tokens", "not a token of this model",
                  {.got = id.dump(), .want = fmt::format("0 to {}", vocab - 1), .hint = {}});
    }
    tokens.push_back(id.get<int64_t>());
  }
  return tokens;
}

void write_text(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int run(const Options& options) {
  check(options);
  apply(options.common);
  const at::Device device = train::parse_device(options.common.device);
  const auto progress = terminal_progress();
  const generate::LoadedModel model =
      generate::open_model(hub::local_model(options.model, "", file_ops(), progress.get()), parse_dtype(options.dtype),
                           device, false, progress.get());
  const std::optional<hub::Tokenizer> tokenizer = generate::open_tokenizer(model);
  std::vector<int64_t> prompt;
  if (options.prompt) {
    if (!tokenizer) {
      throw Error(ErrorKind::kInput, options.model, "no tokenizer beside the model",
                  {.got = {}, .want = "tokenizer.json", .hint = "give token ids with --prompt-tokens"});
    }
    for (const int32_t id : tokenizer->encode(*options.prompt, true)) {
      if (id >= model.spec.vocab) {
        throw Error(ErrorKind::kInput, options.model, "the tokenizer gives a token that the model does not have",
                    {.got = std::to_string(id), .want = {}, .hint = {}});
      }
      prompt.push_back(id);
    }
  } else {
    prompt = parse_tokens(*options.prompt_tokens, model.spec.vocab);
  }
  const generate::Sampling sampling = sampling_of(options, model);

  std::optional<hub::StreamDecoder> decoder;
  if (tokenizer) decoder.emplace(*tokenizer);
  std::string text;
  bool first = true;
  const auto emit = [&](const std::string& piece) {
    text += piece;
    if (!options.common.json) write_text(piece);
  };
  install_stop_handlers(SIGTERM);
  const std::vector<int64_t> tokens = generate::generate(
      *model.model, prompt, sampling,
      [&](int64_t id) {
        emit(decoder ? decoder->push(static_cast<int32_t>(id)) : (first ? "" : " ") + std::to_string(id));
        first = false;
        return !stop_requested();
      },
      device);
  if (decoder) emit(decoder->finish());
  const bool stopped = !tokens.empty() && std::find(sampling.stop_ids.begin(), sampling.stop_ids.end(),
                                                    tokens.back()) != sampling.stop_ids.end();
  if (options.common.json) {
    Json report = {{"prompt_tokens", prompt},
                   {"tokens", tokens},
                   {"text", nullptr},
                   {"finish_reason", stopped ? "stop" : "length"}};
    if (tokenizer) report["text"] = text;
    write_text(report.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  } else {
    write_text("\n");
  }
  return 0;
}

}  // namespace

Run add_generate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "Continue a text");
  command->add_option("model", options->model, "Hugging Face folder, hub id ORG/NAME[@REVISION] or native checkpoint")
      ->required();
  command->add_option("--prompt", options->prompt, "text to continue");
  command->add_option("--prompt-tokens", options->prompt_tokens, "token ids to continue: 1,2,3");
  command->add_option("--max-new-tokens", options->max_new_tokens,
                      "most tokens to add (default: generation_config.json, else 128)");
  command->add_option("--temperature", options->temperature, "sample, logits divided by this");
  command->add_option("--top-p", options->top_p, "sample from the likeliest tokens that reach this probability");
  command->add_option("--top-k", options->top_k, "sample from this many likeliest tokens; 0: all");
  command->add_option("--seed", options->seed, "of sampling")->capture_default_str();
  command->add_flag("--greedy", options->greedy, "always the likeliest token, whatever generation_config.json says");
  command->add_option("--dtype", options->dtype, "fp32 or bf16 (default: as stored)");
  add_common(*command, options->common);
  command->footer(
      "Without sampling options, generation_config.json decides (do_sample, temperature, top_p, top_k, "
      "repetition_penalty).");
  return [options] { return run(*options); };
}

}  // namespace rialto::cli_train
