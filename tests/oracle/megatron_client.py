"""The tests' side of megatron_worker.py: one process started on first use, ended with the session."""
import json
import subprocess
import sys
from pathlib import Path

import torch


class MegatronError(AssertionError):
    """A Megatron process raised; the message holds its traceback."""


class Megatron:
    def __init__(self, log):
        self.log = open(log, "w")
        self.process = subprocess.Popen([sys.executable, Path(__file__).parent / "megatron_worker.py"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)

    def __call__(self, layout, *ops):
        """Runs the operations in every rank of the layout; a list over ranks of lists of results."""
        self.process.stdin.write(json.dumps({"layout": layout, "ops": [{"op": name, **values} for name, values in ops]}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or json.dumps({"error": f"the worker ended; see {self.log.name}"}))
        if isinstance(answer, dict):
            raise MegatronError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def on_last_stage(answers, index):
    """The one value that the last stage's ranks agree on."""
    values = [ranks[index] for ranks in answers if ranks[index] is not None]
    assert all(v == values[0] for v in values), values
    return values[0]


def joined_logits(answers, index):
    """Logits [rows, tokens, V] from the vocabulary shares of the last stage's ranks, in rank order."""
    return torch.cat([torch.tensor(ranks[index]) for ranks in answers if ranks[index] is not None], dim=-1)
