// Two checkpoints of any kind, compared in Hugging Face names, block by block.
#include <array>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/bridge/names.h"
#include "rialto/convert/compare.h"
#include "rialto/convert/convert.h"
#include "rialto/convert/dtypes.h"
#include "rialto/convert/opened.h"
#include "rialto/source/hf_weights.h"

namespace rialto::convert {
namespace {

constexpr int64_t kBlockElements = 2 << 20;

/// A tensor of one side, whatever it is stored in.
struct SideTensor {
  DType dtype = DType::kF32;
  Shape shape;
  /// Returns how many values the type cannot hold as they are stored.
  std::function<uint64_t(int64_t begin, int64_t end, std::span<std::byte> out)> read;
};

struct Side {
  std::string kind;
  Json config;
  bool config_is_original = true;
  std::optional<spec::ModelSpec> model;
  const families::Family* family = nullptr;
  std::map<std::string, SideTensor> tensors;
  // what the readers above read from
  std::unique_ptr<hub::HfDirectory> directory;
  std::unique_ptr<OpenedNative> native;
  std::unique_ptr<bridge::Executor> executor;
};

/// Tensors as they are stored; coded ones as numbers where `decode`, since the other side has them so.
void add_hf_tensors(Side& side, bool decode) {
  const std::vector<bridge::SourceTensor> stored = source::stored_tensors(*side.directory);
  const bridge::ByteReader raw = source::stored_reader(*side.directory);
  const DType type = side.model ? source::decoded_type(*side.model) : DType::kBF16;
  const bridge::DecodedSource decoded = decode ? bridge::find_coded(stored, type) : bridge::DecodedSource{};
  const bridge::ByteReader read = decode ? bridge::decoding_reader(decoded, raw, type) : raw;
  const std::vector<bridge::SourceTensor>& tensors = decode ? decoded.tensors : stored;
  for (uint32_t i = 0; i < tensors.size(); ++i)
    side.tensors[tensors[i].name] = {
        tensors[i].dtype, tensors[i].shape,
        [read, i, width = size_of(tensors[i].dtype)](int64_t begin, int64_t, std::span<std::byte> out) {
          read(i, static_cast<uint64_t>(begin) * width, out);
          return uint64_t{0};
        }};
}

Side open_hf_side(const fs::path& path, bool decode) {
  Side side;
  side.kind = "hf";
  side.directory = std::make_unique<hub::HfDirectory>(path);
  side.config = side.directory->config();
  try {
    const resolve::Resolved resolved = resolve::model_from_hf(side.config, (path / "config.json").string());
    side.model = resolved.model;
    side.family = resolved.family;
  } catch (const Error&) {
    // Two folders of an unknown family can still be compared tensor by tensor.
  }
  add_hf_tensors(side, decode);
  return side;
}

/// Two native checkpoints are compared as they are stored: the type that a Hugging Face file had may hold less.
Side open_native_side(const fs::path& path, bool other_is_native, VerifyReport& report) {
  Side side;
  side.kind = "megatron";
  side.native = std::make_unique<OpenedNative>(open_native(path, {}, {}));
  OpenedNative& native = *side.native;
  // Every byte, not only the tensors': a checkpoint that is called equal is also whole.
  if (native.checkpoint->has_manifest())
    store::CheckpointReader(native.found.iter_dir, store::CheckpointReader::Verify::kHashes);
  report.notices.insert(report.notices.end(), native.notices.begin(), native.notices.end());
  side.config = native.hf.config;
  side.config_is_original = native.hf.config_bytes.has_value();
  side.model = native.resolved.model;
  side.family = native.resolved.family;
  if (other_is_native) follow_native(native.map);
  side.executor = std::make_unique<bridge::Executor>(native.map, bridge::Direction::kToHf, native.reader());
  for (uint32_t i = 0; i < native.map.hf.size(); ++i)
    side.tensors[native.map.hf[i].name] = {
        native.map.hf[i].dtype, native.map.hf[i].shape,
        [executor = side.executor.get(), i](int64_t begin, int64_t end, std::span<std::byte> out) {
          return executor->produce_range(i, begin, end, out);
        }};
  if (!native.hf.layout || !native.hf.pass_through) return side;
  for (const hub::LayoutShard& shard : native.hf.layout->shards)
    for (const hub::LayoutTensor& tensor : shard.tensors) {
      if (side.tensors.contains(tensor.name)) continue;
      side.tensors[tensor.name] = {
          tensor.dtype, tensor.shape, [&native, tensor](int64_t begin, int64_t, std::span<std::byte> out) {
            native.hf.pass_through(tensor.name, static_cast<uint64_t>(begin) * size_of(tensor.dtype), out);
            return uint64_t{0};
          }};
    }
  return side;
}

Side open_side(const fs::path& path, bool other_is_native, VerifyReport& report) {
  if (!fs::exists(path)) throw Error(ErrorKind::kInput, path.string(), "there is nothing here");
  if (store::is_native_checkpoint(path)) return open_native_side(path, other_is_native, report);
  if (hub::is_hf_directory(path)) return open_hf_side(path, other_is_native);
  throw Error(ErrorKind::kInput, path.string(), "neither a Hugging Face model nor a Megatron checkpoint");
}

class Verifier {
 public:
  Verifier(const Side& a, const Side& b, Tolerance tolerance, VerifyReport& report, Progress& progress)
      : a_(a), b_(b), tolerance_(tolerance), report_(report), progress_(progress) {}

