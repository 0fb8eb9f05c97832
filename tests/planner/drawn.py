"""Scenes drawn with PIL, with instructions, paths and masks: a planner's training data without a simulator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hamster.path import Gripper, Path2D
from tests.label_sets import write_manifest

COLOURS = {
    "red": (215, 40, 35), "green": (40, 160, 60), "blue": (40, 80, 210), "yellow": (235, 210, 40),
    "orange": (240, 135, 20), "purple": (130, 50, 160), "pink": (245, 150, 190), "brown": (120, 75, 40),
    "white": (245, 245, 245), "black": (25, 25, 25),
}  # fmt: skip
KINDS = ("block", "ball", "triangle", "cross", "ring", "bar")
SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
TAKE = ("pick up {} and put it on {}", "move {} onto {}", "place {} on {}", "grab {} , then drop it on {}")
PRESS = ("press {}", "push down on {}", "touch {}")


def _shape(draw: ImageDraw.ImageDraw, kind: str, x: float, y: float, r: float, colour: tuple[int, ...]) -> None:
    box = (x - r, y - r, x + r, y + r)
    if kind == "block":
        draw.rectangle(box, fill=colour)
    elif kind == "ball":
        draw.ellipse(box, fill=colour)
    elif kind == "triangle":
        draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
    elif kind == "cross":
        draw.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=colour)
        draw.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=colour)
    elif kind == "ring":
        draw.ellipse(box, outline=colour, width=max(2, int(r / 2)))
    else:
        draw.rectangle((x - r, y - r / 2.5, x + r, y + r / 2.5), fill=colour)


class Scene:
    """3 to 7 objects, a gripper marker, and a language about them."""

    def __init__(self, rng: np.random.Generator, side: int = 128, most: int = 7) -> None:
        self.rng, self.side = rng, side
        self.tip = rng.uniform(0.1, 0.9, 2)
        self.places: list[np.ndarray] = []
        for _ in range(200):
            place = rng.uniform(0.1, 0.9, 2)
            if all(np.linalg.norm(place - other) > 0.17 for other in [*self.places, self.tip]):
                self.places.append(place)
            if len(self.places) == most:
                break
        self.places = self.places[: max(3, int(rng.integers(3, most + 1)))]
        self.objects = [(str(rng.choice(list(COLOURS))), str(rng.choice(KINDS))) for _ in self.places]
        self.sizes = rng.uniform(0.045, 0.075, len(self.places))

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """rgb (side, side, 3) and segmentation (side, side)."""
        rng, side = self.rng, self.side
        coarse = rng.integers(60, 200, 3) + rng.integers(-25, 25, (4, 4, 3))
        image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
        mask = Image.new("L", (side, side), 255)
        draw, masks = ImageDraw.Draw(image), ImageDraw.Draw(mask)
        for i, ((colour, kind), place, size) in enumerate(zip(self.objects, self.places, self.sizes, strict=True)):
            shade = np.clip(np.array(COLOURS[colour]) + rng.integers(-15, 16, 3), 0, 255)
            _shape(draw, kind, *(place * side), size * side, tuple(int(c) for c in shade))
            _shape(masks, kind, *(place * side), size * side, (i,))
        x, y = self.tip * side
        for dx in (-5, 5):
            draw.line((x + dx, y - 18, x + dx, y), fill=(70, 70, 75), width=3)
        draw.rectangle((x - 7, y - 22, x + 7, y - 16), fill=(200, 200, 205))
        noise = rng.normal(0, 4, (side, side, 3))
        return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8), np.asarray(mask).copy()

    def phrase(self, i: int) -> tuple[list[tuple[str, tuple[int, ...]]], bool] | None:
        """Words, each with the objects that fit so far, that mean object i alone; None if there is no such phrase."""
        colour, kind = self.objects[i]
        same_colour = tuple(j for j, o in enumerate(self.objects) if o[0] == colour)
        same_kind = tuple(j for j, o in enumerate(self.objects) if o[1] == kind)
        both = tuple(j for j in same_colour if j in same_kind)
        if len(both) == 1:
            return [(colour, same_colour), (kind, both)], False
        return self._side(i, kind, same_kind)

    def _side(self, i: int, kind: str, group: tuple[int, ...]) -> tuple[list[tuple[str, tuple[int, ...]]], bool] | None:
        for name, direction in SIDES.items():
            along = {j: float(self.places[j] @ np.array(direction)) for j in group}
            if all(along[i] > along[j] + 0.06 for j in group if j != i):
                everything = tuple(range(len(self.objects)))
                return [(f"{name}most", everything), (kind, (i,))], True
        return None

    def annotation(self) -> dict | None:
        """One instruction with its path, mentions, target and goal, or None if the draw was unlucky."""
        rng = self.rng
        target, goal = rng.choice(len(self.objects), 2, replace=False)
        first, second = self.phrase(int(target)), self.phrase(int(goal))
        if first is None or second is None:
            return None
        press = rng.random() < 0.3
        words, mentions = "", []
        parts = str(rng.choice(PRESS if press else TAKE)).split("{}")
        for part, phrase in zip(parts, (first[0], second[0]), strict=False):
            words += part
            if phrase is second[0] and press:
                break
            words += "the "
            for word, fits in phrase:
                mentions.append([len(words), len(words) + len(word), list(fits)])
                words += word + " "
            words = words[:-1]
        path = self._path(int(target), None if press else int(goal))
        return {
            "instruction": words, "path": path.to_json(), "task": "press" if press else "pick_place",
            "mentions": mentions, "target": int(target), "goal": None if press else int(goal),
        }  # fmt: skip

    def absent(self) -> str:
        """An instruction about something that is not there."""
        looks = [(c, k) for c in COLOURS for k in KINDS if (c, k) not in self.objects]
        colour, kind = looks[int(self.rng.integers(len(looks)))]
        return str(self.rng.choice(PRESS)).format(f"the {colour} {kind}")

    def _path(self, target: int, goal: int | None) -> Path2D:
        points = [self.tip, self.places[target]]
        gripper = [Gripper.UNKNOWN, Gripper.UNKNOWN if goal is None else Gripper.CLOSED]
        if goal is not None:
            middle = (self.places[target] + self.places[goal]) / 2 - [0, 0.1]
            points += [middle.clip(0, 1), self.places[goal]]
            gripper += [Gripper.CLOSED, Gripper.OPEN]
        return Path2D(np.array(points), np.array(gripper, np.int8))


def write(
    out: Path, images: int, seed: int = 0, each: int = 12, side: int = 128, shard: int = 1000, most: int = 7,
    absent: int = 0, heights: bool = False,
) -> Path:  # fmt: skip
    """Write a label set of `images` scenes with up to `each` instructions, and `absent` in vain; returns `out`.

    With `heights`, waypoints have one, in metres, which falls with the place in the image.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shards = []
    for number, start in enumerate(range(0, images, shard)):
        rgb, masks, lines = [], [], []
        while len(rgb) < min(shard, images - start):
            scene = Scene(rng, side, most)
            found = [a for a in (scene.annotation() for _ in range(each)) if a is not None]
            if not found:
                continue
            for path in (annotation["path"] for annotation in found if heights):
                path["height_m"] = [0.5 - 0.4 * v for _, v in path["uv"]]
            image, mask = scene.render()
            rgb.append(image)
            masks.append(mask)
            objects = [{"colour": c, "kind": k} for c, k in scene.objects]
            line = {"objects": objects, "annotations": found, "provenance": {"source": "drawn"}}
            in_vain = {"absent": [scene.absent() for _ in range(absent)]} if absent else {}
            lines.append(json.dumps(line | in_vain))
        file = out / f"shard-{number:05d}.npz"
        np.savez(file, rgb=np.stack(rgb), segmentation=np.stack(masks))
        file.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
        shards.append([file.name, file.with_suffix(".jsonl").name])
    write_manifest(out, "annotated", *shards)
    return out
