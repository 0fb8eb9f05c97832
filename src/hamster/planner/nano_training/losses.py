"""Losses of the planner: its answers, where words point, and what patches show."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.grammar import refusal_log_odds
from hamster.nano.height import HEIGHT_UNIT_M, WaypointHeight, at_waypoints, is_bin
from hamster.nano.modeling import BlockOutput, HamsterNanoForConditionalGeneration
from hamster.nano.pointers import Words
from hamster.nano.targets import answer_loss
from hamster.planner.nano_training.batches import Batch
from hamster.planner.nano_training.facts import FactProbe

NOTHING_WEIGHT = 0.1  # weight of a patch without an object, relative to one with an object


class Probe(nn.Module):
    """A head, used only in training, that classifies what a patch shows by the word embeddings of instructions.

    Args:
        features: width of the patch features.
        width: of the word embeddings.
        names: (N,) token ids of the classes.
    """

    def __init__(self, features: int, width: int, names: Tensor) -> None:
        super().__init__()
        self.project = nn.Linear(features, width)
        self.nothing = nn.Parameter(torch.zeros(1, width))
        self.register_buffer("names", names)

    names: Tensor

    def forward(self, features: Tensor, words: Words) -> Tensor:
        """Return logits (B, P, 1 + N), "no object" first, of features (B, P, C) with the words' embeddings."""
        table = torch.cat([self.nothing, words.embed(self.names)])
        logits: Tensor = self.project(features) @ table.to(features.dtype).T / table.shape[1] ** 0.5
        return logits


def losses(model: HamsterNanoForConditionalGeneration, probes: nn.ModuleList, batch: Batch) -> dict[str, Tensor]:
    """Compute all losses of a batch, by name.

    Args:
        model: the planner.
        probes: as built by `build_probes`.
        batch: of this step.

    Returns:
        The loss of the answer ("answer"), of refusing ("refusal"), of pointing ("mention", "early_mention", "landmark",
        "roles"), of facts ("fact"), of the waypoints' height ("height") and of classifying patches ("colour", "kind");
        where the batch has data for them.
    """
    output = model.read_blocks(batch.pixel_values, batch.ids)
    values = {"answer": answer_loss(output.logits.flatten(0, 1)[:, :-1], batch.labels.flatten(0, 1)[:, 1:])}
    values["refusal"] = _refusal(output.logits, batch.labels)
    if len(batch.mention):
        # Answer tokens attend to the states before the last layer, so these must encode a word's referent, too.
        for name, pointers in (("early_mention", output.early_pointers), ("mention", output.pointers)):
            values[name] = _pointing(pointers, batch.mention, batch.means)
    if len(batch.landmark):  # the landmark first; what stands left of it is found a layer later
        values["landmark"] = _pointing(output.landmark_pointers, batch.landmark, batch.landmark_means)
    values["roles"] = _roles(model, cast(nn.ModuleList, probes[2]), output, batch)
    if batch.facts is not None:
        logits = cast(FactProbe, probes[3])(model, batch.pixel_values[:1], batch.facts)
        values["fact"] = F.cross_entropy(logits, batch.facts.answer)
    if model.height is not None:
        values["height"] = _height(model, output, batch)
    cover, owner = batch.coverage.max(1)
    for i, name in enumerate(("colour", "kind")):
        if len(probes[i].names):  # type: ignore[arg-type]  # a buffer; empty where no image names its objects
            values[name] = _dense(probes[i], output.features, model.words, batch.object_words[..., i], owner, cover)
    return values


def _pointing(pointers: Tensor, at_tokens: Tensor, means: Tensor) -> Tensor:
    """Return the mean cross-entropy of pointers (B, K, T, 256) at some tokens (M,) against `means` (M, 256)."""
    return -(means * pointers.flatten(0, 2)[at_tokens].log_softmax(-1)).sum(-1).mean()


def presence_loss(model: HamsterNanoForConditionalGeneration, probes: nn.ModuleList, batch: Batch) -> dict[str, Tensor]:
    """Compute the loss of refusing, with gradients for `model.presence` only.

    Args:
        model: the planner.
        probes: not used.
        batch: of this step.
    """
    refused = ((batch.labels == tokens.END).any(-1) & ~(batch.labels >= tokens.PATCHES).any(-1)).float()
    longest = int((batch.ids >= tokens.BYTES).sum(-1).max())  # without the answers, to which no word attends
    log_odds = model.read_presence(batch.pixel_values, batch.ids[..., :longest])
    return {"refusal": F.binary_cross_entropy_with_logits(log_odds, refused)}


