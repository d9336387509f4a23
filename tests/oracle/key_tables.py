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
    biases: bool = False        # add_bias_linear; only for "moe", whose dense blocks are none
    sinks: bool = False         # softmax_type "learnable"
    post_norms: bool = False    # behind both products, as Megatron Bridge's TERowParallelLinearLayerNorm has them; only for "dense"
    layer_norm: bool = False    # LayerNorm with biases instead of RMSNorm
    shared_gate: bool = False
    mtp: int = 0                # blocks of multi-token prediction


class Scope:
    """Adds keys under a prefix, with the axes that this prefix puts before every shape."""

    def __init__(self, table, model, te, prefix="", axes=()):
        self.table, self.model, self.te, self.prefix, self.axes = table, model, te, prefix, axes

    def inside(self, prefix, *axes):
        return Scope(self.table, self.model, self.te, self.prefix + prefix, self.axes + axes)

    def tensor(self, key, *shape):
        key = self.prefix + key
        assert key not in self.table, key
        self.table[key] = self.axes + tuple(shape)

    def extra(self, *modules):
        """One object for every index of the axes, of each module."""
        axes = self.axes or (1,)
        indices = [()]
        for size in axes:
            indices = [i + (n,) for i in indices for n in range(size)]
        for module in modules:
            for index in indices:
                self.table[f"{self.prefix}{module}._extra_state/shard_{'.'.join(map(str, index))}_{'.'.join(map(str, axes))}"] = None

    def norm(self, stem, size, module=None):
        """`module`: a TransformerEngine norm, which has an object; none: one fused into a linear, whose object that is."""
        self.tensor(stem + "weight", size)
        if self.model.layer_norm:
            self.tensor(stem + "bias", size)
        if module and self.te:
            self.extra(module)

    def linear(self, name, out, into, bias=False):
        self.tensor(name + ".weight", out, into)
        if bias:
            self.tensor(name + ".bias", out)
        self.extra(name)


def ends(scope):
    """Embedding, final norm, head."""
    m = scope.model
    scope.tensor("embedding.word_embeddings.weight", m.vocab, m.hidden)
    scope.norm("decoder.final_layernorm.", m.hidden, "decoder.final_layernorm")
    if not m.tied:
        scope.tensor("output_layer.weight", m.vocab, m.hidden)


def attention(at):
    """Grouped-query attention; both specs name the norm before it as if it were fused."""
    m = at.model
    at.norm("self_attention.linear_qkv.layer_norm_", m.hidden)
    at = at.inside("self_attention.")
    at.linear("linear_qkv", (m.heads + 2 * m.groups) * m.head_dim, m.hidden, m.qkv_bias or m.biases)
    at.linear("linear_proj", m.hidden, m.heads * m.head_dim, m.biases)
    if m.post_norms:
        at.norm("linear_proj.post_layernorm.", m.hidden, "linear_proj.post_layernorm")
    if m.qk_norm:
        for name in ("q", "k"):
            at.norm(f"{name}_layernorm.", m.head_dim, f"{name}_layernorm")
    if m.sinks:
        at.tensor("core_attention.softmax_offset", m.heads)
        if at.te:
            at.extra("core_attention")


def latent_attention(at):
    m = at.model
    at.norm("input_layernorm.", m.hidden, "input_layernorm")
    at = at.inside("self_attention.")
    query = m.heads * (m.nope + m.rope)
    if m.q_lora:
        at.linear("linear_q_down_proj", m.q_lora, m.hidden)
        at.linear("linear_q_up_proj", query, m.q_lora)
    else:
        at.linear("linear_q_proj", query, m.hidden)
    at.linear("linear_kv_down_proj", m.kv_lora + m.rope, m.hidden)
    at.linear("linear_kv_up_proj", m.heads * (m.nope + m.v_dim), m.kv_lora)
    at.linear("linear_proj", m.hidden, m.heads * m.v_dim)
    for name, size in (("q", m.q_lora), ("kv", m.kv_lora)):
        if size:
            at.norm(f"linear_{name}_up_proj.layer_norm_" if at.te else f"{name}_layernorm.", size)


def dense_block(at):
    m = at.model
    # The local spec keeps the norm apart, but maps it to the fused name where attention is not latent.
    fused = at.te or m.kind != "mla"
    at.norm("mlp.linear_fc1.layer_norm_" if fused else "pre_mlp_layernorm.", m.hidden)
    at.linear("mlp.linear_fc1", 2 * m.ffn, m.hidden)
    at.linear("mlp.linear_fc2", m.hidden, m.ffn)
    if m.post_norms:
        at.norm("mlp.linear_fc2.post_layernorm.", m.hidden, "mlp.linear_fc2.post_layernorm")


def experts_block(at):
    m = at.model
    if at.te or m.kind == "mla":
        at.norm("pre_mlp_layernorm.", m.hidden, "pre_mlp_layernorm")
    else:
        at.norm("mlp.linear_fc1.layer_norm_", m.hidden)   # the local spec's key map does not look whether it is MoE
    at = at.inside("mlp.")
    at.tensor("router.weight", m.experts, m.hidden)
    if m.biases:
        at.tensor("router.bias", m.experts)
    if m.expert_bias:
        at.tensor("router.expert_bias", m.experts)
    experts = at.inside("experts.experts.", m.experts)
    experts.linear("linear_fc1", 2 * m.expert_ffn, m.hidden, m.biases)
    experts.linear("linear_fc2", m.hidden, m.expert_ffn, m.biases)
    if m.shared_ffn:
        at.linear("shared_experts.linear_fc1", 2 * m.shared_ffn, m.hidden)
        at.linear("shared_experts.linear_fc2", m.hidden, m.shared_ffn)
        if m.shared_gate:
            at.tensor("shared_experts.gate_weight", 1, m.hidden)


def layer(at, number):
    m = at.model
    (latent_attention if m.kind == "mla" else attention)(at)
    (dense_block if m.kind == "dense" or (m.kind == "mla" and number < m.dense_layers) else experts_block)(at)


def weights(model, te):
    table = {}
    root = Scope(table, model, te)
    ends(root)
    if model.kind == "mla":   # its moe_layer_freq is a list: keys carry the layer
        for number in range(model.layers):
            layer(root.inside(f"decoder.layers.{number}."), number)
    else:
        layer(root.inside("decoder.layers.", model.layers), model.layers - 1)
    for depth in range(model.mtp):   # never a layer axis
        at = root.inside(f"mtp.layers.{depth}.")
        for name in ("enorm", "hnorm", "final_layernorm"):
            at.norm(name + ".", model.hidden, name)
        at.linear("eh_proj", model.hidden, 2 * model.hidden)
        layer(at.inside("transformer_layer."), model.layers - 1)
    return table


def asked(model, reader, optimizer=True):
    """What `reader` ("te" or "local") asks for: the model, and the state of every trained tensor under each optimizer's name."""
    table = weights(model, reader == "te")
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
