"""Which keys, with which global shapes, Megatron's readers ask a torch_dist checkpoint for: the TransformerEngine spec, the
local spec, and the optimizers. Written from Megatron-Core 0.16.1 and Megatron Bridge 0.3.1 as they were seen to write and
read, not from rialto's own tables. A table is {key: shape}; an object (`_extra_state`) has shape None."""
from dataclasses import dataclass

STATES = ("exp_avg", "exp_avg_sq", "param", "fp32_param")   # the distributed optimizer asks for param, the plain bf16 one for fp32_param


@dataclass(frozen=True)
class Model:
    kind: str                # "dense", "moe" (all layers MoE, stacked keys), "mla" (DeepSeek: per-layer keys, dense layers first)
    layers: int
    hidden: int = 64
    vocab: int = 321
    ffn: int = 96
    heads: int = 4
    groups: int = 2
    head_dim: int = 20
    qkv_bias: bool = False
    qk_norm: bool = False
    tied: bool = False
    experts: int = 6
    expert_ffn: int = 40
    shared_ffn: int = 0
    expert_bias: bool = False
    q_lora: int = 24
    kv_lora: int = 16
    nope: int = 12
    rope: int = 8
    v_dim: int = 10
    dense_layers: int = 1


class Table(dict):
    """Collects keys under a prefix, with the axes that this prefix puts before every shape."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def tensor(self, key, *shape):
        assert key not in self, key
        self[key] = tuple(shape)

    def stacked(self, key, *shape):
        self.tensor("decoder.layers." + key, self.model.layers, *shape)

    def extra(self, module, axes):
        """One object for every index of the axes."""
        indices = [()]
        for size in axes:
            indices = [i + (n,) for i in indices for n in range(size)]
        for index in indices:
            self[f"{module}._extra_state/shard_{'.'.join(map(str, index))}_{'.'.join(map(str, axes))}"] = None

    def stacked_extra(self, *modules):
        for module in modules:
            self.extra("decoder.layers." + module, (self.model.layers,))


def ends(table, te):
    """Embedding, final norm, head."""
    m = table.model
    table.tensor("embedding.word_embeddings.weight", m.vocab, m.hidden)
    table.tensor("decoder.final_layernorm.weight", m.hidden)
    if te:
        table.extra("decoder.final_layernorm", (1,))
    if not m.tied:
        table.tensor("output_layer.weight", m.vocab, m.hidden)


def attention(table, te):
    """Grouped-query attention of stacked layers."""
    m = table.model
    width = (m.heads + 2 * m.groups) * m.head_dim
    table.stacked("self_attention.linear_qkv.layer_norm_weight", m.hidden)
    table.stacked("self_attention.linear_qkv.weight", width, m.hidden)
    if m.qkv_bias:
        table.stacked("self_attention.linear_qkv.bias", width)
    table.stacked("self_attention.linear_proj.weight", m.hidden, m.heads * m.head_dim)
    table.stacked_extra("self_attention.linear_qkv", "self_attention.linear_proj")
    if m.qk_norm:
        for name in ("q", "k"):
            table.stacked(f"self_attention.{name}_layernorm.weight", m.head_dim)
            if te:
                table.stacked_extra(f"self_attention.{name}_layernorm")


def dense(model, te):
    m, table = model, Table(model)
    ends(table, te)
    attention(table, te)
    table.stacked("mlp.linear_fc1.layer_norm_weight", m.hidden)   # both specs: the local one maps its pre_mlp_layernorm to it
    table.stacked("mlp.linear_fc1.weight", 2 * m.ffn, m.hidden)
    table.stacked("mlp.linear_fc2.weight", m.hidden, m.ffn)
    table.stacked_extra("mlp.linear_fc1", "mlp.linear_fc2")
    return table


def moe(model, te):
    m, table = model, Table(model)
    ends(table, te)
    attention(table, te)
    if te:
        table.stacked("pre_mlp_layernorm.weight", m.hidden)
        table.stacked_extra("pre_mlp_layernorm")
    else:
        table.stacked("mlp.linear_fc1.layer_norm_weight", m.hidden)   # the local spec's key map does not look whether it is MoE
    table.stacked("mlp.router.weight", m.experts, m.hidden)
    if m.expert_bias:
        table.stacked("mlp.router.expert_bias", m.experts)
    table.stacked("mlp.experts.experts.linear_fc1.weight", m.experts, 2 * m.expert_ffn, m.hidden)
    table.stacked("mlp.experts.experts.linear_fc2.weight", m.experts, m.hidden, m.expert_ffn)
    for name in ("linear_fc1", "linear_fc2"):
        table.extra(f"decoder.layers.mlp.experts.experts.{name}", (m.layers, m.experts))
    if m.shared_ffn:
        table.stacked("mlp.shared_experts.linear_fc1.weight", 2 * m.shared_ffn, m.hidden)
        table.stacked("mlp.shared_experts.linear_fc2.weight", m.hidden, m.shared_ffn)
        table.stacked_extra("mlp.shared_experts.linear_fc1", "mlp.shared_experts.linear_fc2")
    return table


def latent_attention(table, at, te):
    m = table.model
    table.tensor(at + "input_layernorm.weight", m.hidden)
    names = ("linear_q_down_proj", "linear_q_up_proj", "linear_kv_down_proj", "linear_kv_up_proj", "linear_proj")
    at += "self_attention."
    table.tensor(at + "linear_q_down_proj.weight", m.q_lora, m.hidden)
    table.tensor(at + "linear_q_up_proj.weight", m.heads * (m.nope + m.rope), m.q_lora)
    table.tensor(at + "linear_kv_down_proj.weight", m.kv_lora + m.rope, m.hidden)
    table.tensor(at + "linear_kv_up_proj.weight", m.heads * (m.nope + m.v_dim), m.kv_lora)
    table.tensor(at + "linear_proj.weight", m.hidden, m.heads * m.v_dim)
    for name, size in (("q", m.q_lora), ("kv", m.kv_lora)):
        table.tensor(at + (f"linear_{name}_up_proj.layer_norm_weight" if te else f"{name}_layernorm.weight"), size)
    for name in names:
        table.extra(at + name, (1,))


def mla(model, te):
    """Per-layer keys, since moe_layer_freq is a list."""
    m, table = model, Table(model)
    ends(table, te)
    for layer in range(m.layers):
        at = f"decoder.layers.{layer}."
        latent_attention(table, at, te)
        if te:
            table.extra(at + "input_layernorm", (1,))
        if layer < m.dense_layers:
            table.tensor(at + ("mlp.linear_fc1.layer_norm_weight" if te else "pre_mlp_layernorm.weight"), m.hidden)
            table.tensor(at + "mlp.linear_fc1.weight", 2 * m.ffn, m.hidden)
            table.tensor(at + "mlp.linear_fc2.weight", m.hidden, m.ffn)
            for name in ("linear_fc1", "linear_fc2"):
                table.extra(at + "mlp." + name, (1,))
            continue
        table.tensor(at + "pre_mlp_layernorm.weight", m.hidden)
        if te:
            table.extra(at + "pre_mlp_layernorm", (1,))
        table.tensor(at + "mlp.router.weight", m.experts, m.hidden)
        if m.expert_bias:
            table.tensor(at + "mlp.router.expert_bias", m.experts)
        table.tensor(at + "mlp.experts.experts.linear_fc1.weight", m.experts, 2 * m.expert_ffn, m.hidden)
        table.tensor(at + "mlp.experts.experts.linear_fc2.weight", m.experts, m.hidden, m.expert_ffn)
        table.tensor(at + "mlp.shared_experts.linear_fc1.weight", 2 * m.shared_ffn, m.hidden)
        table.tensor(at + "mlp.shared_experts.linear_fc2.weight", m.hidden, m.shared_ffn)
        for name in ("linear_fc1", "linear_fc2"):
            table.extra(at + f"mlp.experts.experts.{name}", (m.experts,))
            table.extra(at + f"mlp.shared_experts.{name}", (1,))
    return table


def asked(model, reader, optimizer=True):
    """What `reader` ("te" or "local") asks for: the model, and the state of every trained tensor under each optimizer's name."""
    table = dict({"dense": dense, "moe": moe, "mla": mla}[model.kind](model, reader == "te"))
    if optimizer:
        for key, shape in list(table.items()):
            if shape is not None and not key.endswith("expert_bias"):   # a buffer, moved by the router's balance, not by the optimizer
                table.update({f"optimizer.state.{state}.{key}": shape for state in STATES})
    return table


def missing(written, model, optimizer=True):
    """What some reader asks for and a checkpoint with {key: shape} does not have: [(key, want, got)]."""
    out = []
    for reader in ("te", "local"):
        for key, shape in asked(model, reader, optimizer).items():
            if key not in written or written[key] != shape:
                out.append((key, shape, written.get(key, "nothing")))
    return out
