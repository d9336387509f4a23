// Tensors that a file stores as narrow codes and scales. The bridge addresses them by decoded elements; a codec says
// which stored members those need.
//
// Decoded tensors are named X, and X_blocks where they are MXFP4.
//
//   codec       codes                        scales                              value
//   ----------  ---------------------------  ----------------------------------  ----------------------
//   kFp8Block   X, F8_E4M3 [R,C]             X_scale_inv, F32 [R/128, C/128] up  code * scale
//   kFp8Tensor  X, F8_E4M3                   X_scale_inv or X_scale, one number  code * scale
//   kMxfp4      X_blocks, U8 [.., C/32, 16]  X_scales, U8 [.., C/32]             e2m1 * 2^(scale - 127)
//   kInt4Group  X_packed, I32 [R, C/8]       X_scale, BF16 [R, C/g]; X_shape     (code - 8) * scale
//
// Sources: DeepSeek-V3 inference/kernel.py weight_dequant; OCP Microscaling spec 1.0 and transformers
// integrations/mxfp4.py; compressed-tensors pack_quantized.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rialto/bridge/plan.h"

namespace rialto::bridge {

enum class Codec : uint8_t { kFp8Block, kFp8Tensor, kMxfp4, kInt4Group };
std::string_view name_of(Codec codec);

/// One coded tensor, seen as a matrix: all axes but the last are rows.
struct CodedTensor {
  std::string name;  ///< decoded: "model.layers.0.mlp.gate_proj.weight"
  Codec codec = Codec::kFp8Block;
  Shape shape;                                ///< decoded
  uint32_t codes = 0, scales = 0;             ///< stored tensors
  DType scale_dtype = DType::kF32;            ///< U8: exponents
  std::optional<uint32_t> shape_tensor = {};  ///< kInt4Group: two numbers that must be `shape`
  DType shape_dtype = DType::kI64;
  int64_t rows = 0, cols = 0;              ///< of the matrix
  int64_t block_rows = 0, block_cols = 0;  ///< elements that share a scale
  int64_t scale_cols() const { return (cols + block_cols - 1) / block_cols; }
  int64_t scale_rows() const { return (rows + block_rows - 1) / block_rows; }
};

/// A source's tensors as the bridge sees them: coded ones once, decoded, their members gone.
struct DecodedSource {
  std::vector<SourceTensor> tensors;  ///< decoded ones last, in the order of `coded`
  std::vector<CodedTensor> coded;
  std::vector<uint32_t> stored;  ///< of tensors[i]: the stored tensor, or kCodedBase + index into `coded`

  /// What coded[index] decodes to.
  const SourceTensor& tensor_of(size_t index) const { return tensors[tensors.size() - coded.size() + index]; }
};
constexpr uint32_t kCodedBase = 1u << 31;

/// Finds coded tensors by the names, types and shapes of what is stored. `decoded`: the type that their elements are
/// given (BF16 or F32). Throws kInput naming a tensor of codes without its scales, or scales that do not fit.
DecodedSource find_coded(std::span<const SourceTensor> stored, DType decoded);

/// The names of what find_coded would give, when nothing but names is known. Throws kInput naming codes without scales.
std::vector<std::string> decoded_names(std::span<const std::string> stored);

/// Elements [first, first + count) in row-major order, as `to` (F32 or BF16, rounded to nearest even), from the stored
/// bytes that `read` gives. Thread-safe when `read` is.
void decode(const CodedTensor& tensor, const ByteReader& read, int64_t first, int64_t count, DType to,
            std::span<std::byte> out);

/// Reads DecodedSource::tensors by decoded bytes. Throws kInput when a stored shape disagrees with its codes.
ByteReader decoding_reader(const DecodedSource& source, ByteReader stored, DType decoded);

/// The number of an e8m0 byte: 2^(exponent - 127); 255 is NaN.
float exponent_scale(uint8_t exponent);

/// Scales between their stored type and fp32. A new scale of encode() is one that its type holds exactly.
void widen_scales(const CodedTensor& tensor, std::span<const std::byte> stored, std::span<float> scales);
void narrow_scales(const CodedTensor& tensor, std::span<const float> scales, std::span<std::byte> stored);

/// Bytes that the codes of `elements` take.
int64_t code_bytes(Codec codec, int64_t elements);

/// Codes of rows [first_row, first_row + rows), with the scales that cover them, from fp32 values. A block whose values
/// are what its old scale and some codes decode to (as `from`) keeps that scale and gets those codes again; any other
/// block gets a new scale and codes rounded to nearest even: max|value| / 448 (FP8), / 7 (INT4), or the power of two
/// that puts max|value| in e2m1's highest binade (MXFP4; OCP Microscaling 1.0, 6.3). first_row is a multiple of
/// block_rows. `scales` holds the old ones (NaN: none) and receives the new. Returns how many blocks got a new scale.
int64_t encode(const CodedTensor& tensor, std::span<const float> values, int64_t first_row, int64_t rows, DType from,
               std::span<float> scales, std::span<std::byte> codes);

}  // namespace rialto::bridge