  void run() {
    uint64_t total = 0;
    for (const auto& [name, tensor] : a_.tensors) total += bytes_of(tensor);
    progress_.begin("verify", total, "bytes");
    for (const auto& [name, tensor] : a_.tensors) {
      const auto other = b_.tensors.find(name);
      if (other == b_.tensors.end())
        only_in_one(name, tensor, a_, b_, "missing");
      else
        compare(name, tensor, other->second);
      done_ += bytes_of(tensor);
      progress_.update(done_);
    }
    for (const auto& [name, tensor] : b_.tensors)
      if (!a_.tensors.contains(name)) only_in_one(name, tensor, b_, a_, "extra");
    progress_.end();
    compare_configs();
  }

 private:
  static uint64_t bytes_of(const SideTensor& tensor) {
    return static_cast<uint64_t>(num_elements(tensor.shape)) * size_of(tensor.dtype);
  }

  void differs(const std::string& name, const char* kind, std::string detail) {
    report_.differences.push_back({name, kind, std::move(detail)});
  }

  /// Shapes equal already.
  Comparison compare_values(const SideTensor& a, const SideTensor& b) {
    Comparison comparison(a.dtype, b.dtype, tolerance_);
    rounded_ = 0;
    const int64_t count = num_elements(a.shape);
    for (int64_t begin = 0; begin < count; begin += kBlockElements) {
      const int64_t end = std::min(count, begin + kBlockElements);
      buffer_a_.resize(static_cast<size_t>(end - begin) * size_of(a.dtype));
      buffer_b_.resize(static_cast<size_t>(end - begin) * size_of(b.dtype));
      std::array<uint64_t, 2> rounded = {};
      parallel_for(2, 2, [&](size_t which) {
        rounded[which] = which == 0 ? a.read(begin, end, buffer_a_) : b.read(begin, end, buffer_b_);
      });
      rounded_ += rounded[0] + rounded[1];
      comparison.add(buffer_a_, buffer_b_);
      check_cancelled(progress_, "verify");
      progress_.update(done_ + static_cast<uint64_t>(end) * size_of(a.dtype));
    }
    return comparison;
  }

  void compare(const std::string& name, const SideTensor& a, const SideTensor& b) {
    ++report_.compared;
    if (a.shape != b.shape)
      return differs(name, "shape", fmt::format("{} and {}", rialto::to_text(a.shape), rialto::to_text(b.shape)));
    if (a.dtype != b.dtype && (tolerance_.exact() || !is_floating(a.dtype) || !is_floating(b.dtype)))
      return differs(name, "dtype", fmt::format("{} and {}", torch_name(a.dtype), torch_name(b.dtype)));
    const Comparison comparison = compare_values(a, b);
    if (!comparison.equal())
      differs(name, "differs", comparison.text(a.shape));
    else if (rounded_ > 0 && tolerance_.exact())
      differs(name, "differs", fmt::format("{} values are stored wider than {} holds", rounded_, torch_name(a.dtype)));
    else
      ++report_.equal;
  }

