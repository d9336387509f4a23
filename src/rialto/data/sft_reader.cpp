// Batches of lines, encoded in parallel, given out in order.
#include "rialto/data/sft_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/data/bad_rows.h"
#include "rialto/data/row_lines.h"
#include "rialto/formats/utf8.h"

namespace rialto::data {
namespace {

constexpr size_t kBatchBytesPerThread = 1u << 20, kBatchRows = 4096, kQuarantinedBytes = 1u << 20;

struct Slot {
  std::string where, line;
  SftItem item;
  std::optional<Error> error;
};

/// Counts the tokens of a side, and cuts it or marks the row when they are too many.
void fit(SftSample& sample, SftItem& item, const SftFiles& files, const std::string& where) {
  item.tokens_before_cut = std::max(item.tokens_before_cut, static_cast<int64_t>(sample.ids.size()));
  const auto room = static_cast<size_t>(files.max_tokens);
  if (room == 0 || sample.ids.size() <= room) return;
  if (files.truncation == Truncation::kDrop) {
    item.left_out = true;
    return;
  }
  if (files.truncation == Truncation::kRefuse)
    throw Error(ErrorKind::kInput, where, "has more tokens than there is room for",
                {.got = std::to_string(sample.ids.size()),
                 .want = fmt::format("at most {}", room),
                 .hint = "cut such rows, drop them, or train with a longer sequence"});
  item.cut = true;
  sample.ids.resize(room);
  sample.weights.resize(room);
  if (std::none_of(sample.weights.begin() + 1, sample.weights.end(), [](float weight) { return weight > 0; }))
    throw Error(ErrorKind::kInput, where, fmt::format("nothing is trained in its first {} tokens", room));
}

void encode(Slot& slot, const SftFiles& files, const SftEncoder& encoder) {
  const std::string& where = slot.where;
  SftItem& item = slot.item;
  try {
    if (!formats::is_utf8(slot.line)) throw Error(ErrorKind::kInput, where, "is not UTF-8");
    ParsedRow parsed = parse_sft_row(parse_json(slot.line, where), where);
    if (parsed.rejected && !files.pairs)
      throw Error(
          ErrorKind::kInput, where, "is a preference pair",
          {.got = "chosen and rejected", .want = "one conversation", .hint = "write the chosen one as messages"});
    item.sample = encoder.encode(parsed.row, where, files.details ? &item.detail : nullptr);
    fit(item.sample, item, files, where);
    item.row = std::move(parsed.row);
    if (!parsed.rejected) return;
    item.rejected = encoder.encode(*parsed.rejected, where, files.details ? &item.rejected_detail : nullptr);
    fit(*item.rejected, item, files, where);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    slot.error = error;
  }
}

class Batches {
 public:
  Batches(const SftFiles& files, const SftEncoder& encoder, const std::function<void(const SftItem&)>& take,
          const BadSftRow& bad, Progress& told)
      : files_(files),
        encoder_(encoder),
        take_(take),
        bad_(bad),
        told_(told),
        threads_(files.threads > 0 ? files.threads : available_threads()) {}

  /// False when no more lines are wanted.
  bool add(const RowLines& lines, std::string_view line) {
    if (number_ >= files_.first && number_ - files_.first >= files_.count) return false;
    if (number_++ < files_.first) return true;
    slots_.push_back({lines.where(), std::string(line), {}, {}});
    bytes_ += line.size();
    if (bytes_ >= kBatchBytesPerThread * threads_ || slots_.size() >= kBatchRows) flush();
    return true;
  }

  void flush() {
    parallel_for(slots_.size(), threads_, [&](size_t i) { encode(slots_[i], files_, encoder_); });
    for (Slot& slot : slots_) {
      check_cancelled(told_, "data");
      slot.item.where = slot.where;
      slot.item.line = slot.line;
      if (!slot.error)
        take_(slot.item);
      else if (bad_)
        bad_(*slot.error, slot.where, slot.line);
      else
        throw *slot.error;
    }
    slots_.clear();
    bytes_ = 0;
  }

 private:
  const SftFiles& files_;
  const SftEncoder& encoder_;
  const std::function<void(const SftItem&)>& take_;
  const BadSftRow& bad_;
  Progress& told_;
  size_t threads_, bytes_ = 0;
  int64_t number_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace

void read_sft(const SftFiles& files, const SftEncoder& encoder, const std::function<void(const SftItem&)>& take,
              const BadSftRow& bad, Progress* progress) {
  Progress& told = progress ? *progress : silent();
  uint64_t total = 0, before = 0;
  for (const fs::path& path : files.paths) total += ReadFile(path).size();
  told.begin("rows", total, "bytes");
  Batches batches(files, encoder, take, bad, told);
  bool more = true;
  for (size_t i = 0; more && i < files.paths.size(); ++i) {
    const std::unique_ptr<RowLines> lines = open_row_lines(files.paths[i]);
    for (std::string_view line; more && lines->next(line);) {
      more = batches.add(*lines, line);
      told.update(before + lines->bytes_read());
    }
    before += lines->total_bytes();
  }
  batches.flush();
  told.end();
}

std::string quarantine_line(const Error& error, const std::string& where, std::string_view line) {
  const size_t colon = where.rfind(':');
  return quarantine_line(where.substr(0, colon), std::stoull(where.substr(colon + 1)), "row", error.what(),
                         line.substr(0, kQuarantinedBytes));
}

}  // namespace rialto::data
