// Lengths of documents.
#include "rialto/train/documents.h"

namespace rialto::train {

std::vector<int64_t> attended_lengths(const GlobalBatch& batch) {
  std::vector<int64_t> lengths;
  for (const model::Batch& micro : batch.micro_batches) {
    const int64_t rows = micro.tokens_BS.size(0), length = micro.tokens_BS.size(1);
    if (!micro.documents_BS.defined()) {
      lengths.insert(lengths.end(), static_cast<size_t>(rows), length);
      continue;
    }
    const at::Tensor documents = micro.documents_BS.to(at::kCPU).contiguous();
    const auto* number = documents.const_data_ptr<int64_t>();
    for (int64_t row = 0; row < rows; ++row, number += length) {
      for (int64_t begin = 0, end = 0; begin < length; begin = end) {
        while (end < length && number[end] == number[begin]) ++end;
        lengths.push_back(end - begin);
      }
    }
  }
  return lengths;
}

}  // namespace rialto::train