  /// A tied head may be carried or not; tensors that are recomputed from the config may be kept or not.
  void only_in_one(const std::string& name, const SideTensor& tensor, const Side& has, const Side& lacks,
                   const char* kind) {
    if (has.family && has.model) {
      for (const bridge::IgnoredRow& row : has.family->ignored)
        if (bridge::match_pattern(row.hf, name)) {
          report_.notices.push_back(fmt::format("'{}' is on one side only: {}", name, row.reason));
          return;
        }
      const bridge::Map map = bridge::make_map(*has.model, has.family->params);
      for (const bridge::OptionalCopy& copy : map.optional) {
        if (copy.hf != name) continue;
        for (const bridge::Piece& piece : map.pieces) {
          if (piece.relation != bridge::Relation::kCopy || piece.native.tensor != copy.native) continue;
          const std::string& original = map.hf[piece.hf.tensor].name;
          const auto other = lacks.tensors.find(original);
          if (other == lacks.tensors.end() || other->second.shape != tensor.shape) continue;
          if (!compare_values(tensor, other->second).equal())
            return differs(name, "differs", fmt::format("from '{}', which it is tied to", original));
          report_.notices.push_back(
              fmt::format("'{}' is on one side only; it equals '{}', which it is tied to", name, original));
          return;
        }
      }
    }
    differs(name, kind,
            fmt::format("only in the {} ({} {})", &has == &a_ ? "first" : "second", torch_name(tensor.dtype),
                        rialto::to_text(tensor.shape)));
  }

  void compare_configs() {
    Json a = a_.config, b = b_.config;
    if (!(a_.config_is_original && b_.config_is_original)) {
      if (!a_.model || !b_.model) return;
      a = resolve::hf_from_model(*a_.model);
      b = resolve::hf_from_model(*b_.model);
    }
    for (Json* config : {&a, &b}) {  // one name for the dtype; who saved it says nothing about the model
      if (config->contains("torch_dtype") && !config->contains("dtype")) (*config)["dtype"] = (*config)["torch_dtype"];
      for (const char* key : {"torch_dtype", "transformers_version", "_name_or_path"}) config->erase(key);
    }
    for (const auto& [key, value] : a.items()) {
      if (!b.contains(key))
        differs(key, "config", fmt::format("only in the first: {}", value.dump()));
      else if (b[key] != value)
        differs(key, "config", fmt::format("{} and {}", value.dump(), b[key].dump()));
    }
    for (const auto& [key, value] : b.items())
      if (!a.contains(key)) differs(key, "config", fmt::format("only in the second: {}", value.dump()));
  }

  const Side& a_;
  const Side& b_;
  const Tolerance tolerance_;
  VerifyReport& report_;
  Progress& progress_;
  std::vector<std::byte> buffer_a_, buffer_b_;
  uint64_t done_ = 0;
  uint64_t rounded_ = 0;  ///< of the last comparison
};

}  // namespace

VerifyReport verify(const VerifyOptions& options, Progress* maybe_progress) {
  Progress& progress = maybe_progress ? *maybe_progress : silent();
  VerifyReport report;
  const Side a = open_side(options.a, store::is_native_checkpoint(options.b), report);
  const Side b = open_side(options.b, store::is_native_checkpoint(options.a), report);
  report.kind_a = a.kind;
  report.kind_b = b.kind;
  for (const Side* side : {&b, &a})
    if (side->family) report.family = side->family->name;
  Verifier(a, b, {options.max_ulp, options.rtol}, report, progress).run();
  return report;
}

Json to_json(const VerifyReport& report) {
  Json differences = Json::array();
  for (const Difference& difference : report.differences)
    differences.push_back({{"tensor", difference.tensor}, {"kind", difference.kind}, {"detail", difference.detail}});
  return {{"equal", report.differences.empty()},
          {"kind_a", report.kind_a},
          {"kind_b", report.kind_b},
          {"family", report.family},
          {"compared", report.compared},
          {"equal_tensors", report.equal},
          {"differences", differences},
          {"notices", report.notices}};
}

std::string to_text(const VerifyReport& report) {
  std::string text;
  for (const Difference& difference : report.differences)
    text += fmt::format("{}: {} {}\n", difference.kind, difference.tensor, difference.detail);
  if (report.differences.empty())
    return fmt::format("equal: {} tensors ({} and {}{})\n", report.equal, report.kind_a, report.kind_b,
                       report.family.empty() ? "" : ", " + report.family);
  return text + fmt::format("{} differences; {} of {} tensors are equal\n", report.differences.size(), report.equal,
                            report.compared);
}

}  // namespace rialto::convert
