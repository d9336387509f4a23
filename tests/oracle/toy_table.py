"""The toys: one tiny random model per row, at least one a family and one for every option that a family has. Sizes are chosen
so that mistakes show: hidden is not heads x head size, groups are uneven, the vocabulary is a multiple of nothing, sequences
(24 tokens) outgrow the windows (7), no size equals another, eps is not the default."""
from dataclasses import dataclass, field

NEW_TOKENS = 32
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 8.0, "beta_slow": 1.0, "original_max_position_embeddings": 32}
MSCALE = {**YARN, "factor": 40.0, "mscale": 0.7, "mscale_all_dim": 1.1}
HALF = {**DEFAULT, "partial_rotary_factor": 0.5}
SIZES = dict(hidden_size=36, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, head_dim=8, intermediate_size=56,
             vocab_size=211, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, rms_norm_eps=1e-5)
MLA = dict(num_key_value_heads=6, kv_lora_rank=16, q_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10,
           n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2, moe_intermediate_size=20, first_k_dense_replace=1,
           routed_scaling_factor=1.7, rms_norm_eps=3e-5)
GROUPS = dict(n_group=4, topk_group=2)
BAILING = dict(num_experts=8, num_experts_per_tok=3, num_shared_experts=2, moe_intermediate_size=20, first_k_dense_replace=1,
               routed_scaling_factor=2.5, use_qk_norm=True, moe_router_enable_expert_bias=True, norm_topk_prob=True, score_function="sigmoid",
               hidden_act="silu", use_bias=False, use_qkv_bias=False, rope_scaling=None, initializer_range=0.02, use_cache=True,
               attention_dropout=0.0, embedding_dropout=0.0, output_dropout=0.0, output_router_logits=False, router_dtype="fp32")
SAID_NONE = ("q_lora_rank", "sliding_window", "attn_logit_softcapping", "final_logit_softcapping")   # None is a value; else: no such key
LOCAL_GLOBAL = ["sliding_attention", "full_attention"]


@dataclass(frozen=True)
class Family:
    """Where a family's reference comes from. `like`: the transformers class (without ForCausalLM); a family without a class of
    its own is written as another's files with its own names (toy_files.py) or is a plain model (plain_models.py)."""
    like: str
    model_type: str = None        # in config.json; None: what `like` writes
    architecture: str = None
    zero_centered: bool = False   # norms are stored as weight - 1
    plain: bool = False
    sizes: dict = field(default_factory=dict)   # on top of SIZES; None takes one away


