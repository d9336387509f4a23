"""What Megatron-Core 0.16.1 has no option for, asked of Core itself: each row names the option as Core spells it (or would), the
families that need it, what the tests' models have in its place (megatron_parts.py), and a probe that says how Core answers.
A Core that gains the option makes its probe say None; then the row goes, and with it the module in its place."""
import dataclasses
import inspect
import re

import megatron_cpu  # noqa: F401  (first: it makes megatron run on a CPU)
import megatron_parts
import torch
from megatron.core.extensions.transformer_engine import TENorm
from megatron.core.fusions.fused_layer_norm import FusedLayerNorm
from megatron.core.models.common.embeddings.language_model_embedding import LanguageModelEmbedding
from megatron.core.models.common.embeddings.rotary_pos_embedding import RotaryEmbedding
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer.attention import SelfAttention
from megatron.core.transformer.dot_product_attention import DotProductAttention
from megatron.core.transformer.moe.moe_utils import group_limited_topk
from megatron.core.transformer.torch_norm import WrappedTorchNorm
from megatron.core.transformer.transformer_config import MLATransformerConfig, TransformerConfig
from megatron.core.transformer.transformer_layer import TransformerLayerSubmodules

TINY = dict(num_layers=1, hidden_size=8, num_attention_heads=2, use_cpu_initialization=True, persist_layer_norm=False)
TAKING = (GPTModel, LanguageModelEmbedding, RotaryEmbedding, DotProductAttention, SelfAttention)


def names():
    """Every option that a configuration, a layer's spec or one of the modules that compute takes."""
    found = {field.name for kind in (TransformerConfig, MLATransformerConfig, TransformerLayerSubmodules) for field in dataclasses.fields(kind)}
    return found.union(*(inspect.signature(kind.__init__).parameters for kind in TAKING))


def no_option(pattern):
    """A probe: no option is called like this."""
    def probe(known):
        found = sorted(name for name in known if re.search(pattern, name))
        return None if found else f"no option is called like {pattern}"
    return probe


def raised(*calls):
    """What every one of the calls raises; None when one of them does not."""
    answers = []
    for call in calls:
        try:
            call()
            return None
        except (AssertionError, ImportError, TypeError, ValueError) as error:
            answers.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return "; ".join(answers)


def softmax_with_selection_bias(known):
    return raised(lambda: TransformerConfig(**TINY, num_moe_experts=4, moe_router_enable_expert_bias=True, moe_router_score_function="softmax"))


def zero_centered_rms_norm(known):
    core = TransformerConfig(**TINY, normalization="RMSNorm", layernorm_zero_centered_gamma=True)
    return raised(*(lambda norm=norm: norm(core, 8) for norm in (WrappedTorchNorm, FusedLayerNorm, TENorm)))


def two_head_sizes(known):
    core = TransformerConfig(**TINY)
    return raised(lambda: DotProductAttention(core, 1, None, "self", k_channels=12, v_channels=10))


def full_width_norm(known):
    core = TransformerConfig(**TINY, qk_layernorm=True, normalization="RMSNorm")
    layer = get_gpt_layer_local_spec(qk_layernorm=True, normalization="RMSNorm").submodules.self_attention
    width = SelfAttention(core, layer.submodules, 1).q_layernorm.weight.shape[0]
    if width == core.num_attention_heads * core.kv_channels or no_option(r"qk_\w*norm\w*(full|width|all|heads)")(known) is None:
        return None
    return f"a norm of {core.num_attention_heads} query heads of {core.kv_channels} has {width} weights"


def groups_by_their_best(known):
    """Two groups of two, one is to be taken: the first has the best expert, the second the best two."""
    _, experts = group_limited_topk(torch.tensor([[9.0, 0.0, 6.0, 5.0]]), topk=2, num_tokens=1, num_experts=4, num_groups=2, group_topk=1)
    if sorted(experts[0].tolist()) == [0, 1] or no_option(r"group\w*_(score|rank|method|max)|topk_method")(known) is None:
        return None
    return f"of scores 9 0 | 6 5 the experts {sorted(experts[0].tolist())} are taken"


def llama3_positions(known):
    taken = inspect.signature(RotaryEmbedding.__init__).parameters
    return None if "original_max_position_embeddings" in taken else "RotaryEmbedding does not take it"


@dataclasses.dataclass(frozen=True)
class Row:
    option: str        # as Core spells it or would
    families: tuple    # those whose model cannot be said without it
    probe: object      # probe(names) -> how Core answers, or None: it can
    instead: object    # the module that the tests' models have in its place; None: the toys do without the option
    when: str = ""     # the part of a family that needs it; "": all of it


LATENT = ("deepseek_v2", "deepseek_v3", "kimi_k2", "glm4_moe_lite", "sarvam_mla")
POST_NORM = r"post_\w*(attn|attention|mlp|feed_?forward|ffn)\w*norm|sandwich"
ROWS = (
    Row('moe_router_enable_expert_bias with moe_router_score_function="softmax"', ("ernie4_5_moe",), softmax_with_selection_bias,
        megatron_parts.BiasedSoftmaxRouter),
    Row('layernorm_zero_centered_gamma with normalization="RMSNorm" outside TransformerEngine', ("gemma", "gemma2", "gemma3"),
        zero_centered_rms_norm, megatron_parts.ZeroCenteredRmsNorm),
    Row("embedding_multiplier", ("gemma", "gemma2", "gemma3"), no_option(r"emb\w*_(mult|scale|scaling|factor)|scale\w*_emb"),
        megatron_parts.scaled_embeddings),
    Row("post_attention_layernorm, post_mlp_layernorm", ("gemma2", "gemma3", "exaone4"), no_option(POST_NORM), megatron_parts.NormBehind),
    Row("attn_logit_softcapping", ("gemma2",), no_option(r"soft_?cap|attn_logit_cap"), megatron_parts.CappedCoreAttention),
    Row("final_logit_softcapping", ("gemma2",), no_option(r"soft_?cap|(final|output)_logit\w*cap"), megatron_parts.capped_logits),
    Row("rotary_base_local", ("gemma3",), no_option(r"rotary_base_|(local|window)\w*(rope|rotary)|(rope|rotary)\w*(local|window)"),
        megatron_parts.LocalRopeAttention),
    Row("qk_layernorm_full_width", ("olmoe", "minimax_m2"), full_width_norm, megatron_parts.FullWidthNormAttention),
    Row("k_channels, v_channels of DotProductAttention (TransformerEngine's takes them)", LATENT, two_head_sizes, megatron_parts.LatentCoreAttention),
    Row("original_max_position_embeddings of rope_scaling", ("llama", "exaone4"), llama3_positions, None, "llama3 scaling of another length than 8192"),
    Row("long_factor, short_factor", ("phi3",), no_option(r"long_?rope|(long|short)_(m?scale|factor)"), None, "LongRoPE"),
    Row("latent_layernorm_epsilon", LATENT, no_option(r"(latent|lora|kv|q)_\w*eps"), None, "rms_norm_eps other than 1e-6"),
    Row("moe_router_group_score_method", ("deepseek_v2",), groups_by_their_best, None, "more experts a token than groups a token (DeepSeek V2 itself)"),
)


def answers(also=()):
    """Every row with Core's answer. `also`: names that a newer Core might take, as if this one did."""
    known = names() | set(also)
    return [{"option": row.option, "families": list(row.families), "instead": row.instead.__name__ if row.instead else None, "when": row.when,
             "answer": row.probe(known)} for row in ROWS]
