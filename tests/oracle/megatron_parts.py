"""Modules for what no option of Megatron-Core 0.16.1 says (megatron_lacks.py asks it), put where Core's own specs let a model
bring modules, as Megatron Bridge does for these families. Everything else of such a model is Core's. Written from the
families' own formulas; knows nothing of rialto."""
import megatron_cpu  # noqa: F401  (first: it makes megatron run on a CPU)
import torch
from megatron.core.fusions.fused_layer_norm import FusedLayerNorm
from megatron.core.models.common.embeddings.rotary_pos_embedding import RotaryEmbedding
from megatron.core.tensor_parallel.layers import RowParallelLinear
from megatron.core.transformer.attention import SelfAttention
from megatron.core.transformer.dot_product_attention import DotProductAttention
from megatron.core.transformer.identity_op import IdentityOp
from megatron.core.transformer.moe.moe_layer import MoELayer
from megatron.core.transformer.moe.router import TopKRouter
from megatron.core.transformer.torch_norm import WrappedTorchNorm
from megatron.core.transformer.utils import is_layer_window_attention


class LatentCoreAttention(DotProductAttention):
    """Core's own attention takes one head size for keys and values; latent attention has two."""

    def __init__(self, *args, k_channels=None, v_channels=None, **options):
        super().__init__(*args, **options)
        if v_channels is not None:
            self.hidden_size_per_partition = v_channels * self.num_attention_heads_per_partition


class FullWidthNormAttention(SelfAttention):
    """Query and key norms over all heads together, as Megatron Bridge builds OLMoE: Core's are per head."""

    def __init__(self, config, submodules, layer_number, **options):
        super().__init__(config, submodules, layer_number, **options)
        for name, heads in (("q_layernorm", config.num_attention_heads), ("k_layernorm", config.num_query_groups)):
            setattr(self, name, getattr(submodules, name)(config=config, hidden_size=heads * config.kv_channels, eps=config.layernorm_epsilon))

    def get_query_key_value_tensors(self, hidden_states, *args, **options):
        norms, self.q_layernorm, self.k_layernorm = (self.q_layernorm, self.k_layernorm), None, None
        query, key, value = super().get_query_key_value_tensors(hidden_states, *args, **options)
        self.q_layernorm, self.k_layernorm = norms
        query, key = (norm(t.flatten(2)).view_as(t) for norm, t in zip(norms, (query, key)))
        return query, key, value


class ZeroCenteredRmsNorm(torch.nn.RMSNorm):
    """The RMSNorm of TransformerEngine under layernorm_zero_centered_gamma: the weight is stored as weight - 1."""

    def __init__(self, config, hidden_size, eps=1e-5):
        super().__init__(hidden_size, eps=eps)
        assert config.layernorm_zero_centered_gamma and config.normalization == "RMSNorm"

    def forward(self, x):
        return torch.nn.functional.rms_norm(x, self.normalized_shape, self.weight + 1, self.eps)


class NormBehind(RowParallelLinear):
    """What Megatron Bridge's TERowParallelLinearLayerNorm adds, over Core's own linear: a norm of what the block adds."""

    def __init__(self, input_size, output_size, *, config, **rest):
        super().__init__(input_size, output_size, config=config, **rest)
        norm = ZeroCenteredRmsNorm if config.layernorm_zero_centered_gamma else WrappedTorchNorm
        self.post_layernorm = norm(config, output_size, eps=config.layernorm_epsilon)

    def forward(self, x):
        out, bias = super().forward(x)
        assert bias is None
        return self.post_layernorm(out), None


class FreshOutput(RowParallelLinear):
    """Core adds an expert's bias in place to what its linear returns, which on one rank is a view that torch lets nobody add to
    while training."""

    def forward(self, x):
        out, bias = super().forward(x)
        return out.clone(), bias


class _CappedScores(torch.nn.Module):
    """softmax(cap tanh(scores / cap)), masked after the cap."""

    def __init__(self, softmax, cap):
        super().__init__()
        self.softmax, self.cap = softmax, cap

    def forward(self, scores, *rest):
        return self.softmax(self.cap * torch.tanh(scores / self.cap), *rest)


