"""Builds real Megatron-Core models and optimizers of the toys from their config.json, in this process's part of a layout.
Written from the configurations themselves and knows nothing of rialto."""
import megatron_cpu  # noqa: F401  (first: it makes megatron run on a CPU)
import megatron_families
import torch
from megatron.core import parallel_state as ps
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer.module import Float16Module
from megatron.core.transformer.transformer_config import TransformerConfig

METADATA = {"singleton_local_shards": False, "chained_optim_avoid_prefix": True, "distrib_optim_sharding_type": "fully_reshardable",
            "distrib_optim_fully_reshardable_mem_efficient": False}
ADAM = dict(weight_decay=0.1, adam_beta1=0.9, adam_beta2=0.95, adam_eps=1e-3, clip_grad=1.0)


def rope_of(config):
    """(base, {"type": ...}) in either spelling."""
    rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"], **(config.get("rope_scaling") or {"rope_type": "default"})}
    return rope["rope_theta"], rope


def model_config(config, tp, pp, dtype):
    heads = config["num_attention_heads"]
    family = config["model_type"]
    window = config.get("sliding_window") if family == "mistral" else None
    return TransformerConfig(
        num_layers=config["num_hidden_layers"], hidden_size=config["hidden_size"], num_attention_heads=heads,
        num_query_groups=config.get("num_key_value_heads") or heads, kv_channels=config.get("head_dim") or config["hidden_size"] // heads,
        ffn_hidden_size=config["intermediate_size"], layernorm_epsilon=config["rms_norm_eps"], qk_layernorm=family == "qwen3",
        add_qkv_bias=family == "qwen2", window_size=(window - 1, 0) if window else None,   # Megatron counts the keys before the query
        gated_linear_unit=True, activation_func=torch.nn.functional.silu, add_bias_linear=False, normalization="RMSNorm",
        hidden_dropout=0.0, attention_dropout=0.0, use_cpu_initialization=True, params_dtype=dtype, bf16=dtype == torch.bfloat16,
        tensor_model_parallel_size=tp, pipeline_model_parallel_size=pp, pipeline_dtype=dtype,
        bias_activation_fusion=False, bias_dropout_fusion=False, masked_softmax_fusion=False, apply_rope_fusion=False,
        gradient_accumulation_fusion=False, persist_layer_norm=False, batch_p2p_comm=False, deallocate_pipeline_outputs=True)