def height_loss(model: HamsterNanoForConditionalGeneration, probes: nn.ModuleList, batch: Batch) -> dict[str, Tensor]:
    """Compute the loss of the waypoints' height, with gradients for `model.height` only.

    Args:
        model: the planner.
        probes: not used.
        batch: of this step.
    """
    with torch.no_grad():
        output = model.read_blocks(batch.pixel_values, batch.ids)
    return {"height": _height(model, output, batch)}


def _height(model: HamsterNanoForConditionalGeneration, output: BlockOutput, batch: Batch) -> Tensor:
    """Return the loss of the height of those waypoints whose height is known; 0 if there are none."""
    errors_m = height_errors_m(model, output, batch)
    return F.huber_loss(errors_m / HEIGHT_UNIT_M, torch.zeros_like(errors_m), reduction="sum") / max(len(errors_m), 1)


def height_errors_m(model: HamsterNanoForConditionalGeneration, output: BlockOutput, batch: Batch) -> Tensor:
    """Return by how much the estimated heights (W,) of annotated waypoints are too large, in metres.

    Args:
        model: the planner, with the module for height.
        output: of the batch.
        batch: waypoints of unknown height do not count.
    """
    waypoints = at_waypoints(batch.ids, output.states, output.features)
    target_m = batch.height_m[is_bin(batch.ids)]
    errors_m: Tensor = cast(WaypointHeight, model.height)(*waypoints) - target_m
    return errors_m[target_m.isfinite()]


def _refusal(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of the token after `<ans>`, which decides on a refusal; it weighs as much as a whole path."""
    begins = labels[..., :-1] == tokens.ANS
    refused = (labels[..., 1:] == tokens.END)[begins]
    log_odds = refusal_log_odds(logits[..., :-1, :][begins])
    return F.binary_cross_entropy_with_logits(log_odds, refused.to(log_odds.dtype))


def _roles(
    model: HamsterNanoForConditionalGeneration, queries: nn.ModuleList, output: BlockOutput, batch: Batch
) -> Tensor:
    """Return the loss of pointing at target and goal from every token of an answer."""
    share = batch.coverage / batch.coverage.sum(-1, keepdim=True).clamp(min=1e-6)
    answering = batch.labels >= 0
    total, number = output.logits.new_zeros(()), 0
    for role, query in enumerate(queries):
        which = batch.roles[..., role]
        target = share.gather(1, which.clamp(min=0)[..., None].expand(-1, -1, share.shape[-1]))
        counts = answering & ((which >= 0) & (target.sum(-1) > 0))[..., None]
        logits = model.answer.match(query(output.early_states.flatten(1, 2)), output.features).reshape(
            *counts.shape, -1
        )
        token_losses = -(target[:, :, None] * logits.float().log_softmax(-1)).sum(-1)
        total, number = total + token_losses[counts].sum(), number + int(counts.sum())
    return total / max(number, 1)


def _dense(
    probe: nn.Module, features: Tensor, words: Words, object_words: Tensor, owner: Tensor, cover: Tensor
) -> Tensor:
    """Return the loss of classifying what patches show.

    Args:
        probe: a `Probe`.
        features: (B, P, C) patch features.
        words: the embeddings.
        object_words: (B, O) token of each object's colour or kind, 0 where unknown.
        owner: (B, P) index of the object that covers most of a patch.
        cover: (B, P) share of the patch that it covers.
    """
    shown = object_words.gather(1, owner) * (cover > 0.2)
    names: Tensor = probe.names  # type: ignore[assignment]  # a buffer
    target = torch.searchsorted(names, shown.clamp(min=int(names[0])))
    target = torch.where(shown > 0, target + 1, 0)
    annotated = (object_words > 0).any(1, keepdim=True)  # photographs without object labels do not count
    weight = torch.where(shown > 0, cover, NOTHING_WEIGHT * (cover == 0)) * annotated
    patch_losses = F.cross_entropy(probe(features, words).float().flatten(0, 1), target.flatten(), reduction="none")
    return (patch_losses * weight.flatten()).sum() / weight.sum().clamp(min=1)


def build_probes(
    model: HamsterNanoForConditionalGeneration, object_words: Tensor, fact_names: Tensor | None = None
) -> nn.ModuleList:
    """Build the heads that only training uses.

    Args:
        model: the planner, for its widths.
        object_words: (N, O, 2) tokens of all objects' colours and kinds, the classes of the probes.
        fact_names: (F,) tokens of the words that facts stand for; None to train without facts.

    Returns:
        Probes of colour and kind, the queries of the two roles, and the probe of facts, if there are any.
    """
    width = model.config.hidden_size
    names = [torch.unique(object_words[..., i]) for i in range(2)]
    probes = [Probe(model.config.tower_channels[-1], width, ids[ids > 0]) for ids in names]
    roles = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))
    facts = [] if fact_names is None else [FactProbe(width, fact_names)]
    return nn.ModuleList([*probes, roles, *facts])
