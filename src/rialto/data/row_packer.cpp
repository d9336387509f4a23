// Spools rows, packs their lengths, writes bin by bin.
#include "rialto/data/row_packer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <system_error>

#include "rialto/base/error.h"
#include "rialto/base/mapped_file.h"
#include "rialto/data/packed_file.h"

namespace rialto::data {
namespace {

constexpr size_t kSpoolBuffer = 4u << 20;
constexpr size_t kTokenBytes = sizeof(int32_t) + 1;  ///< an id and its mask

fs::path spool_beside(const fs::path& path) {
  return path.parent_path() / ("." + path.filename().string() + ".rows.tmp");
}

void refuse_existing(const fs::path& path, bool overwrite) {
  if (!overwrite && fs::exists(path))
    throw Error(ErrorKind::kConfig, path.string(), "already exists",
                {.hint = "choose another name or add --overwrite"});
}

void write_packed(const fs::path& path, FileOps& ops, const std::function<void(PackedFileWriter&)>& body) {
  replace_file(ops, path, [&](const fs::path& temporary) {
    const auto file = ops.create(temporary);
    PackedFileWriter writer(*file);
    body(writer);
    writer.finish();
    file->sync();
    file->close();
  });
}

double two_digits(double value) { return std::round(value * 100) / 100; }

/// As Bridge's create_packing_strategy computes it.
Json metadata_of(std::span<const int32_t> rooms, const Bins& bins, int64_t size) {
  int64_t most_rows = 0, least = size;
  for (size_t bin = 0; bin < bins.count(); ++bin) {
    int64_t used = 0;
    for (const uint32_t row : bins[bin]) used += rooms[row];
    most_rows = std::max(most_rows, static_cast<int64_t>(bins[bin].size()));
    least = std::min(least, used);
  }
  return {{"dataset_max_seqlen", *std::max_element(rooms.begin(), rooms.end())},
          {"max_samples_per_bin", most_rows},
          {"packing_factor", two_digits(static_cast<double>(rooms.size()) / static_cast<double>(bins.count()))},
          {"packing_efficiency", two_digits(100 * efficiency(rooms, bins, size))},
          {"pack_size", size},
          {"min_packed_seqlen", least}};
}

void append_metadata(const fs::path& path, const Json& entry, FileOps& ops) {
  Json list = fs::exists(path) ? read_json_file(path) : Json::array();
  if (!list.is_array()) throw Error(ErrorKind::kInput, path.string(), "is not a list of packings");
  list.push_back(entry);
  write_file_atomically(ops, path, list.dump());
}

}  // namespace

RowPacker::RowPacker(PackOptions options, FileOps& ops)
    : options_(std::move(options)), ops_(ops), spool_path_(spool_beside(options_.output)) {
  const std::string where = options_.output.string();
  if (options_.multiple < 1 || options_.size < options_.multiple || options_.size > (1 << 30))
    throw Error(ErrorKind::kConfig, where, "a bin must have room for one segment",
                {.got = std::to_string(options_.size), .want = std::to_string(options_.multiple) + " to 2^30"});
  if (options_.pad < 0) throw Error(ErrorKind::kConfig, where, "the padding token is negative");
  refuse_existing(options_.output, options_.overwrite);
  if (options_.output.has_parent_path()) ops_.make_dirs(options_.output.parent_path());
  spool_ = ops_.create(spool_path_);
}

RowPacker::~RowPacker() {
  spool_.reset();
  std::error_code ignored;
  fs::remove(spool_path_, ignored);
}

void RowPacker::add(TokenRow row, const std::string& where) {
  const auto tokens = static_cast<int64_t>(row.ids.size());
  if (row.mask.size() != row.ids.size())
    throw Error(ErrorKind::kInput, where, "loss_mask has another length than input_ids",
                {.got = std::to_string(row.mask.size()), .want = std::to_string(tokens)});
  if (tokens < 2) throw Error(ErrorKind::kInput, where, "has no token and its label", {.got = std::to_string(tokens)});
  if (std::any_of(row.ids.begin(), row.ids.end(), [](int32_t id) { return id < 0; }))
    throw Error(ErrorKind::kInput, where, "has a negative token id");
  if (std::any_of(row.mask.begin(), row.mask.end(), [](uint8_t bit) { return bit > 1; }))
    throw Error(ErrorKind::kInput, where, "has a mask other than 0 and 1");
  if (const int64_t room = room_of(tokens, options_.multiple); room > options_.size) {
    if (options_.long_rows == LongRows::kRefuse)
      throw Error(ErrorKind::kInput, where, "is longer than a bin",
                  {.got = std::to_string(room),
                   .want = "at most " + std::to_string(options_.size),
                   .hint = "--long-rows cut or drop"});
    if (options_.long_rows == LongRows::kDrop) {
      ++dropped_;
      return;
    }
    const auto kept = static_cast<size_t>(options_.size / options_.multiple * options_.multiple + 1);
    row.ids.resize(kept);
    row.mask.resize(kept);
    ++cut_;
  }
  buffer_.append(reinterpret_cast<const char*>(row.ids.data()), row.ids.size() * sizeof(int32_t));
  buffer_.append(reinterpret_cast<const char*>(row.mask.data()), row.mask.size());
  ends_.push_back((ends_.empty() ? 0 : ends_.back()) + row.ids.size());
  rooms_.push_back(static_cast<int32_t>(room_of(static_cast<int64_t>(row.ids.size()), options_.multiple)));
  if (buffer_.size() < kSpoolBuffer) return;
  spool_->write(std::as_bytes(std::span(buffer_)));
  buffer_.clear();
}

TokenRow RowPacker::read(std::span<const std::byte> spool, size_t row) const {
  const uint64_t begin = row == 0 ? 0 : ends_[row - 1];
  const size_t tokens = ends_[row] - begin;
  TokenRow out{std::vector<int32_t>(tokens), std::vector<uint8_t>(tokens)};
  const std::byte* at = spool.data() + begin * kTokenBytes;
  std::memcpy(out.ids.data(), at, tokens * sizeof(int32_t));
  std::memcpy(out.mask.data(), at + tokens * sizeof(int32_t), tokens);
  return out;
}

Json RowPacker::finish(Progress& told) {
  if (rooms_.empty()) throw Error(ErrorKind::kInput, "data pack", "no rows in the inputs");
  spool_->write(std::as_bytes(std::span(buffer_)));
  buffer_ = {};
  spool_->close();
  const Bins bins = pack(rooms_, options_.size, options_.algorithm, options_.seed);
  const Json metadata = metadata_of(rooms_, bins, options_.size);
  {
    const MappedFile spool(spool_path_);
    told.begin("pack", bins.count(), "bins");
    write_packed(options_.output, ops_, [&](PackedFileWriter& writer) {
      for (size_t bin = 0; bin < bins.count(); ++bin) {
        check_cancelled(told, "data pack");
        PackedRow packed;
        for (const uint32_t row : bins[bin]) append(packed, read(spool.bytes(), row), options_.multiple, options_.pad);
        writer.add(packed);
        told.update(bin + 1);
      }
    });
    told.end();
  }
  ops_.remove_all(spool_path_);
  if (!options_.metadata.empty()) append_metadata(options_.metadata, metadata, ops_);
  int64_t tokens = 0;
  for (const int32_t room : rooms_) tokens += room;
  return {{"output", options_.output.string()},
          {"rows", rooms_.size()},
          {"bins", bins.count()},
          {"tokens", tokens},
          {"cut", cut_},
          {"dropped", dropped_},
          {"metadata", metadata}};
}

Json copy_packed(const std::vector<fs::path>& inputs, const fs::path& output, bool overwrite, FileOps& ops,
                 Progress& told) {
  refuse_existing(output, overwrite);
  if (output.has_parent_path()) ops.make_dirs(output.parent_path());
  uint64_t bins = 0, segments = 0, tokens = 0;
  write_packed(output, ops, [&](PackedFileWriter& writer) {
    for (const fs::path& input : inputs) {
      read_packed_file(input, [&](const PackedRow& row) {
        check_cancelled(told, "data pack");
        writer.add(row);
        ++bins;
        segments += row.seq_start_id.size();
        tokens += row.input_ids.size() - row.seq_start_id.size();
      });
    }
  });
  return {{"output", output.string()}, {"bins", bins}, {"segments", segments}, {"tokens", tokens}};
}

}  // namespace rialto::data
