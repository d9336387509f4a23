// Token ids in, fp32 logits out, for other programs to compare.
#include "rialto/train/logits.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/formats/safetensors.h"

namespace rialto::train {

std::vector<std::vector<int64_t>> read_token_rows(const fs::path& path, int64_t vocab) {
  const Json json = read_json_file(path);
  const std::string where = path.string();
  if (!json.is_array() || json.empty()) {
    throw Error(ErrorKind::kInput, where, "no rows of token ids",
                {.got = {}, .want = "a list of lists of ids", .hint = {}});
  }
  std::vector<std::vector<int64_t>> rows;
  for (const Json& row : json) {
    if (!row.is_array() || row.empty()) {
      throw Error(ErrorKind::kInput, where, fmt::format("row {} is not a list of ids", rows.size()),
                  {.got = {}, .want = "a list of lists of ids", .hint = {}});
    }
    rows.emplace_back();
    for (const Json& id : row) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab) {
        throw Error(ErrorKind::kInput, where,
                    fmt::format("row {} holds something that is not a token of this model", rows.size() - 1),
                    {.got = id.dump(), .want = fmt::format("0 to {}", vocab - 1), .hint = {}});
      }
      rows.back().push_back(id.get<int64_t>());
    }
    if (rows.back().size() != rows.front().size()) {
      throw Error(ErrorKind::kInput, where, fmt::format("row {} has another length than row 0", rows.size() - 1),
                  {.got = std::to_string(rows.back().size()),
                   .want = std::to_string(rows.front().size()),
                   .hint = "one tensor holds the result: run rows of each length by themselves"});
    }
  }
  return rows;
}

void write_logits(const generate::LoadedModel& model, const std::vector<std::vector<int64_t>>& rows, FileOps& ops,
                  const fs::path& out, Progress* progress) {
  Progress& shown = progress ? *progress : silent();
  const auto batch = static_cast<int64_t>(rows.size());
  const auto length = static_cast<int64_t>(rows.front().size());
  std::vector<formats::SafetensorsEntry> entries(1);
  entries[0].name = "logits";
  entries[0].dtype = DType::kF32;
  entries[0].shape = {batch, length, model.spec.vocab};
  const at::NoGradGuard no_grad;
  shown.begin("logits", rows.size(), "rows");
  const auto fill = [&](size_t, const formats::ByteSink& sink) {
    uint64_t done = 0;
    for (const auto& row : rows) {
      check_cancelled(shown, "logits");
      at::Tensor tokens = at::empty({1, length}, at::kLong);
      std::copy(row.begin(), row.end(), tokens.data_ptr<int64_t>());
      checkpoint::push_bytes(model.model->forward_logits(tokens.to(model.weights->context().device)).contiguous(),
                             sink);
      shown.update(++done);
    }
  };
  replace_file(ops, out,
               [&](const fs::path& temporary) { formats::write_safetensors(ops, temporary, entries, {}, fill); });
  shown.end();
}

}  // namespace rialto::train
