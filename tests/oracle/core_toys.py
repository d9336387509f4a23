"""Toys for Megatron-Core of the families beyond the first four (toys.MEGATRON): with sizes at which Core's fixed choices and the
families' own are the same."""
import json

import toys
from toy_table import DEFAULT, LINEAR, LLAMA3, MSCALE, Toy

# Core takes the latent norms' eps from the config, transformers fixes it; Core sums the best top_k / top_groups experts of a group,
# transformers the best two (DeepSeek V3) or the best one (V2): sizes where both are the same.
LATENT = {"rms_norm_eps": 1e-6}
TWO = {"num_experts_per_tok": 4}
CORE_LLAMA3 = {**LLAMA3, "original_max_position_embeddings": 8192}   # Core's llama3 scaling knows no other
ONE = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2, "num_experts_per_tok": 2}
TOYS = [
    Toy("core-phi3", "phi3", {"sliding_window": 7}), Toy("core-phi3-partial", "phi3", {"hidden_size": 72, "rope_parameters": {
        "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}),
    Toy("core-mimo", "mimo"), Toy("core-mixtral", "mixtral"), Toy("core-qwen3_moe", "qwen3_moe"),
    Toy("core-qwen3_moe-renormalized", "qwen3_moe", {"norm_topk_prob": True, "tie_word_embeddings": True}),
    Toy("core-olmoe", "olmoe"), Toy("core-minimax_m2", "minimax_m2"),
    Toy("core-glm4_moe", "glm4_moe"), Toy("core-glm4_moe-qk_norm", "glm4_moe", {"use_qk_norm": True, "n_group": 4, "topk_group": 2, **TWO}),
    Toy("core-hy_v3", "hy_v3"), Toy("core-ling", "ling", TWO), Toy("core-sarvam_moe", "sarvam_moe"),
    Toy("core-deepseek_v2", "deepseek_v2", LATENT), Toy("core-deepseek_v2-groups", "deepseek_v2", {**LATENT, **ONE, "rope_parameters": MSCALE}),
    Toy("core-deepseek_v2-lite", "deepseek_v2", {**LATENT, "q_lora_rank": None}),
    Toy("core-deepseek_v3", "deepseek_v3", {**LATENT, **TWO, "rope_parameters": MSCALE}),
    Toy("core-moonlight", "deepseek_v3", {**LATENT, "q_lora_rank": None, "n_group": 1, "topk_group": 1}),
    Toy("core-kimi_k2", "kimi_k2", LATENT), Toy("core-glm4_moe_lite", "glm4_moe_lite", LATENT), Toy("core-sarvam_mla", "sarvam_mla", LATENT),
    Toy("core-exaone_moe", "exaone_moe", TWO),
    Toy("core-ernie4_5_moe", "ernie4_5_moe"), Toy("core-ernie4_5_moe-interval", "ernie4_5_moe", {"moe_layer_interval": 2, "num_hidden_layers": 4}),
    Toy("core-gemma", "gemma"), Toy("core-gemma2", "gemma2"), Toy("core-gemma3", "gemma3"),
    Toy("core-gemma3-linear", "gemma3", {"rope_parameters": {"sliding_attention": DEFAULT, "full_attention": {**LINEAR, "rope_theta": 1e6}}}),
    Toy("core-gpt_oss", "gpt_oss"), Toy("core-nemotron", "nemotron"),
    Toy("core-exaone4", "exaone4", {"max_position_embeddings": 16384, "rope_parameters": CORE_LLAMA3}),
    Toy("core-exaone4-mixed", "exaone4", {"layer_types": None, "sliding_window": 7, "sliding_window_pattern": 4, "num_hidden_layers": 5,
                                          "tie_word_embeddings": False, "rope_parameters": DEFAULT}),
]

# One toy a family to train: the first.
TRAINED = {toy.family: toy for toy in reversed(TOYS)}


def config_of(toy, source):
    """config.json with every default of the family's class said; as it is for a family without one."""
    if toys.FAMILY_TABLE[toy.family].model_type:
        return json.loads((source / "config.json").read_text())
    return toys.load(source).config.to_dict()
