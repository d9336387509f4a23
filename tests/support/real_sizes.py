"""The largest published models as folders that hold their true config values, tensor names, types and shapes, and no bytes:
safetensors files of which only the headers are written (the rest is a hole). Used by the oracle tests and the benchmark."""
import json
from math import ceil
from pathlib import Path

BYTES = {"F32": 4, "BF16": 2, "I32": 4, "I64": 8, "U8": 1, "F8_E4M3": 1}
SHARD_BYTES = 5_000_000_000


def write(folder, config, tensors):
    """config.json, shards of about 5 GB with an index; tensors: {name: (dtype, shape)} in file order."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    shards, total = [{}], 0
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES[dtype]
        for n in shape:
            size *= n
        if at and at + size > SHARD_BYTES:
            shards.append({})
            at = 0
        shards[-1][name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
        total += size
    weight_map = {}
    for number, header in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        weight_map |= dict.fromkeys(header, file)
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / file, "wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            out.truncate(8 + len(text) + max(t["data_offsets"][1] for t in header.values()))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    return folder


def plain(name, *shape):
    return {name: ("BF16", shape)}


def linear(name, rows, cols):
    return plain(f"{name}.weight", rows, cols)


def fp8_linear(name, rows, cols):
    """Codes with one scale for each block of 128 x 128."""
    return {f"{name}.weight": ("F8_E4M3", (rows, cols)), f"{name}.weight_scale_inv": ("F32", (ceil(rows / 128), ceil(cols / 128)))}


def int4_linear(name, rows, cols):
    """Eight codes in a word, a scale for each 32."""
    return {f"{name}.weight_packed": ("I32", (rows, cols // 8)), f"{name}.weight_scale": ("BF16", (rows, cols // 32)), f"{name}.weight_shape": ("I64", (2,))}


def ends(hidden, vocab):
    return plain("model.embed_tokens.weight", vocab, hidden) | plain("model.norm.weight", hidden) | plain("lm_head.weight", vocab, hidden)


def norms(prefix, hidden):
    return plain(f"{prefix}.input_layernorm.weight", hidden) | plain(f"{prefix}.post_attention_layernorm.weight", hidden)


def unit(prefix, hidden, width, make=linear):
    """gate, up, down."""
    return make(f"{prefix}.gate_proj", width, hidden) | make(f"{prefix}.up_proj", width, hidden) | make(f"{prefix}.down_proj", hidden, width)


def attention(prefix, hidden, heads, groups, dim):
    return (linear(f"{prefix}.q_proj", heads * dim, hidden) | linear(f"{prefix}.k_proj", groups * dim, hidden)
            | linear(f"{prefix}.v_proj", groups * dim, hidden) | linear(f"{prefix}.o_proj", hidden, heads * dim))


def llama(hidden, ffn, layers, heads, groups, dim=128, factor=8.0):
    """Llama 3.1 and 3.2: config and tensors."""
    vocab = 128256
    tensors = ends(hidden, vocab)
    for i in range(layers):
        p = f"model.layers.{i}"
        tensors |= norms(p, hidden) | attention(f"{p}.self_attn", hidden, heads, groups, dim) | unit(f"{p}.mlp", hidden, ffn)
    return dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers,
                num_attention_heads=heads, num_key_value_heads=groups, head_dim=dim, vocab_size=vocab, hidden_act="silu", max_position_embeddings=131072,
                rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False, torch_dtype="bfloat16", attention_bias=False, mlp_bias=False,
                rope_scaling=dict(rope_type="llama3", factor=factor, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)), tensors


def llama_405b():
    return llama(16384, 53248, 126, 128, 8)


def llama_8b(layers=32):
    return llama(4096, 14336, layers, 32, 8)


def qwen3_moe(hidden, width, layers, experts, vocab, heads):
    tensors = ends(hidden, vocab)
    for i in range(layers):
        p = f"model.layers.{i}"
        tensors |= norms(p, hidden) | attention(f"{p}.self_attn", hidden, heads, 4, 128)
        tensors |= plain(f"{p}.self_attn.q_norm.weight", 128) | plain(f"{p}.self_attn.k_norm.weight", 128) | linear(f"{p}.mlp.gate", experts, hidden)
        for e in range(experts):
            tensors |= unit(f"{p}.mlp.experts.{e}", hidden, width)
    return dict(architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", hidden_size=hidden, intermediate_size=3 * hidden, moe_intermediate_size=width,
                num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=4, head_dim=128, num_experts=experts, num_experts_per_tok=8,
                norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], vocab_size=vocab, hidden_act="silu", max_position_embeddings=40960,
                rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=False, torch_dtype="bfloat16", attention_bias=False,
                use_sliding_window=False), tensors


def qwen3_235b():
    return qwen3_moe(4096, 1536, 94, 128, 151936, 64)


def latent_layer(p, hidden, heads, make):
    return (norms(p, hidden) | make(f"{p}.self_attn.q_a_proj", 1536, hidden) | plain(f"{p}.self_attn.q_a_layernorm.weight", 1536)
            | make(f"{p}.self_attn.q_b_proj", heads * 192, 1536) | make(f"{p}.self_attn.kv_a_proj_with_mqa", 576, hidden)
            | plain(f"{p}.self_attn.kv_a_layernorm.weight", 512) | make(f"{p}.self_attn.kv_b_proj", heads * 256, 512)
            | make(f"{p}.self_attn.o_proj", hidden, heads * 128))


def expert_layer(p, hidden, width, experts, make, shared):
    tensors = linear(f"{p}.mlp.gate", experts, hidden) | {f"{p}.mlp.gate.e_score_correction_bias": ("F32", (experts,))}
    tensors |= unit(f"{p}.mlp.shared_experts", hidden, width, shared)
    for e in range(experts):
        tensors |= unit(f"{p}.mlp.experts.{e}", hidden, width, make)
    return tensors


LATENT = dict(kv_lora_rank=512, q_lora_rank=1536, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, hidden_act="silu", hidden_size=7168,
              intermediate_size=18432, moe_intermediate_size=2048, n_shared_experts=1, num_experts_per_tok=8, num_hidden_layers=61, norm_topk_prob=True,
              scoring_func="sigmoid", topk_method="noaux_tc", rms_norm_eps=1e-6, tie_word_embeddings=False, torch_dtype="bfloat16",
              attention_bias=False, moe_layer_freq=1)


def deepseek(layers, dense, experts, vocab, depths=0):
    """DeepSeek V3 in FP8, with `depths` prediction blocks."""
    hidden = 7168
    tensors = ends(hidden, vocab)
    for i in range(layers + depths):
        p = f"model.layers.{i}"
        tensors |= latent_layer(p, hidden, 128, fp8_linear)
        tensors |= unit(f"{p}.mlp", hidden, 18432, fp8_linear) if i < dense else expert_layer(p, hidden, 2048, experts, fp8_linear, fp8_linear)
        if i >= layers:  # a prediction block, with its copies of embedding and head
            tensors |= plain(f"{p}.embed_tokens.weight", vocab, hidden) | plain(f"{p}.enorm.weight", hidden) | plain(f"{p}.hnorm.weight", hidden)
            tensors |= linear(f"{p}.eh_proj", hidden, 2 * hidden) | plain(f"{p}.shared_head.norm.weight", hidden) | linear(f"{p}.shared_head.head", vocab, hidden)
    return LATENT | dict(architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", num_hidden_layers=layers, first_k_dense_replace=dense, n_group=8, topk_group=4,
                n_routed_experts=experts, num_attention_heads=128, num_key_value_heads=128, num_nextn_predict_layers=depths, routed_scaling_factor=2.5,
                vocab_size=vocab, max_position_embeddings=163840, rope_theta=10000,
                rope_scaling=dict(type="yarn", factor=40, beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=4096),
                quantization_config=dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])), tensors


def deepseek_v3():
    return deepseek(61, 3, 256, 129280, depths=1)


def kimi_k2():
    """Kimi-K2-Thinking: the routed experts are INT4 triples."""
    hidden, layers, dense, experts, vocab = 7168, 61, 1, 384, 163840
    tensors = ends(hidden, vocab)
    for i in range(layers):
        p = f"model.layers.{i}"
        tensors |= latent_layer(p, hidden, 64, linear)
        tensors |= unit(f"{p}.mlp", hidden, 18432) if i < dense else expert_layer(p, hidden, 2048, experts, int4_linear, linear)
    weights = dict(num_bits=4, type="int", symmetric=True, strategy="group", group_size=32, dynamic=False)
    return dict(LATENT, architectures=["DeepseekV3ForCausalLM"], model_type="kimi_k2", first_k_dense_replace=dense, n_group=1, topk_group=1,
                n_routed_experts=experts, num_attention_heads=64, num_key_value_heads=64, num_nextn_predict_layers=0, routed_scaling_factor=2.827,
                vocab_size=vocab, max_position_embeddings=262144, rope_theta=50000.0,
                rope_scaling=dict(type="yarn", factor=64.0, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=4096),
                quantization_config=dict(quant_method="compressed-tensors", format="pack-quantized", quantization_status="compressed", kv_cache_scheme=None,
                                         config_groups=dict(group_0=dict(targets=["Linear"], weights=weights, input_activations=None, output_activations=None)),
                                         ignore=["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"])), tensors


def gpt_oss_120b():
    hidden, layers, experts, vocab = 2880, 36, 128, 201088
    tensors = ends(hidden, vocab)
    for i in range(layers):
        p = f"model.layers.{i}"
        tensors |= norms(p, hidden) | attention(f"{p}.self_attn", hidden, 64, 8, 64) | plain(f"{p}.self_attn.sinks", 64)
        for name, rows in dict(q=4096, k=512, v=512, o=hidden).items():
            tensors |= plain(f"{p}.self_attn.{name}_proj.bias", rows)
        tensors |= linear(f"{p}.mlp.router", experts, hidden) | plain(f"{p}.mlp.router.bias", experts)
        for name, rows in dict(gate_up_proj=2 * hidden, down_proj=hidden).items():
            tensors |= {f"{p}.mlp.experts.{name}_blocks": ("U8", (experts, rows, hidden // 32, 16)), f"{p}.mlp.experts.{name}_scales": ("U8", (experts, rows, hidden // 32))}
            tensors |= plain(f"{p}.mlp.experts.{name}_bias", experts, rows)
    return dict(architectures=["GptOssForCausalLM"], model_type="gpt_oss", hidden_size=hidden, intermediate_size=hidden, num_hidden_layers=layers,
                num_attention_heads=64, num_key_value_heads=8, head_dim=64, num_local_experts=experts, num_experts_per_tok=4, experts_per_token=4,
                vocab_size=vocab, hidden_act="silu", max_position_embeddings=131072, initial_context_length=4096, rms_norm_eps=1e-5,
                rope_theta=150000, sliding_window=128, swiglu_limit=7.0, tie_word_embeddings=False, attention_bias=True,
                layer_types=["sliding_attention", "full_attention"] * (layers // 2),
                rope_scaling=dict(rope_type="yarn", factor=32.0, beta_fast=32.0, beta_slow=1.0, truncate=False, original_max_position_embeddings=4096),
                quantization_config=dict(quant_method="mxfp4", modules_to_not_convert=["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"])), tensors


MODELS = {"Llama-3.1-405B": llama_405b, "Qwen3-235B-A22B": qwen3_235b, "DeepSeek-V3": deepseek_v3, "Kimi-K2-Thinking": kimi_k2, "GPT-OSS-120B": gpt_oss_120b}