FAMILY_TABLE = {
    "llama": Family("Llama"), "mistral": Family("Mistral"),
    "qwen2": Family("Qwen2", sizes={"head_dim": None}),   # head size is always hidden / heads
    "qwen3": Family("Qwen3"),
    "phi3": Family("Phi3", sizes={"head_dim": None, "hidden_size": 48, "pad_token_id": 0}),
    "mimo": Family("Qwen2", "mimo", "MiMoForCausalLM", sizes={"hidden_size": 48, "head_dim": None, "rms_norm_eps": 3e-5}),
    "mixtral": Family("Mixtral", sizes=dict(num_local_experts=7, num_experts_per_tok=2, rms_norm_eps=3e-5)),
    "qwen3_moe": Family("Qwen3Moe", sizes=dict(head_dim=12, num_experts=7, num_experts_per_tok=3, moe_intermediate_size=20)),
    "olmoe": Family("Olmoe", sizes=dict(head_dim=None, hidden_size=48, num_key_value_heads=6, num_experts=7, num_experts_per_tok=3,
                                        intermediate_size=20, pad_token_id=0)),
    "glm4_moe": Family("Glm4Moe", sizes=dict(n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, moe_intermediate_size=20,
                                             first_k_dense_replace=1, routed_scaling_factor=1.7, attention_bias=True, rms_norm_eps=3e-5,
                                             num_nextn_predict_layers=0, rope_parameters=HALF)),
    "hy_v3": Family("HYV3", sizes=dict(num_experts=7, num_experts_per_tok=3, num_shared_experts=2, moe_intermediate_size=20)),
    "ling": Family("", "bailing_moe_v2", "BailingMoeV2ForCausalLM", plain=True,
                   sizes=dict(BAILING, **GROUPS, partial_rotary_factor=0.5, rope_theta=600000.0, num_nextn_predict_layers=0, mtp_loss_scaling_factor=0,
                              rms_norm_eps=3e-5)),
    "sarvam_moe": Family("", "sarvam_moe", "SarvamMoEForCausalLM", plain=True,
                         sizes=dict(BAILING, n_group=1, topk_group=1, rope_theta=8e6, num_shared_experts=1, rms_norm_eps=3e-5)),
    "minimax_m2": Family("MiniMaxM2", sizes=dict(num_local_experts=7, num_experts_per_tok=3, intermediate_size=20, rope_parameters=HALF,
                                                 rms_norm_eps=3e-5)),
    "ernie4_5_moe": Family("Ernie4_5_Moe", sizes=dict(head_dim=None, hidden_size=48, moe_num_experts=7, moe_k=3, moe_num_shared_experts=2,
                                                      moe_intermediate_size=20, pad_token_id=0, rms_norm_eps=3e-5)),
    "deepseek_v2": Family("DeepseekV2", sizes=dict(MLA, head_dim=None)),
    "deepseek_v3": Family("DeepseekV3", sizes=dict(MLA, **GROUPS, head_dim=None, num_nextn_predict_layers=0)),
    "kimi_k2": Family("DeepseekV3", "kimi_k2", "KimiK2ForCausalLM",
                      sizes=dict(MLA, n_group=1, topk_group=1, n_shared_experts=1, head_dim=None, num_nextn_predict_layers=0, rope_parameters=MSCALE)),
    "glm4_moe_lite": Family("Glm4MoeLite", sizes=dict({k: v for k, v in MLA.items() if k != "first_k_dense_replace"}, head_dim=None,
                                                      n_shared_experts=1)),
    "sarvam_mla": Family("DeepseekV3", "sarvam_mla", "SarvamMLAForCausalLM",
                         sizes=dict(MLA, n_group=1, topk_group=1, q_lora_rank=None, n_shared_experts=1, head_dim=None, num_nextn_predict_layers=0,
                                    rope_parameters=MSCALE)),
    "gemma": Family("Gemma", zero_centered=True, sizes=dict(head_dim=10, num_key_value_heads=1, tie_word_embeddings=True, pad_token_id=0)),
    "gemma2": Family("Gemma2", zero_centered=True,
                     sizes=dict(head_dim=10, num_key_value_heads=3, tie_word_embeddings=True, pad_token_id=0, sliding_window=7, query_pre_attn_scalar=17,
                                attn_logit_softcapping=5.0, final_logit_softcapping=9.0, rms_norm_eps=3e-5)),
    "gemma3": Family("Gemma3", zero_centered=True,
                     sizes=dict(head_dim=10, tie_word_embeddings=True, pad_token_id=0, sliding_window=7, query_pre_attn_scalar=17, num_hidden_layers=4,
                                layer_types=LOCAL_GLOBAL[:1] * 2 + LOCAL_GLOBAL[1:] + LOCAL_GLOBAL[:1], rms_norm_eps=3e-5,
                                rope_parameters={"sliding_attention": DEFAULT, "full_attention": {**DEFAULT, "rope_theta": 1e6}})),
    "gpt_oss": Family("GptOss", sizes=dict(num_local_experts=6, num_experts_per_tok=2, sliding_window=7, intermediate_size=20, rms_norm_eps=3e-5,
                                           swiglu_limit=1.5, rope_parameters={**YARN, "truncate": False})),
    "exaone4": Family("Exaone4", sizes=dict(head_dim=10, sliding_window=None, sliding_window_pattern=None, layer_types=["full_attention"] * 3,
                                            rope_parameters=LLAMA3, tie_word_embeddings=True)),
    "exaone_moe": Family("ExaoneMoe", sizes=dict(num_experts=8, num_experts_per_tok=3, num_shared_experts=2, moe_intermediate_size=20, **GROUPS,
                                                 num_hidden_layers=5, sliding_window=7, sliding_window_pattern=4, rms_norm_eps=3e-5,
                                                 rope_parameters={**DEFAULT, "rope_theta": 1e6}, pad_token_id=0)),
    "nemotron": Family("Nemotron", zero_centered=True, sizes=dict(rms_norm_eps=None, norm_eps=3e-5, rope_parameters=HALF)),
}