def build_gpt(config, layout, dtype):
    """This rank's part of the model."""
    tp, pp, _ = layout
    if config["model_type"] not in ("llama", "mistral", "qwen2", "qwen3"):
        return megatron_families.build(config, dtype=dtype, layout=layout)
    base, rope = rope_of(config)
    kind = rope["rope_type"]
    return GPTModel(
        model_config(config, tp, pp, dtype),
        get_gpt_layer_local_spec(qk_layernorm=config["model_type"] == "qwen3", normalization="RMSNorm"),
        vocab_size=-(-config["vocab_size"] // tp) * tp, max_sequence_length=config["max_position_embeddings"],
        position_embedding_type="rope", rotary_base=base, rope_scaling=kind == "llama3", rope_scaling_factor=rope.get("factor", 8.0),
        seq_len_interpolation_factor=rope["factor"] if kind == "linear" else None,
        share_embeddings_and_output_weights=config.get("tie_word_embeddings", False),
        pre_process=ps.is_pipeline_first_stage(), post_process=ps.is_pipeline_last_stage())


class Trainee:
    """A model and its optimizer. `distributed`: Megatron's distributed optimizer, else the plain one of the dtype."""

    def __init__(self, config, layout, dtype, distributed):
        torch.manual_seed(1)
        self.config, self.layout, self.gpt = config, layout, build_gpt(config, layout, dtype)
        wrapped = Float16Module(self.gpt.config, self.gpt) if dtype == torch.bfloat16 else self.gpt
        ddp = DistributedDataParallelConfig(grad_reduce_in_fp32=True, overlap_grad_reduce=False, use_distributed_optimizer=distributed)
        self.ddp = DistributedDataParallel(self.gpt.config, ddp, wrapped)
        self.optimizer = get_megatron_optimizer(OptimizerConfig(
            optimizer="adam", lr=1e-3, min_lr=0.0, bf16=dtype == torch.bfloat16, fp16=False, params_dtype=dtype,
            use_distributed_optimizer=distributed, **ADAM), [self.ddp])

    def sharded(self, loading=False):
        """Megatron's sharded state of model and optimizer."""
        if loading:
            for optimizer in self.optimizer.chained_optimizers:
                if hasattr(optimizer, "_init_optimizer_states_with_dummy_values"):
                    optimizer._init_optimizer_states_with_dummy_values()   # torch's AdamW has no state before its first step
        state = {"model": self.ddp.module.sharded_state_dict(metadata=dict(METADATA))}
        state["optimizer"] = self.optimizer.sharded_state_dict(state["model"], is_loading=loading, metadata=dict(METADATA))
        return state

    def restore(self, state):
        self.gpt.load_state_dict(state["model"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])

    def step(self, rows, learning_rate, fp32_gradients=False):
        """One optimizer step on the batch; what Megatron's scheduler would set is set here. `fp32_gradients`: computed by an
        fp32 model with the same weights, which another program can agree with closely. Returns (loss, gradient norm)."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
            group["weight_decay"] = ADAM["weight_decay"] * group["wd_mult"]
        self.zero_gradients()
        if fp32_gradients:
            twin = Trainee(self.config, self.layout, torch.float32, distributed=False)
            twin.gpt.load_state_dict({k: v.float() for k, v in self.gpt.state_dict().items() if isinstance(v, torch.Tensor)}, strict=False)
            twin.zero_gradients()
            loss = pipeline_loss(twin.ddp, rows, forward_only=False)
            finalize_model_grads([twin.ddp])
            for mine, other in zip(self.gpt.parameters(), twin.gpt.parameters(), strict=True):
                mine.main_grad.copy_(other.main_grad)
        else:
            loss = pipeline_loss(self.ddp, rows, forward_only=False)
            finalize_model_grads([self.ddp])
        done, norm, _ = self.optimizer.step()
        assert done
        return loss, float(norm)

    def zero_gradients(self):
        self.ddp.zero_grad_buffer()
        self.optimizer.zero_grad()

    def steps_taken(self):
        return {float(s["step"]) for o in self.optimizer.chained_optimizers for s in o.optimizer.state.values()}


def pipeline_loss(model, rows, forward_only):
    """Mean next-token loss of the rows through Megatron's own schedule; None but on the last stage."""
    ids = torch.tensor(rows)
    count, length = ids.shape[0], ids.shape[1] - 1
    mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)[None, None]

    def step(data_iterator, model):
        losses = model(ids[:, :-1], torch.arange(length).expand(count, -1), mask, labels=ids[:, 1:])
        return losses, lambda out: (out.mean(), {"loss": out.detach().mean()})
    done = get_forward_backward_func()(forward_step_func=step, data_iterator=iter([]), model=[model], num_microbatches=1,
                                       seq_length=length, micro_batch_size=count, forward_only=forward_only)
    return done[0]["loss"].item() if done else None


def logits(gpt, rows):
    """This rank's vocabulary share of the logits [rows, tokens, V / tp] through Megatron's schedule; None but on the last stage."""
    ids = torch.tensor(rows)
    count, length = ids.shape
    mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)[None, None]
    seen = []

    def step(data_iterator, model):
        out = model(ids, torch.arange(length).expand(count, -1), mask)
        if ps.is_pipeline_last_stage():
            seen.append(out.detach())
        return out, lambda out, non_loss_data=False: out
    with torch.no_grad():
        get_forward_backward_func()(forward_step_func=step, data_iterator=iter([]), model=[gpt], num_microbatches=1, seq_length=length,
                                    micro_batch_size=count, forward_only=True, collect_non_loss_data=True)
    return seen[0] if seen else None


