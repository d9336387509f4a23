// The folder of finished parts.
#include "rialto/data/token_parts.h"

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

constexpr const char *kPlan = "plan.json", *kLock = "lock";

fs::path folder_of(const fs::path& prefix) { return prefix.string() + ".parts"; }

Json to_json(const PartCounts& counts, const ReadPosition& after) {
  return {{"documents", counts.documents}, {"files", counts.files}, {"text_bytes", counts.text_bytes},
          {"skipped", counts.skipped},     {"bad", counts.bad},     {"after", {after.piece, after.offset, after.rows}}};
}

}  // namespace

PartCounts& PartCounts::operator+=(const PartCounts& other) {
  documents += other.documents;
  files += other.files;
  text_bytes += other.text_bytes;
  for (const auto& [reason, count] : other.skipped) skipped[reason] += count;
  for (const auto& [kind, count] : other.bad) bad[kind] += count;
  return *this;
}

TokenParts::TokenParts(FileOps& ops, const fs::path& prefix, const Json& plan, bool overwrite)
    : ops_(ops), folder_(folder_of(prefix)) {
  ops_.make_dirs(folder_);
  lock_ = std::make_unique<hub::FileLock>(
      folder_ / kLock, [] {},
      [&] {
        throw Error(ErrorKind::kConfig, folder_.string(), "is being written by another process",
                    {.hint = "wait for it, or choose another prefix"});
      });
  const fs::path plan_file = folder_ / kPlan;
  if (!fs::exists(plan_file)) {
    begin(plan);
    return;
  }
  const Json before = read_json_file(plan_file);
  if (before == plan) {
    read_parts();
    return;
  }
  if (!overwrite) {
    std::string changed;
    for (const auto& [key, value] : plan.items())
      if (!before.contains(key) || before.at(key) != value) changed += (changed.empty() ? "" : ", ") + key;
    throw Error(ErrorKind::kConfig, folder_.string(), "holds parts of another run; what differs: " + changed,
                {.hint = "choose another prefix, or begin again with --overwrite"});
  }
  begin(plan);
}

bool TokenParts::exist(const fs::path& prefix) { return fs::exists(folder_of(prefix) / kPlan); }

/// A part without its .json is no part, and is written over.
void TokenParts::begin(const Json& plan) {
  ops_.remove_all(folder_ / kPlan);
  ops_.sync_dir(folder_);
  std::vector<fs::path> old;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
    if (entry.path().filename() != kLock) old.push_back(entry.path());
  for (const fs::path& path : old) ops_.remove_all(path);
  write_file_atomically(ops_, folder_ / kPlan, plan.dump(2) + "\n");
}

void TokenParts::read_parts() {
  for (; fs::exists(file_of(count_, ".json")); ++count_) {
    const fs::path path = file_of(count_, ".json");
    const Json part = read_json_file(path);
    try {
      counts_ += PartCounts{.documents = part.at("documents"),
                            .files = part.at("files"),
                            .text_bytes = part.at("text_bytes"),
                            .skipped = part.at("skipped").get<SkipCounts>(),
                            .bad = part.at("bad").get<SkipCounts>()};
      const Json& after = part.at("after");
      position_ = {.piece = after.at(0), .offset = after.at(1), .rows = after.at(2)};
    } catch (const Json::exception& error) {
      throw Error(ErrorKind::kInput, path.string(), std::string("is damaged: ") + error.what(),
                  {.hint = "begin again with --overwrite, after deleting " + folder_.string()});
    }
  }
}

fs::path TokenParts::file_of(size_t part, const char* ending) const {
  return folder_ / fmt::format("{:06}{}", part, ending);
}
fs::path TokenParts::prefix_of(size_t part) const { return file_of(part, ""); }
fs::path TokenParts::bad_rows_of(size_t part) const { return file_of(part, ".bad"); }

void TokenParts::commit(const PartCounts& counts, const ReadPosition& after) {
  write_file_atomically(ops_, file_of(count_, ".json"), to_json(counts, after).dump() + "\n");
  ++count_;
  counts_ += counts;
  position_ = after;
}

void TokenParts::remove() {
  lock_.reset();
  ops_.remove_all(folder_ / kPlan);  // first: a folder without a plan is nobody's
  ops_.remove_all(folder_);
}

PartWriter::PartWriter(FileOps& ops, TokenParts& parts, int64_t vocab)
    : parts_(parts),
      tokens_(ops, parts.prefix_of(parts.count()), vocab),
      bad_(ops.create(parts.bad_rows_of(parts.count()))) {}

void PartWriter::add_bad(const BadRow& row) {
  ++counts_.bad[std::string(row.fault.kind)];
  const std::string line = quarantine_line(row);
  bad_->write(std::as_bytes(std::span(line)));
}

void PartWriter::finish(const ReadPosition& after) {
  bad_->sync();
  bad_->close();
  counts_.documents = tokens_.num_documents();
  tokens_.finish();
  parts_.commit(counts_, after);
}

}  // namespace rialto::data