@dataclass(frozen=True)
class Toy:
    name: str
    family: str
    config: dict = field(default_factory=dict)   # on top of the family's sizes
    old_rope: bool = False                       # config.json spelled as transformers 4 did: rope_theta, rope_scaling
    packed: bool = False                         # the file holds all experts of a layer in one tensor, as transformers 5 does in memory
    mtp: int = 0                                 # blocks of multi-token prediction that the file holds beside the model
    block_seed: int = 5                          # of their weights: one whose routes and gradients are sure (test_mtp.py asserts it)

    @property
    def values(self):
        """Every config value that is given."""
        given = {**SIZES, **({} if FAMILY_TABLE[self.family].plain else {"rope_parameters": DEFAULT}), **FAMILY_TABLE[self.family].sizes, **self.config}
        return {key: value for key, value in given.items() if value is not None or key in SAID_NONE}


EVERY_PAIR = [1.0 + 0.1 * i for i in range(4)], [1.5 + 0.7 * i for i in range(4)]
LONGROPE = {**DEFAULT, "rope_type": "longrope", "short_factor": EVERY_PAIR[0], "long_factor": EVERY_PAIR[1]}
TOYS = [Toy(family, family) for family in FAMILY_TABLE if family not in ("mistral", "qwen2", "qwen3")] + [
    Toy("llama-llama3", "llama", {"rope_parameters": LLAMA3}, old_rope=True),
    Toy("llama-linear", "llama", {"rope_parameters": LINEAR}),
    Toy("llama-tied", "llama", {"tie_word_embeddings": True, "num_key_value_heads": 6, "head_dim": 10}, old_rope=True),
    Toy("mistral", "mistral", {"sliding_window": 7, "num_key_value_heads": 3, "rope_parameters": {**DEFAULT, "rope_theta": 1e6}}),
    Toy("qwen2", "qwen2", {"hidden_size": 48}),
    Toy("qwen2-tied", "qwen2", {"hidden_size": 48, "tie_word_embeddings": True, "num_key_value_heads": 1}, old_rope=True),
    Toy("qwen3", "qwen3", {"head_dim": 12, "rope_parameters": {**DEFAULT, "rope_theta": 1e6}}),
    Toy("qwen3-tied", "qwen3", {"head_dim": 14, "tie_word_embeddings": True}),
    Toy("qwen3-yarn", "qwen3", {"rope_parameters": YARN}, old_rope=True),
    Toy("phi3-window", "phi3", {"sliding_window": 7, "num_key_value_heads": 3}),
    Toy("phi3-partial", "phi3", {"hidden_size": 72, "rope_parameters": {**DEFAULT, "partial_rotary_factor": 0.5}, "tie_word_embeddings": True}),
    Toy("phi3-long", "phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": 16, "max_position_embeddings": 64}),   # generation passes 16
    Toy("phi3-short", "phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": 64}),   # nothing passes 64
    Toy("mixtral-window", "mixtral", {"sliding_window": 7, "tie_word_embeddings": True}, old_rope=True),
    Toy("qwen3_moe-renormalized", "qwen3_moe", {"norm_topk_prob": True, "rope_parameters": YARN, "mlp_only_layers": [1]}),
    Toy("qwen3_moe-packed", "qwen3_moe", {"norm_topk_prob": True, "tie_word_embeddings": True}, packed=True),
    Toy("olmoe-groups", "olmoe", {"num_key_value_heads": 2, "norm_topk_prob": True}),
    Toy("glm4_moe-qk_norm", "glm4_moe", {"use_qk_norm": True, **GROUPS, "first_k_dense_replace": 2}),
    Toy("glm4_moe-packed", "glm4_moe", {"use_qk_norm": True, "attention_bias": False}, packed=True),
    Toy("glm4_moe-mtp", "glm4_moe", {"num_nextn_predict_layers": 1}, mtp=1),
    Toy("mimo-mtp", "mimo", {"num_nextn_predict_layers": 1}, mtp=1, block_seed=6),
    Toy("hy_v3-mtp", "hy_v3", {"num_nextn_predict_layers": 1}, mtp=1, block_seed=6),
    Toy("hy_v3-all_sparse", "hy_v3", {"mlp_layer_types": ["sparse", "dense", "sparse"], "num_shared_experts": 1, "tie_word_embeddings": True}),
    Toy("ling-bias", "ling", {"use_qkv_bias": True, "num_shared_experts": 1, "num_key_value_heads": 3}),
    Toy("ling-mtp", "ling", {"num_nextn_predict_layers": 1}, mtp=1),
    Toy("minimax_m2-tied", "minimax_m2", {"tie_word_embeddings": True, "num_key_value_heads": 6, "rope_parameters": DEFAULT}),
    Toy("ernie4_5_moe-tied", "ernie4_5_moe", {"tie_word_embeddings": True, "moe_layer_interval": 2, "num_hidden_layers": 4}),
    Toy("deepseek_v2-groups", "deepseek_v2", {"topk_method": "group_limited_greedy", **GROUPS, "rope_parameters": MSCALE}, old_rope=True),
    Toy("deepseek_v2-lite", "deepseek_v2", {"q_lora_rank": None, "routed_scaling_factor": 1.0}),
    Toy("deepseek_v3-yarn", "deepseek_v3", {"rope_parameters": MSCALE, "n_shared_experts": 1}, old_rope=True),
    Toy("deepseek_v3-moonlight", "deepseek_v3", {"q_lora_rank": None, "n_group": 1, "topk_group": 1}),
    Toy("deepseek_v3-mtp", "deepseek_v3", {"num_nextn_predict_layers": 1}, mtp=1),
    Toy("deepseek_v3-mtp2", "deepseek_v3", {"num_nextn_predict_layers": 2, "n_shared_experts": 1, "num_hidden_layers": 2}, mtp=2),
    Toy("glm4_moe_lite-mtp", "glm4_moe_lite", {"num_nextn_predict_layers": 1}, mtp=1),
    Toy("glm4_moe_lite-no_q_lora", "glm4_moe_lite", {"q_lora_rank": None, "mlp_layer_types": ["sparse", "dense", "sparse"]}),
    Toy("gemma-untied", "gemma", {"num_key_value_heads": 3, "tie_word_embeddings": False}, old_rope=True),
    Toy("gemma2-uncapped", "gemma2", {"num_hidden_layers": 4, "num_key_value_heads": 2, "attn_logit_softcapping": None, "final_logit_softcapping": None},
        old_rope=True),
    Toy("gemma3-linear", "gemma3", {"rope_parameters": {"sliding_attention": DEFAULT, "full_attention": {**LINEAR, "rope_theta": 1e6}}}, old_rope=True),
    Toy("gpt_oss-four", "gpt_oss", {"num_hidden_layers": 4, "num_experts_per_tok": 4, "head_dim": 12, "num_key_value_heads": 3}),
    Toy("exaone4-mixed", "exaone4", {"layer_types": None, "sliding_window": 7, "sliding_window_pattern": 4, "num_hidden_layers": 5,
                                     "tie_word_embeddings": False, "rope_parameters": {**DEFAULT, "rope_theta": 1e6}}),
    Toy("exaone_moe-dense", "exaone_moe", {"first_k_dense_replace": 2, "num_shared_experts": 1, "n_group": 1, "topk_group": 1,
                                           "tie_word_embeddings": True}),
    Toy("exaone_moe-mtp", "exaone_moe", {"num_nextn_predict_layers": 1}, mtp=1),
    Toy("nemotron-tied", "nemotron", {"num_key_value_heads": 6, "tie_word_embeddings": True}),
]
FAMILIES = list(FAMILY_TABLE)
WITH_MTP = [toy for toy in TOYS if toy.mtp]
BY_NAME = {toy.name: toy for toy in TOYS}
