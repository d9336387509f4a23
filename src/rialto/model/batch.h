// What a model is fed: one micro-batch of the data room as tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rialto::model {

/// B sequences of S tokens. Packed documents share a row: `positions` restart and `documents` differ.
struct Batch {
  at::Tensor tokens_BS;        ///< int64
  at::Tensor labels_BS;        ///< int64; token to predict at each place
  at::Tensor loss_weights_BS;  ///< float
  at::Tensor positions_BS;     ///< int64
  at::Tensor documents_BS;     ///< int64 document number inside the row; undefined: one document per row
  std::vector<int64_t> sample_numbers;
};

}  // namespace rialto::model
