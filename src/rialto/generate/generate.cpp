// Decoding with a KV cache: the prompt in one pass, then token by token.
#include "rialto/generate/generate.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/generate/sampler.h"

namespace rialto::generate {
namespace {

at::Tensor row_of(const std::vector<int64_t>& tokens, size_t begin, size_t end) {
  at::Tensor row = at::empty({1, static_cast<int64_t>(end - begin)}, at::kLong);
  std::copy(tokens.begin() + static_cast<ptrdiff_t>(begin), tokens.begin() + static_cast<ptrdiff_t>(end),
            row.data_ptr<int64_t>());
  return row;
}

}  // namespace

std::vector<int64_t> generate(const model::Model& model, std::vector<int64_t> prompt, const Sampling& sampling,
                              const std::function<bool(int64_t)>& on_token, at::Device device) {
  if (prompt.empty()) {
    throw Error(ErrorKind::kUsage, "prompt", "no tokens to continue",
                {.got = {}, .want = {}, .hint = "this tokenizer adds none by itself; give some text"});
  }
  const at::NoGradGuard no_grad;
  model::Cache cache = model.make_cache();
  std::vector<int64_t> tokens = std::move(prompt);
  const size_t prompt_size = tokens.size();
  // Long prompts go in pieces, so that logits of one piece only are ever held.
  constexpr size_t kPiece = 1024;
  size_t fed = 0;
  for (uint64_t step = 0; step < static_cast<uint64_t>(std::max<int64_t>(0, sampling.max_new_tokens)); ++step) {
    at::Tensor logits_BSV;
    if (!model::extend_text(cache, static_cast<int64_t>(tokens.size()))) fed = 0;
    while (fed < tokens.size()) {
      const size_t end = std::min(tokens.size(), fed + kPiece);
      logits_BSV = model.forward_logits(row_of(tokens, fed, end).to(device), &cache);
      fed = end;
    }
    at::Tensor last =
        logits_BSV.select(1, logits_BSV.size(1) - 1).reshape({-1}).to(at::kCPU, at::kFloat).contiguous().clone();
    const int64_t token =
        pick_token({last.data_ptr<float>(), static_cast<size_t>(last.numel())}, tokens, sampling, step);
    tokens.push_back(token);
    const bool go_on = !on_token || on_token(token);
    const bool stop = std::find(sampling.stop_ids.begin(), sampling.stop_ids.end(), token) != sampling.stop_ids.end();
    if (!go_on || stop) break;
  }
  return {tokens.begin() + static_cast<ptrdiff_t>(prompt_size), tokens.end()};
}

}  // namespace rialto::generate
