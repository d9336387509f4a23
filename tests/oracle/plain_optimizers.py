"""Optimizers that the pinned torch lacks, written from their papers and sources as plainly as they are said there; torch's own
interface, so that a test runs them beside torch's."""
import torch

# modded-nanogpt's five sets, taken in turn; NVIDIA's emerging-optimizers calls them "quintic".
QUINTIC = ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012))
SCALES = {"spectral": lambda m, n: max(m, n) ** 0.5, "shape_scaling": lambda m, n: max(1, m / n) ** 0.5, "unit_rms_norm": lambda m, n: (m / n) ** 0.5}


class Plain(torch.optim.Optimizer):
    """Steps parameter by parameter: `one` gets the parameter, its gradient, its state and its group."""

    def __init__(self, groups, **defaults):
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, **defaults})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                self.one(p, p.grad, self.state[p], group)


class Lion(Plain):
    """Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, algorithm 2."""

    def one(self, p, g, state, group):
        beta1, beta2 = group["betas"]
        m = state.get("exp_avg", torch.zeros_like(p))
        p -= group["lr"] * ((beta1 * m + (1 - beta1) * g).sign() + group["weight_decay"] * p)
        state["exp_avg"] = beta2 * m + (1 - beta2) * g


class SmallAdamW(Plain):
    """AdamW (Loshchilov and Hutter 2019, algorithm 2) computed in fp32 from moments that are kept in other types."""

    def one(self, p, g, state, group):
        beta1, beta2 = group["betas"]
        kept = [state.get(name, torch.zeros_like(p, dtype=dtype)) for name, dtype in group["moments"].items()]
        m = beta1 * kept[0].float() + (1 - beta1) * g
        v = beta2 * kept[1].float() + (1 - beta2) * g * g
        t = state["step"] = state.get("step", 0) + 1
        p *= 1 - group["lr"] * group["weight_decay"]
        p -= group["lr"] / (1 - beta1**t) * m / (v.sqrt() / (1 - beta2**t) ** 0.5 + group["eps"])
        for (name, dtype), value in zip(group["moments"].items(), (m, v)):
            state[name] = value.to(dtype)


def orthogonal(x, coefficients, steps, bf16):
    """Newton-Schulz: x / |x|, then a X + (b A + c A A) X with A = X X^T, on the smaller side."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T, coefficients, steps, bf16).T
    x = x / x.norm().clamp(min=1e-7)
    x = x.bfloat16() if bf16 else x
    for i in range(steps):
        a, b, c = coefficients[i % len(coefficients)]
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.float()


class Muon(Plain):
    """Jordan et al. 2024 (kellerjordan.github.io/posts/muon) as NVIDIA's emerging-optimizers and Megatron-Core 0.16.1's
    TensorParallelMuon have it. A group with `qkv`, [rows of a group's queries, of its keys, of its values], is taken apart."""

    def one(self, p, g, state, group):
        m = state.setdefault("momentum_buffer", torch.zeros_like(p))
        m.lerp_(g, 1 - group["momentum"])
        x = g.lerp(m, group["momentum"]) if group["nesterov"] else m
        p *= 1 - group["lr"] * group["weight_decay"]
        if group.get("qkv"):
            parts = x.view(-1, sum(group["qkv"]), x.shape[1]).split(group["qkv"], dim=1)
            parts = [self.direction(part.reshape(-1, x.shape[1]), group).view(part.shape) for part in parts]
            p -= group["lr"] * torch.cat(parts, dim=1).view_as(p)
        else:
            p -= group["lr"] * self.direction(x, group)

    @staticmethod
    def direction(x, group):
        return orthogonal(x, group["coefficients"], group["steps"], group["bf16"]) * SCALES[group["scale"]](*x.shape) * group["factor"]
