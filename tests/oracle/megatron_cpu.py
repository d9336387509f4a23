"""Makes Megatron-Core 0.16.1 run on a CPU over Gloo. Import before anything else of megatron.

Megatron-Core assumes CUDA in a few places that a CPU run meets: type names in its optimizers, device queries while saving checkpoints,
the CUDA RNG tracker around dropout and initialisation, `.cuda()` moves and device="cuda" in the pipeline schedules, FusedAdam.
None of them changes a number when dropout is 0 and initialisation is on the CPU.
"""
import contextlib

import torch
import torch._dynamo
from torch.overrides import TorchFunctionMode


class _CudaMeansCpu(TorchFunctionMode):
    """Sends factory calls such as torch.zeros(..., device="cuda") to the CPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if str(kwargs.get("device", "")).startswith("cuda"):
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


_CudaMeansCpu().__enter__()
torch._dynamo.config.disable = True   # Core compiles its activation functions: half a minute of C++ compiler for a toy
torch.cuda.synchronize = lambda *args, **kwargs: None
torch.cuda.current_device = lambda: "cpu"
torch.cuda.is_available = lambda: False
torch.Tensor.cuda = lambda self, *args, **kwargs: self
_type = torch.Tensor.type


def _cuda_type_name(self, *args, **kwargs):
    """Megatron's optimizers compare type names such as "torch.cuda.BFloat16Tensor"."""
    name = _type(self, *args, **kwargs)
    if isinstance(name, str) and not name.startswith("torch.cuda."):
        return name.replace("torch.", "torch.cuda.", 1)
    return name


torch.Tensor.type = _cuda_type_name

import megatron.core.tensor_parallel as tensor_parallel  # noqa: E402
import megatron.core.tensor_parallel.layers as layers  # noqa: E402
import megatron.core.tensor_parallel.random as random  # noqa: E402


class _NoTracker:
    """Stands in for the CUDA RNG tracker: one stream, no forks."""

    def fork(self, *args, **kwargs):
        return contextlib.nullcontext()

    def is_initialized(self):
        return True

    def add(self, *args, **kwargs):
        pass


_tracker = _NoTracker()
for _module in (random, tensor_parallel, layers):
    _module.get_cuda_rng_tracker = lambda *args, **kwargs: _tracker

import megatron.core.optimizer.distrib_optimizer as distrib_optimizer  # noqa: E402

_set_states = distrib_optimizer.DistributedOptimizer._set_main_param_and_optimizer_states


def _set_states_but_step(self, model_param, tensors):
    """torch's AdamW (FusedAdam's stand-in without a GPU) keeps `step` per parameter. The distributed optimizer has set it from
    the parameter groups already, one tensor for all of them, which would then be counted up once per parameter; and its
    loader would look for it among the tensors."""
    group, order = self.model_param_group_index_map[model_param]
    state = self.optimizer.state[self.optimizer.param_groups[group]["params"][order]]
    if "step" in state:
        state["step"] = state["step"].clone()
        tensors = {"step": state["step"], **tensors}
    _set_states(self, model_param, tensors)


distrib_optimizer.DistributedOptimizer._set_main_param_and_optimizer_states = _set_states_but_step

import megatron.core.transformer.moe.moe_utils as moe_utils  # noqa: E402

if not hasattr(moe_utils, "te_general_gemm"):
    moe_utils.te_general_gemm = None   # asked for without TransformerEngine too; None is "multiply with torch"

import megatron.core.fusions.fused_layer_norm as fused_layer_norm  # noqa: E402


class _ApexLayerNorm:
    """Apex's kernel behind Core's FusedLayerNorm, multiplied out with torch."""

    @staticmethod
    def forward(ctx, input, weight, bias, shape, eps):
        raise NotImplementedError("asked for its parameters only")

    @staticmethod
    def apply(input, weight, bias, shape, eps):
        return torch.nn.functional.layer_norm(input, shape, weight, bias, eps)


if not fused_layer_norm.HAVE_FUSED_LAYER_NORM:
    fused_layer_norm.FusedLayerNormAffineFunction, fused_layer_norm.HAVE_FUSED_LAYER_NORM = _ApexLayerNorm, True