class CappedCoreAttention(DotProductAttention):
    """Gemma 2's scores; the cap is an attribute of the configuration."""

    def __init__(self, config, *args, **options):
        super().__init__(config, *args, **options)
        self.scale_mask_softmax = _CappedScores(self.scale_mask_softmax, config.attention_softcap)


class LocalRopeAttention(SelfAttention):
    """Gemma 3: layers with a window turn by a base of their own, an attribute of the configuration."""

    def __init__(self, config, submodules, layer_number, **options):
        super().__init__(config, submodules, layer_number, **options)
        self.rope = None
        if is_layer_window_attention(config.window_size, config.window_attn_skip_freq, layer_number):
            self.rope = RotaryEmbedding(config.kv_channels, 1.0, rotary_base=config.local_rotary_base, use_cpu_initialization=True)

    def forward(self, hidden_states, *args, rotary_pos_emb, **options):
        mine = rotary_pos_emb if self.rope is None else self.rope(rotary_pos_emb.shape[0])
        return super().forward(hidden_states, *args, rotary_pos_emb=mine, **options)


class BiasedSoftmaxRouter(TopKRouter):
    """Scores by softmax under a selection bias. Core has the bias with sigmoid only, so it is given the logits whose sigmoid is
    the softmax p of its own: log(p / (1 - p))."""

    def gating(self, x):
        scores = torch.softmax(super().gating(x), -1, dtype=torch.float32)
        return torch.log(scores) - torch.log1p(-scores)


def zero_centered_norm(core):
    """The module for layernorm_zero_centered_gamma: for LayerNorm Core's own, whose kernel is Apex's (megatron_cpu.py stands in)."""
    return FusedLayerNorm if core.normalization == "LayerNorm" else ZeroCenteredRmsNorm


def into_layer(config, core, layer):
    """Puts the modules that the family needs into the submodules of a layer's spec."""
    family, attention = config["model_type"], layer.self_attention
    if core.layernorm_zero_centered_gamma:
        layer.input_layernorm = layer.pre_mlp_layernorm = zero_centered_norm(core)
        if core.qk_layernorm:
            attention.submodules.q_layernorm = attention.submodules.k_layernorm = zero_centered_norm(core)
    if core.multi_latent_attention:
        attention.submodules.core_attention = LatentCoreAttention
    if family in ("olmoe", "minimax_m2"):
        attention.module = FullWidthNormAttention
    if family in ("gemma2", "gemma3_text", "exaone4"):
        attention.submodules.linear_proj = layer.mlp.submodules.linear_fc2 = NormBehind
    if family == "gpt_oss":
        layer.mlp.submodules.experts.submodules.linear_fc2 = FreshOutput
    if family == "exaone4":
        layer.input_layernorm = layer.pre_mlp_layernorm = IdentityOp
    if config.get("attn_logit_softcapping"):
        attention.submodules.core_attention, core.attention_softcap = CappedCoreAttention, config["attn_logit_softcapping"]
    if family == "gemma3_text":
        attention.module, core.local_rotary_base = LocalRopeAttention, config["rope_parameters"]["sliding_attention"]["rope_theta"]
    if family == "ernie4_5_moe" and layer.mlp.module is MoELayer:
        layer.mlp.submodules.router = BiasedSoftmaxRouter


def into_block(core, block):
    """The last norm."""
    if core.layernorm_zero_centered_gamma:
        block.layer_norm = zero_centered_norm(core)


def scaled_embeddings(gpt, factor):
    """Gemma: embeddings leave the embedding scaled; the tied head takes them as they are."""
    gpt.embedding.register_forward_hook(lambda _, __, out: out * factor)


def capped_logits(gpt, cap):
    """Gemma 2: cap tanh(logits / cap)."""
    gpt.output_layer.register_forward_hook(lambda _, __, out: (cap * torch.tanh(out[0] / cap), out[1]))


def around(config, gpt):
    """What stands at the two ends of a model that is built."""
    if config["model_type"].startswith("gemma"):
        scaled_embeddings(gpt, config["hidden_size"] ** 0.5)
    if config.get("final_logit_softcapping"):
        capped_logits(gpt, config["final_logit_softcapping"])
