"""A plain reference for blocks of multi-token prediction, which no class of transformers computes. The layer inside a block is
the family's own: the trunk is loaded with one layer more for each block and runs without them. Written from DeepSeek-V3's report
(section 2.2); MiMo's input_proj takes the hidden state first (its published modeling_mimo.py)."""
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import plain_models
import toy_files
import toys

HIDDEN_FIRST = ("mimo",)
LISTS = {"layer_types": "full_attention", "mlp_layer_types": "dense"}   # what K-EXAONE's block is; elsewhere as the last layer


def ahead(x, places):
    """What stands `places` on in each row; zeros beyond its end."""
    return torch.cat([x[:, places:], x.new_zeros(x.shape[0], min(places, x.shape[1]))], 1)


class Ends(nn.Module):
    """All of a block but its layer."""

    def __init__(self, names, stored, eps, hidden_first):
        super().__init__()
        _, enorm, hnorm, product, last = names
        self.hidden_first, self.names = hidden_first, {"enorm": enorm, "hnorm": hnorm, "product": product, "last": last}
        for part, name in self.names.items():
            weight = stored[name].float()
            if part == "product":
                self.product = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            else:
                setattr(self, part, plain_models.RmsNorm(weight.shape[0], eps))
            getattr(self, part).weight.data = weight

    def joined(self, embedded, hidden):
        parts = [self.enorm(embedded), self.hnorm(hidden)]
        return self.product(torch.cat(parts[::-1] if self.hidden_first else parts, -1))

    def gradients(self):
        return {name: getattr(self, part).weight.grad for part, name in self.names.items()}


class Reference:
    """A toy's model with its blocks. Called with token rows: logits and loss as transformers has them, `mtp_logits` and
    `mtp_losses` (means over the tokens that have one so far ahead) by depth, and `total`, which training minimises."""

    def __init__(self, toy, folder):
        self.toy, self.layers = toy, toy.values["num_hidden_layers"]
        stored = toys.tensors(folder)
        self.model = self.with_more_layers(folder, stored)
        self.ends = nn.ModuleList(Ends(toy_files.mtp_names(toy, m), stored, toy.values["rms_norm_eps"], toy.family in HIDDEN_FIRST)
                                  for m in range(toy.mtp))
        self.seen = {}
        self.of_its_kind().register_forward_pre_hook(lambda _, args, options: self.seen.update(options=options), with_kwargs=True)

    def with_more_layers(self, folder, stored):
        config = toy_files.read_config(folder)
        for key, kind in LISTS.items():
            if config.get(key):
                config[key] = config[key] + [kind if self.toy.family in toy_files.MTP_LIKE else config[key][-1]] * self.toy.mtp
        ends = {name for m in range(self.toy.mtp) for name in toy_files.mtp_names(self.toy, m)[1:]}
        tensors = {self.as_layer(name): value.clone() for name, value in stored.items()
                   if name not in ends and not name.endswith(tuple(toy_files.MTP_COPIES)) or name in toy_files.MTP_COPIES.values()}
        with tempfile.TemporaryDirectory() as there:
            toy_files.write_config(there, {**config, "num_hidden_layers": self.layers + self.toy.mtp})
            save_file(tensors, Path(there) / "model.safetensors", metadata={"format": "pt"})
            model = toys.load(there)
        model.config.num_hidden_layers = self.layers
        model.config.use_cache = False
        return model

    def prefixes(self):
        """(published, as a layer of the trunk) of every block's layer."""
        return [(toy_files.mtp_names(self.toy, m)[0], f"model.layers.{self.layers + m}.") for m in range(self.toy.mtp)]

    def as_layer(self, name):
        for published, layer in self.prefixes():
            if name.startswith(published):
                return layer + name.removeprefix(published)
        return name

    def of_its_kind(self):
        """A layer of the trunk that attends as the blocks do."""
        kinds = getattr(self.model.config, "layer_types", None) or [None] * (self.layers + 1)
        return self.model.model.layers[max(layer for layer in range(self.layers) if kinds[layer] == kinds[self.layers])]

    def embedded(self, ids):
        trunk = self.model.model
        return (trunk.word_embeddings if isinstance(self.model, plain_models.PlainModel) else trunk.embed_tokens)(ids)

    def __call__(self, rows, factor):
        ids = torch.tensor(rows)
        hidden = self.model.model(ids).last_hidden_state
        logits, count = self.model.lm_head(hidden), ids.shape[0] * (ids.shape[1] - 1)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        total, mtp_logits, mtp_losses = loss, [], []
        for m, ends in enumerate(self.ends):
            depth = m + 1
            x = self.model.model.layers[self.layers + m](ends.joined(self.embedded(ahead(ids, depth)), hidden), **self.seen["options"])
            hidden = ends.last(x[0] if isinstance(x, tuple) else x)
            mtp_logits.append(self.model.lm_head(hidden))
            summed = F.cross_entropy(mtp_logits[-1][:, :-depth - 1].flatten(0, 1), ids[:, depth + 1:].flatten(), reduction="sum")
            mtp_losses.append(summed / (ids.shape[0] * (ids.shape[1] - 1 - depth)))
            total = total + factor / self.toy.mtp * summed / count
        return SimpleNamespace(logits=logits, loss=loss, mtp_logits=mtp_logits, mtp_losses=torch.stack(mtp_losses), total=total)

    def gradients(self):
        """{published name: gradient} of trunk and blocks."""
        found = toys.gradients(self.model)
        for published, layer in self.prefixes():
            found = {published + name.removeprefix(layer) if name.startswith(layer) else name: g for name, g in found.items()}
        for ends in self.ends:
            found |= ends.gradients()
        return found
