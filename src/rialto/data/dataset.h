// Samples by number: a pure function of (data, seed, sample number), so a resumed run reads the same data, and so does
// every rank of a parallel one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rialto::data {

/// One training sample of seq_length tokens: tokens[i] predicts labels[i].
struct Sample {
  std::vector<int32_t> tokens, labels;
  std::vector<float> loss_weights;
  std::vector<int32_t> positions, documents;
};

/// What a run has taken out of one token file.
struct Consumed {
  std::string source;   ///< prefix of the .bin/.idx, or file of fine-tuning rows
  int64_t samples = 0;  ///< distinct sample numbers of that source
  int64_t tokens = 0;
  double epochs = 0;  ///< tokens over those of the documents that are used
};

/// Where a sample's first token stands.
struct SampleStart {
  int64_t source = 0;    ///< of a blend, in its order
  int64_t document = 0;  ///< number in the source's token file
  int64_t offset = 0;    ///< tokens into the document
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual Sample get(int64_t index) const = 0;  ///< index in [0, size)
  /// Samples that will be asked for next, in that order: a reader with threads may prepare them. Changes no sample.
  virtual void announce(std::span<const int64_t> /*indices*/) const {}
  virtual SampleStart start(int64_t index) const = 0;
  /// Where the samples [0, count) came from, a row for each source. Throws kInternal when there are fewer.
  virtual std::vector<Consumed> consumed(int64_t count) const = 0;
};

}  // namespace rialto::data
