// Times data functions from memory into memory. LENGTHS is a file of int32.
//   bench_data pack ALGORITHM LENGTHS CAPACITY           -> {"seconds", "bins", "efficiency"}
//   bench_data load tokens|packed PATH SEQ_LENGTH SAMPLES THREADS   -> {"seconds", "tokens", "prepared"}: samples as a
//   run
//       asks for them, in global batches of 64; THREADS prepare the next one, 0: none do
//   bench_data index LENGTHS SEQ_LENGTH SAMPLES SEED      -> {"seconds", "crc": of documents, samples, shuffle}
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <numeric>
#include <string>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/json.h"
#include "rialto/base/mapped_file.h"
#include "rialto/data/open_datasets.h"
#include "rialto/data/packing.h"
#include "rialto/data/prefetching_dataset.h"
#include "rialto/data/sample_index.h"

namespace {

using namespace rialto;
using Clock = std::chrono::steady_clock;

std::vector<int32_t> lengths_of(const std::string& path) {
  const MappedFile file(path);
  std::vector<int32_t> lengths(file.size() / sizeof(int32_t));
  std::memcpy(lengths.data(), file.data(), lengths.size() * sizeof(int32_t));
  return lengths;
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <class T>
uint32_t crc(const std::vector<T>& values) {
  return crc32(0, std::as_bytes(std::span(values)));
}

Json pack(const std::string& algorithm, const std::string& path, int64_t capacity) {
  const std::map<std::string, data::PackAlgorithm> known{
      {"first-fit", data::PackAlgorithm::kFirstFit},
      {"first-fit-decreasing", data::PackAlgorithm::kFirstFitDecreasing},
      {"best-fit", data::PackAlgorithm::kBestFit}};
  const auto lengths = lengths_of(path);
  const auto start = Clock::now();
  const data::Bins bins = data::pack(lengths, capacity, known.at(algorithm));
  const double seconds = since(start);
  return {{"seconds", seconds}, {"bins", bins.count()}, {"efficiency", data::efficiency(lengths, bins, capacity)}};
}

Json index(const std::string& path, int64_t seq_length, int64_t samples, int64_t seed) {
  const auto lengths = lengths_of(path);
  const auto start = Clock::now();
  const data::SampleIndices built =
      data::build_sample_indices(lengths, 0, static_cast<int64_t>(lengths.size()), seq_length, samples, seed);
  const double seconds = since(start);
  return {{"seconds", seconds}, {"crc", {crc(built.documents), crc(built.samples), crc(built.shuffle)}}};
}

Json load(const std::string& kind, const std::string& path, int64_t length, int64_t samples, size_t threads) {
  constexpr int64_t kBatch = 64;
  config::DatasetSection section;
  if (kind == "packed") {
    section.packed_sequence_size = length;
    section.packed_train_data_path = path;
  } else {
    section.data_path = {path};
    section.split = "1,0,0";
  }
  data::DatasetOpener opener(section, {.seq_length = length, .eod_token = 0});
  std::unique_ptr<data::Dataset> dataset = opener.open(data::Part::kTrain, samples + kBatch);
  const data::PrefetchingDataset* prefetching = nullptr;
  if (threads > 0) {
    auto made = std::make_unique<data::PrefetchingDataset>(std::move(dataset), threads);
    prefetching = made.get();
    dataset = std::move(made);
  }
  int64_t tokens = 0;
  const auto start = Clock::now();
  for (int64_t first = 0; first < samples; first += kBatch) {
    for (int64_t i = first; i < first + kBatch; ++i) tokens += static_cast<int64_t>(dataset->get(i).tokens.size());
    std::vector<int64_t> next(kBatch);
    std::iota(next.begin(), next.end(), first + kBatch);
    dataset->announce(next);
  }
  return {{"seconds", since(start)}, {"tokens", tokens}, {"prepared", prefetching ? prefetching->num_prepared() : 0}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 4 && words[0] == "pack") {
      std::printf("%s\n", pack(words[1], words[2], std::stoll(words[3])).dump().c_str());
    } else if (words.size() == 6 && words[0] == "load") {
      std::printf(
          "%s\n",
          load(words[1], words[2], std::stoll(words[3]), std::stoll(words[4]), std::stoull(words[5])).dump().c_str());
    } else if (words.size() == 5 && words[0] == "index") {
      std::printf("%s\n",
                  index(words[1], std::stoll(words[2]), std::stoll(words[3]), std::stoll(words[4])).dump().c_str());
    } else {
      std::fprintf(stderr, "usage: see bench/data/main.cpp\n");
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
