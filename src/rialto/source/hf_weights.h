// A Hugging Face folder as a source of weights: its tensors matched with the model's parameters, coded ones decoded.
#pragma once

#include "rialto/bridge/codecs/codec.h"
#include "rialto/bridge/plan.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/resolve/resolve.h"

namespace rialto::source {

/// A folder's tensors in name order, which numbers them.
std::vector<bridge::SourceTensor> stored_tensors(const hub::HfDirectory& directory);
/// Reads stored bytes by that number. The directory must outlive the reader.
bridge::ByteReader stored_reader(const hub::HfDirectory& directory);

struct HfWeights {
  hub::HfDirectory directory;
  resolve::Resolved resolved;
  bridge::DecodedSource decoded;    ///< of stored_tensors(directory)
  DType decoded_as = DType::kBF16;  ///< the type of its coded tensors, whatever dtype the model gets afterwards
  bridge::Map map;                  ///< matched and proven; native dtypes lose nothing
  bool names_only = false;          ///< of some tensors only names were there to be matched

  /// Reads map.hf tensors, decoded. The object must outlive the reader.
  bridge::ByteReader reader() const;
};

/// `absent`: shards that are not there may be known by the names in the index (`names_only` says so; nothing can be
/// read then). `model`: build the map for this model instead of the one that config.json describes. Throws kInput on
/// anything missing, extra, reshaped, unknown, or coded without its scales; kShape when the map is not complete.
HfWeights open_hf_weights(const fs::path& path, const spec::ModelSpec* model = nullptr,
                          hub::Absent absent = hub::Absent::kRefused);

/// The model whose weights the folder holds: config.json's, without prediction blocks that the files lack. Throws as
/// open_hf_weights does for config and codes; tensors are not matched.
spec::ModelSpec hf_model(const fs::path& path);

/// The type that elements of coded tensors are given: the config's, unless that is none that weights can have.
DType decoded_type(const spec::ModelSpec& model);

}  // namespace rialto::source
