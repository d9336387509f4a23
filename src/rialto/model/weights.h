// The weights of one rank: laid out from param_table in flat buffers, so that optimizers and checkpoints work on
// ranges.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "rialto/model/context.h"
#include "rialto/spec/param.h"

namespace rialto::model {

/// One parameter as this rank holds it. Shapes: `data` and `main_grad` have the memory shape (the logical shape with
/// the split axis cut); offsets count elements in the flat buffers.
struct Weight {
  spec::Param param;
  spec::Extent box;    ///< of param.view
  int64_t offset = 0;  ///< first element in the flat buffers, a multiple of 64; of no meaning for buffers
  int64_t size = 0;
  at::Tensor data;  ///< view of flat_data (a buffer: its own tensor), a leaf of autograd; requires grad unless frozen
  at::Tensor main_grad;       ///< fp32 view of flat_grad; undefined for inference and for buffers
  bool frozen = false;        ///< always for buffers
  bool tp_split = false;      ///< each rank that shares the layer (of an expert: the expert) holds another part
  bool is_first = true;       ///< of the ranks along that axis that hold the same part: what is counted once, it counts
  bool on_both_ends = false;  ///< the first and the last pipeline stage hold it, and add up its gradients
  bool is_copy = false;       ///< the last stage's of those: not counted again
};

/// True for a rank that holds some rows of a vocabulary, not all.
inline bool is_part_of_vocabulary(const Weight& weight) {
  return !weight.param.shape.empty() && weight.data.size(0) != weight.param.shape.front();
}

class Weights {
 public:
  /// Allocates (zeroed) every parameter that `coords` holds. `training` also allocates fp32 gradients.
  Weights(const spec::ModelSpec& model, const spec::Layout& layout, const spec::Coords& coords, const Context& context,
          bool training);
  Weight& at(const std::string& name);
  const Weight& at(const std::string& name) const;
  bool has(const std::string& name) const;
  std::vector<Weight>& all() { return weights_; }  ///< in param_table order
  const std::vector<Weight>& all() const { return weights_; }
  at::Tensor& flat_data() { return flat_data_; }
  at::Tensor& flat_grad() { return flat_grad_; }
  /// Padding included, which stays 0. Experts lie behind everything else, because other ranks hold the same ones.
  int64_t flat_size() const { return flat_size_; }
  /// Where the experts begin. With several ranks that hold the same weights what lies before is a multiple of their
  /// number and of 128 long; so are the experts, of theirs.
  int64_t experts_begin() const { return experts_begin_; }
  const Context& context() const { return context_; }
  /// Of a parameter's data, on whichever rank it is: the context's, but for buffers that stay fp32.
  at::ScalarType dtype_of(const spec::Param& param) const;
  void zero_grad();
  /// Frozen weights get no gradient and no update. Throws kConfig when weights made for inference should train.
  void set_frozen(const std::string& name, bool frozen);
  /// Random initial values: a pure function of (seed, parameter name, element index of the logical tensor).
  void init_random(const spec::ModelSpec& model, uint64_t seed);

 private:
  Context context_;
  std::vector<Weight> weights_;
  std::map<std::string, size_t> index_;
  at::Tensor flat_data_, flat_grad_;
  int64_t flat_size_ = 0, experts_begin_ = 0;
};

}  // namespace rialto::model
