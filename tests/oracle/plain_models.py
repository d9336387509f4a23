"""Plain references for the two families that transformers 5 has no class for: Ling 2.0 (BailingMoeV2) and Sarvam-30B, which share
one layout. Written from the published descriptions: fused query/key/value, QK-norm before a partial rotation, a sigmoid router
with a selection bias and groups, shared experts, dense first layers. Parameters carry the names of the published files."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return self.weight * (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class Mlp(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(hidden, width, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    """(experts [tokens, k], weights [tokens, k]): the k best of the best groups by score plus bias, weighed by score."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.weight = nn.Parameter(torch.empty(c.num_experts, c.hidden_size))
        self.register_buffer("expert_bias", torch.zeros(c.num_experts))

    def forward(self, x):
        c = self.c
        scores = torch.sigmoid(x.float() @ self.weight.float().T)
        wanted = scores + self.expert_bias
        if c.n_group > 1:
            groups = wanted.view(-1, c.n_group, c.num_experts // c.n_group)
            best = torch.topk(groups.topk(2, -1).values.sum(-1), c.topk_group, -1).indices
            kept = torch.zeros(groups.shape[:2], dtype=torch.bool).scatter(1, best, True)
            wanted = groups.masked_fill(~kept[..., None], float("-inf")).flatten(1)
        chosen = torch.topk(wanted, c.num_experts_per_tok, -1).indices
        weights = scores.gather(1, chosen)
        return chosen, weights / (weights.sum(-1, keepdim=True) + 1e-20) * c.routed_scaling_factor


class Moe(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate = Gate(c)
        self.experts = nn.ModuleList(Mlp(c.hidden_size, c.moe_intermediate_size) for _ in range(c.num_experts))
        self.shared_experts = Mlp(c.hidden_size, c.moe_intermediate_size * c.num_shared_experts)

    def forward(self, x):
        rows = x.flatten(0, 1)
        chosen, weights = self.gate(rows)
        out = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            token, place = torch.where(chosen == number)
            out = out.index_add(0, token, expert(rows[token]) * weights[token, place, None])
        return out.view_as(x) + self.shared_experts(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, d = c, c.head_dim
        self.query_key_value = nn.Linear(c.hidden_size, (c.num_attention_heads + 2 * c.num_key_value_heads) * d, bias=c.use_qkv_bias)
        self.query_layernorm, self.key_layernorm = (RmsNorm(d, c.rms_norm_eps) for _ in range(2))
        self.dense = nn.Linear(c.num_attention_heads * d, c.hidden_size, bias=False)

    def rotated(self, x):
        """Channel i turns with i + half of the rotated width; the rest passes."""
        width = int(self.c.head_dim * getattr(self.c, "partial_rotary_factor", 1.0))
        frequencies = self.c.rope_theta ** -(torch.arange(0, width, 2).float() / width)
        angles = torch.arange(x.shape[2]).float()[:, None] * frequencies
        a, b, rest = x[..., :width // 2], x[..., width // 2:width], x[..., width:]
        return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin(), rest], -1)

    def forward(self, x):
        c, (rows, length, _) = self.c, x.shape
        qkv = self.query_key_value(x).view(rows, length, -1, c.head_dim).transpose(1, 2)
        q, k, v = qkv.split([c.num_attention_heads, c.num_key_value_heads, c.num_key_value_heads], 1)
        q, k = self.rotated(self.query_layernorm(q)), self.rotated(self.key_layernorm(k))
        k, v = (t.repeat_interleave(c.num_attention_heads // c.num_key_value_heads, 1) for t in (k, v))
        scores = q @ k.transpose(2, 3) * c.head_dim ** -0.5
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), float("-inf"))
        return self.dense((scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, -1))


class Layer(nn.Module):
    def __init__(self, c, number):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = (RmsNorm(c.hidden_size, c.rms_norm_eps) for _ in range(2))
        self.attention = Attention(c)
        self.mlp = Moe(c) if number >= c.first_k_dense_replace else Mlp(c.hidden_size, c.intermediate_size)

    def forward(self, x):
        x = x + self.attention(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.word_embeddings = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c, number) for number in range(c.num_hidden_layers))
        self.norm = RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.c = c

    def forward(self, ids):
        x = self.word_embeddings(ids)
        for layer in self.layers[:self.c.num_hidden_layers]:
            x = layer(x)
        return SimpleNamespace(last_hidden_state=self.norm(x))


class PlainModel(nn.Module):
    """Called as a transformers model is: model(ids, labels=ids).logits and .loss."""

    def __init__(self, values):
        super().__init__()
        self.config = SimpleNamespace(**values)
        self.model = Trunk(self.config)
        self.lm_head = nn.Linear(self.config.hidden_size, self.config.vocab_size, bias=False)

    def forward(self, ids, labels=None):
        logits = self.lm_head(self.model(ids).last_hidden_state)
        loss = None if labels is None else F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return SimpleNamespace(logits=logits, loss=loss)
