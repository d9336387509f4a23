// config.json files as transformers writes them, for every family.
#pragma once

#include <string>

#include "rialto/base/json.h"

namespace rialto::test {

/// As transformers 5.23 saves a model; sizes of a toy.
inline Json config_of(const std::string& family) {
  Json json = parse_json(R"({
    "architectures": ["X"], "attention_dropout": 0.0, "bos_token_id": 1, "dtype": "float32", "eos_token_id": 2, "head_dim": 8,
    "hidden_act": "silu", "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 20, "max_position_embeddings": 64,
    "num_attention_heads": 4, "num_hidden_layers": 4, "num_key_value_heads": 2, "pad_token_id": null, "rms_norm_eps": 1e-06,
    "rope_parameters": {"rope_theta": 5000.0, "rope_type": "default"}, "tie_word_embeddings": false,
    "transformers_version": "5.23.0", "use_cache": true, "vocab_size": 50})",
                         "test");
  json["model_type"] = family;
  if (family == "llama") {
    json["architectures"] = {"LlamaForCausalLM"};
    json["attention_bias"] = json["mlp_bias"] = false;
    json["pretraining_tp"] = 1;
  }
  if (family == "mistral") {
    json["architectures"] = {"MistralForCausalLM"};
    json["sliding_window"] = 5;
  }
  if (family == "qwen2" || family == "qwen3") {
    json["architectures"] = {family == "qwen2" ? "Qwen2ForCausalLM" : "Qwen3ForCausalLM"};
    json["layer_types"] = {"full_attention", "full_attention", "full_attention", "full_attention"};
    json["max_window_layers"] = 28;
    json["sliding_window"] = nullptr;
    json["use_sliding_window"] = false;
  }
  if (family == "qwen3") json["attention_bias"] = false;
  return json;
}

inline constexpr const char* kFamilies[] = {"llama", "mistral", "qwen2", "qwen3"};

}  // namespace rialto::test
