"""Pieces of a Megatron-Core that has gained what megatron_lacks.py finds lacking by behaviour: put in place of Core's own, each must
make its row, and no other, say that Core can."""
import megatron_lacks
import torch
from megatron.core.models.common.embeddings.rotary_pos_embedding import RotaryEmbedding
from megatron.core.transformer.attention import SelfAttention
from megatron.core.transformer.dot_product_attention import DotProductAttention
from megatron.core.transformer.transformer_config import TransformerConfig


class BiasWithSoftmax(TransformerConfig):
    def __post_init__(self):
        score, self.moe_router_score_function = self.moe_router_score_function, "sigmoid"
        super().__post_init__()
        self.moe_router_score_function = score


class TwoHeadSizes(DotProductAttention):
    def __init__(self, *args, k_channels=None, v_channels=None, **options):
        super().__init__(*args, **options)


class FullWidth(SelfAttention):
    def __init__(self, config, submodules, layer_number):
        super().__init__(config, submodules, layer_number)
        self.q_layernorm = torch.nn.RMSNorm(config.num_attention_heads * config.kv_channels)


class Llama3OfAnyLength(RotaryEmbedding):
    def __init__(self, kv_channels, rotary_percent, original_max_position_embeddings=8192):
        super().__init__(kv_channels, rotary_percent)


def by_the_best(scores, **options):
    return torch.tensor([[9.0, 0.0]]), torch.tensor([[0, 1]])


PIECES = {"TransformerConfig": BiasWithSoftmax, "DotProductAttention": TwoHeadSizes, "SelfAttention": FullWidth, "RotaryEmbedding": Llama3OfAnyLength,
          "group_limited_topk": by_the_best, "WrappedTorchNorm": lambda config, size: torch.nn.RMSNorm(size)}


def gained():
    """{piece: options whose row says that Core can, with the piece in place}."""
    found = {}
    for name, piece in PIECES.items():
        own = getattr(megatron_lacks, name)
        setattr(megatron_lacks, name, piece)
        found[name] = [row["option"] for row in megatron_lacks.answers() if row["answer"] is None]
        setattr(megatron_lacks, name, own)
    return found