def keys_asked_for(model):
    """{key: global shape, None for objects} of a model described as in key_tables.Model, with the local layer spec."""
    from megatron.core.dist_checkpointing.dict_utils import nested_values
    from megatron.core.dist_checkpointing.mapping import ShardedObject, ShardedTensor, apply_factories
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec, get_gpt_mtp_block_spec
    from megatron.core.transformer import multi_latent_attention
    from megatron.core.transformer.identity_op import IdentityOp
    from megatron.core.transformer.transformer_config import MLATransformerConfig
    from megatron_parts import NormBehind

    mla, moe = model["kind"] == "mla", model["kind"] != "dense"
    normalization = "LayerNorm" if model["layer_norm"] else "RMSNorm"
    values = dict(
        num_layers=model["layers"], hidden_size=model["hidden"], num_attention_heads=model["heads"], ffn_hidden_size=model["ffn"],
        add_bias_linear=model["biases"], gated_linear_unit=True, activation_func=torch.nn.functional.silu, normalization=normalization,
        qk_layernorm=model["qk_norm"] or mla, add_qkv_bias=model["qkv_bias"], use_cpu_initialization=True, hidden_dropout=0.0,
        attention_dropout=0.0, bias_activation_fusion=False, bias_dropout_fusion=False, masked_softmax_fusion=False,
        apply_rope_fusion=False, gradient_accumulation_fusion=False, persist_layer_norm=False,
        softmax_type="learnable" if model["sinks"] else "vanilla", mtp_num_layers=model["mtp"] or None)
    if moe:
        values.update(num_moe_experts=model["experts"], moe_ffn_hidden_size=model["expert_ffn"], moe_router_topk=2,
                      moe_shared_expert_intermediate_size=model["shared_ffn"] or None, moe_token_dispatcher_type="allgather",
                      moe_shared_expert_gate=model["shared_gate"])
        if model["expert_bias"]:
            values.update(moe_router_enable_expert_bias=True, moe_router_score_function="sigmoid", moe_router_load_balancing_type="none")
    if mla:
        multi_latent_attention.TELinear = type("NoTELinear", (), {})   # without TransformerEngine it is no type to ask isinstance of
        values.update(q_lora_rank=model["q_lora"] or None, kv_lora_rank=model["kv_lora"], qk_head_dim=model["nope"],
                      qk_pos_emb_head_dim=model["rope"], v_head_dim=model["v_dim"], multi_latent_attention=True,
                      moe_layer_freq=[int(i >= model["dense_layers"]) for i in range(model["layers"])])
        config = MLATransformerConfig(**values)
        spec = get_gpt_decoder_block_spec(config, use_transformer_engine=False)
        for layer in spec.layer_specs:   # Core's own attention cannot compute MLA; it holds no parameters
            layer.submodules.self_attention.submodules.core_attention = IdentityOp
    else:
        config = TransformerConfig(num_query_groups=model["groups"], kv_channels=model["head_dim"], **values)
        spec = get_gpt_layer_local_spec(num_experts=model["experts"] if moe else None, qk_layernorm=model["qk_norm"],
                                        normalization=normalization)
        if model["post_norms"]:
            spec.submodules.self_attention.submodules.linear_proj = spec.submodules.mlp.submodules.linear_fc2 = NormBehind
    mtp = get_gpt_mtp_block_spec(config, spec, use_transformer_engine=False) if model["mtp"] else None
    gpt = GPTModel(config, spec, vocab_size=model["vocab"], max_sequence_length=64, position_embedding_type="rope",
                   share_embeddings_and_output_weights=model["tied"], mtp_block_spec=mtp)
    state = gpt.sharded_state_dict(metadata=dict(METADATA))
    apply_factories(state)
    keys = {}
    for value in nested_values(state):
        if isinstance(value, ShardedTensor):
            keys[value.key] = list(value.global_shape)
        elif isinstance(value, ShardedObject):
            keys[value.unique_key] = None
    return keys
