// A Hugging Face folder as a source of weights: its tensors matched with the model's parameters, coded ones decoded.
#pragma once

#include "rialto/bridge/codecs/codec.h"
#include "rialto/bridge/plan.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/resolve/resolve.h"

namespace rialto::source {

struct HfWeights {
  hub::HfDirectory directory;
  resolve::Resolved resolved;
  bridge::DecodedSource decoded;  ///< of the folder's tensors in name order
  bridge::Map map;                ///< matched and proven; native dtypes lose nothing

  /// Reads map.hf tensors, decoded. The object must outlive the reader.
  bridge::ByteReader reader() const;
  /// The folder's tensors in name order, which is how `decoded` numbers them.
  std::vector<const hub::HfTensor*> stored() const;
};

/// `model`: build the map for this model instead of the one that config.json describes. Throws kInput on anything
/// missing, extra, reshaped, unknown, or coded without its scales; kShape when the map is not complete.
HfWeights open_hf_weights(const fs::path& path, const spec::ModelSpec* model = nullptr);

/// The type that elements of coded tensors are given: the config's, unless that is none that weights can have.
DType decoded_type(const spec::ModelSpec& model);

}  // namespace rialto::source
