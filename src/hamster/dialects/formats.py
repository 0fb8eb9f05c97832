"""The dialects of other models, one entry each; docs/dialects.md explains them with examples."""

from __future__ import annotations

from collections.abc import Mapping

from hamster.dialects.size import image_itself, smart_resize
from hamster.dialects.text_format import TextFormat

_JSON = "```json\n[\n\t{}\n]\n```"
_POINT_2D = '{{"point_2d": [{x}, {y}], "label": "{label}"}}'
_QWEN_KEYS = ("point_2d", "bbox_2d", "coordinate")  # the last when it clicks as an agent

# fmt: off
FORMATS: Mapping[str, TextFormat] = {
    # HAMSTER's words with integers, as Qwen3-VL answers them: half the tokens of decimals.
    "hamster-1000": TextFormat(
        ("list",), "({x}, {y}){tag}", "<ans>[{}]</ans>", scale=1000, digits="d", tag="ans", tagged=True
    ),
    # DAVIAN-Robotics/3D_HAMSTER (IROS 2026), hamster3d/inference/postprocessing.py: JSON, before that <ans>.
    "3d-hamster": TextFormat(
        ("objects", "list"),
        '{{"point_{n}d": [{x}, {y}{d}], "label": "{i}", "gripper": "{gripper}"}}',
        _JSON, ",\n\t", scale=1000, digits="d", fractions=True, keys=("point_3d", "point_2d", "bbox_2d"), tag="ans",
    ),
    # wentaoyuan/RoboPoint (CoRL 2024); boxes only in its training data.
    "robopoint": TextFormat(("list",), "({x}, {y})", "[{}]", centred=True),
    # QwenLM/Qwen2.5-VL, cookbooks/spatial_understanding.ipynb: JSON or tags, in pixels of the image that it sees.
    "qwen2.5-vl": TextFormat(
        ("objects", "axes", "list"), _POINT_2D, _JSON, ",\n\t",
        scale=None, digits="d", resize=smart_resize, keys=_QWEN_KEYS, corners=True,
    ),
    # QwenLM/Qwen3-VL, cookbooks/2d_grounding.ipynb: the same, but in thousandths.
    "qwen3-vl": TextFormat(
        ("objects", "axes", "list"), _POINT_2D, _JSON, ",\n\t",
        scale=1000, digits="d", keys=_QWEN_KEYS, corners=True,
    ),
    # allenai/Molmo: percent with one decimal.
    "molmo": TextFormat(("axes",), 'x{i}="{x}" y{i}="{y}"', '<points {} alt="path">path</points>', " ", 100, ".1f"),
    # allenai/Molmo2: image, then id x y of each point, in thousandths with three digits or more.
    "molmo2": TextFormat(("coords",), "{i} {x} {y}", '<points coords="1 {}">path</points>', " ", 1000, "03d"),
    # allenai/MolmoAct (2025): at most five points.
    "molmoact": TextFormat(
        ("list",), "[{x},{y}]", "The trajectory of the end effector is [{}]", ",", 255, "d",
        after="trajectory of the end effector is",
    ),
    # google-research/big_vision, PaliGemma: 1024 bins, y first.
    "paligemma": TextFormat(("locs",), "<loc{y}><loc{x}>{word}", "{}", " ; ", 1024, "04d", "yx", top=1023),
    # Gemini Robotics-ER 1.5 to 2 (ai.google.dev): y first, a label counts the points of a trajectory.
    "gemini-robotics-er": TextFormat(
        ("objects", "list"), '{{"point": [{y}, {x}], "label": "{k}"}}', _JSON, ",\n\t",
        1000, "d", "yx", keys=("point", "box_2d"),
    ),
    # FlagOpen/RoboBrain (CVPR 2025), RoboBrain 2.0 (pixels of the given image, as its inference.py draws them) and 2.5.
    "robobrain": TextFormat(("list",), "[{x}, {y}]", "[{}]"),
    "robobrain2": TextFormat(("list",), "({x}, {y})", "[{}]", scale=None, digits="d", resize=image_itself),
    "robobrain2.5": TextFormat(
        ("objects", "list"), "({x}, {y}{d})", "[{}]",
        scale=1000, digits="d", keys=("point_3d", "point_2d", "bbox_2d"),
    ),
    # pickxiguapi/Embodied-R1: pixels of the given image.
    "embodied-r1": TextFormat(
        ("list",), "[{x}, {y}]", "<answer><point>[{}]</point></answer>",
        scale=None, digits="d", resize=image_itself, tag="point", tagged=True,
        own=r"(?i:<answer>)\s*+<point>\s*+\[",
    ),
    # pickxiguapi/Embodied-R1.5 (inference/hf_example.py): thousandths, the depth in metres under a key of its own.
    "embodied-r1.5": TextFormat(
        ("objects", "list"), '{{"point_2d": [{x}, {y}]{depth}}}', "<answer>```json\n[{}]\n```</answer>",
        scale=1000, digits="d", keys=("point_2d",), depth_key="depth",
        own=r"""(?i:<answer>)\s*+(?:```(?:json)?\s*+)?\[?\s*+\{\s*+["']point_2d["']\s*+:\s*+\[[^\[\]]{0,40}\]\s*+,\s*+["']depth["']""",
    ),
}
# fmt: on
