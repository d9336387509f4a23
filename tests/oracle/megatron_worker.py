"""Long-lived Megatron processes: one alone, two as TP 2, PP 2 or EP 2, four as TP 2 x PP 2. Reads one JSON line per request from stdin,
{"layout": a key of LAYOUTS, "ops": [{"op": ..., ...}, ...]}, and writes one JSON line: a list with each rank's results, or
{"error": traceback}. Megatron is imported once, before the processes are forked."""
import json
import math
import os
import sys
import tempfile
import traceback
import types
import warnings

warnings.simplefilter("ignore")

import megatron_models  # noqa: E402
import megatron_families  # noqa: E402
import megatron_gains  # noqa: E402
import megatron_lacks  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import torch_dist  # noqa: E402
from megatron.core import dist_checkpointing  # noqa: E402
from megatron.core import parallel_state as ps  # noqa: E402
from megatron.core.dist_checkpointing.dict_utils import nested_values  # noqa: E402
from megatron.core.dist_checkpointing.mapping import ShardedTensor, apply_factories  # noqa: E402
from megatron.core.dist_checkpointing.strategies import filesystem_async  # noqa: E402
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler  # noqa: E402

LAYOUTS = {"1x1": (1, 1, 1), "2x1": (2, 1, 1), "1x2": (1, 2, 1), "2x2": (2, 2, 1), "ep2": (1, 1, 2)}   # tensor, pipeline, expert parallelism


class Worker:
    """The operations of one rank. Each returns something JSON can say."""

    def __init__(self, layout):
        self.layout = layout
        self.trainee = None

    def new(self, config, dtype, distributed):
        self.trainee = megatron_models.Trainee(config, self.layout, getattr(torch, dtype), distributed)

    def load(self, path):
        """Model, optimizer and scheduler as Megatron-LM loads them. A key that it asks for and does not find is an error."""
        state = dist_checkpointing.load(self.trainee.sharded(loading=True), path, strict="raise_unexpected")
        self.trainee.restore(state)
        saved = state["opt_param_scheduler"]
        scheduler = OptimizerParamScheduler(
            self.trainee.optimizer, init_lr=0.0, max_lr=saved["max_lr"], min_lr=saved["min_lr"], lr_warmup_steps=saved["lr_warmup_steps"],
            lr_decay_steps=saved["lr_decay_steps"], lr_decay_style=saved["lr_decay_style"], start_wd=saved["start_wd"], end_wd=saved["end_wd"],
            wd_incr_steps=saved["wd_incr_steps"], wd_incr_style=saved["wd_incr_style"], wsd_decay_steps=saved.get("wsd_decay_steps"))
        scheduler.load_state_dict(saved)
        return {"iteration": state["iteration"], "steps": sorted(self.trainee.steps_taken()), "version": state["checkpoint_version"],
                "num_steps": scheduler.num_steps}

    def load_weights(self, path):
        """The model alone, as for fine-tuning; the optimizer's main parameters follow."""
        state = {"model": self.trainee.ddp.module.sharded_state_dict(metadata=dict(megatron_models.METADATA))}
        state = dist_checkpointing.load(state, path, strict="raise_unexpected")
        self.trainee.gpt.load_state_dict(state["model"], strict=False)
        self.trainee.optimizer.reload_model_params()

    def rates(self, schedule, samples, groups):
        """[learning rate of each group..., weight decay] that Megatron's scheduler sets at these counts of samples."""
        optimizer = types.SimpleNamespace(param_groups=[{"wd_mult": 1.0, **group} for group in groups])
        scheduler = OptimizerParamScheduler(optimizer, **schedule)
        out = []
        for count in samples:
            scheduler.num_steps = count
            scheduler.step(0)
            out.append([*(group["lr"] for group in optimizer.param_groups), optimizer.param_groups[0]["weight_decay"]])
        return out

    def save(self, path, iteration, samples, decay_samples):
        if dist.get_rank() == 0:
            os.makedirs(path)
        dist.barrier()
        schedule = dict(max_lr=1e-3, lr_warmup_steps=0, num_steps=samples, lr_decay_style="constant", lr_decay_steps=decay_samples, min_lr=0.0,
                        start_wd=0.1, end_wd=0.1, wd_incr_style="constant", wd_incr_steps=0)
        state = {**self.trainee.sharded(), "checkpoint_version": 3.0, "iteration": iteration, "opt_param_scheduler": schedule}
        dist_checkpointing.save(state, path, content_metadata=dict(megatron_models.METADATA))

    def compare(self, path):
        """Every weight, main parameter and moment that this rank holds against the bytes of the checkpoint."""
        stored = torch_dist.tensors(path)
        for key in [k for k in stored if k.startswith("optimizer.state.param.")]:
            stored[key.replace(".param.", ".fp32_param.", 1)] = stored[key]   # one value under both names
        state = self.trainee.sharded()
        apply_factories(state)
        compared, wrong = 0, []
        for piece in nested_values(state):
            if not isinstance(piece, ShardedTensor):
                continue
            full = stored[piece.key]
            sizes = (1,) * piece.prepend_axis_num + tuple(piece.local_shape)
            want = full[tuple(slice(a, a + n) for a, n in zip(piece.global_offset, sizes))]
            got = piece.data.detach().reshape(sizes)
            compared += 1
            if got.dtype != want.dtype or got.shape != want.shape or not torch.equal(got, want):
                wrong.append(f"{piece.key} at {piece.global_offset}")
        return {"compared": compared, "wrong": wrong}

    def keys(self, model):
        return megatron_models.keys_asked_for(model)

    def lacks(self, also=()):
        return megatron_lacks.answers(also)

    def gains(self):
        return megatron_gains.gained()

    def step(self, rows, learning_rate, fp32_gradients=False):
        loss, norm = self.trainee.step(rows, learning_rate, fp32_gradients)
        return None if loss is None else {"loss": loss, "norm": norm}

    def fp32_model(self, main=False):
        """The weights of now in an fp32 model; with `main` the optimizer's main parameters instead."""
        gpt = megatron_models.build_gpt(self.trainee.config, self.layout, torch.float32).eval()
        gpt.load_state_dict({k: v.float() for k, v in self.trainee.gpt.state_dict().items() if isinstance(v, torch.Tensor)}, strict=False)
        if main:
            with torch.no_grad():
                for mine, other in zip(self.trainee.gpt.parameters(), gpt.parameters(), strict=True):
                    assert mine.main_param.numel() == other.numel()   # the distributed optimizer's share of one rank is the whole
                    other.copy_(mine.main_param.view_as(other))
        return gpt

    def logits(self, rows):
        out = megatron_models.logits(self.fp32_model(), rows)
        return None if out is None else out.tolist()

    def family_logits(self, config, path, rows):
        """Logits of a checkpoint in a model that is built for it alone, fp32; every key that Core asks for must be there."""
        gpt = megatron_families.build(config)
        state = {"model": gpt.sharded_state_dict(metadata=dict(megatron_models.METADATA))}
        state = dist_checkpointing.load(state, path, strict="raise_unexpected")
        gpt.load_state_dict(state["model"], strict=False)
        return megatron_models.logits(gpt, rows).tolist()

    def family_gradients(self, config, path, rows, factor, out):
        """Losses of a checkpoint with its blocks of multi-token prediction; the gradients are saved under the weights' keys."""
        gpt = megatron_families.build(config, factor)
        metadata = dict(megatron_models.METADATA)
        state = dist_checkpointing.load({"model": gpt.sharded_state_dict(metadata=metadata)}, path, strict="raise_unexpected")
        gpt.load_state_dict(state["model"], strict=False)
        loss, blocks = megatron_families.gradients(gpt, rows)
        os.makedirs(out)
        dist_checkpointing.save({"model": gpt.sharded_state_dict(metadata=metadata)}, out, content_metadata=metadata)
        return {"loss": loss, "blocks": blocks}

    def loss(self, rows, main=False):
        with torch.no_grad():
            return megatron_models.pipeline_loss(self.fp32_model(main), rows, forward_only=True)


def serve(rank, layout, rendezvous, requests, replies):
    """A rank's life: requests from a file, one line each, replies to another."""
    tp, pp, ep = LAYOUTS[layout]
    torch.set_num_threads(1)
    # Megatron's writer would start a fresh Python, which imports everything again, to hold the queue of its results.
    manager = filesystem_async.mp.get_context("fork").Manager()
    filesystem_async._results_queue = manager.Queue()
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(tp * pp * ep))
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=tp * pp * ep)
    ps.initialize_model_parallel(tensor_model_parallel_size=tp, pipeline_model_parallel_size=pp, expert_model_parallel_size=ep)
    worker = Worker((tp, pp, ep))
    for line in requests:
        try:
            reply = [getattr(worker, op.pop("op"))(**op) for op in json.loads(line)]
        except BaseException:
            reply = {"error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    manager.shutdown()


def fork(rank, layout, rendezvous):
    """Starts a rank; returns (requests, replies) as files of this process."""
    ask_read, ask_write = os.pipe()
    say_read, say_write = os.pipe()
    if os.fork() == 0:
        os.close(ask_write)
        os.close(say_read)
        os.dup2(2, 1)   # what Megatron prints goes to the log
        serve(rank, layout, rendezvous, os.fdopen(ask_read), os.fdopen(say_write, "w"))
        os._exit(0)
    os.close(ask_read)
    os.close(say_write)
    return os.fdopen(ask_write, "w"), os.fdopen(say_read)


def main():
    ranks = {}
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            request = json.loads(line)
            layout = request["layout"]
            if layout not in ranks:
                ranks[layout] = [fork(rank, layout, f"{folder}/{layout}") for rank in range(math.prod(LAYOUTS[layout]))]
            for requests, _ in ranks[layout]:
                requests.write(json.dumps(request["ops"]) + "\n")
                requests.flush()
            answers = [json.loads(replies.readline() or '{"error": "the process ended"}') for _, replies in ranks[layout]]
            errors = [f"rank {r}: {a['error']}" for r, a in enumerate(answers) if isinstance(a, dict)]
            print(json.dumps({"error": "\n".join(errors)} if errors else answers), flush=True)


if __name__ == "__main__":
    main()
