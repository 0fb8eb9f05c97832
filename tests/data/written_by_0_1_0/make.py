# ruff: noqa: I001  (modules of commit 5aa6569, which today are others; renames must leave this file alone)
"""Write `files.zip` and `recorded.json` with the code of commit 5aa6569 (version 0.1.0); see README.md.

It imports that commit's modules, not today's, and is no part of the tests: it is kept so that everybody can see how the
files came about, and make more of them from the same commit.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hamster_client.wire import pack as pack_message
from PIL import Image, ImageDraw
from safetensors import safe_open
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hamster.cli import main
from hamster.data import Observation, View
from hamster.path import Path as DrawnPath
from hamster.planner import load_planner
from hamster.planner import train as planner_training
from hamster.planner.calibration import Calibration
from hamster.planner.serve import Limits as PlannerLimits
from hamster.planner.serve import Served
from hamster.policy import checkpoint, load_policy
from hamster.policy.families import build
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.learning.train import Run
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.serve import about
from hamster.policy.serve.session import Session
from hamster.policy.views.config import ViewsConfig
from tests.data import lerobot_files, rlbench_files
from tests.planner.serve.fakes import HTTP, serving_as
from tests.planner.sft import made
from tests.planner.tiny import tiny
from tests.policy import synthetic
from tests.policy.serve.fakes import observation

HERE = Path(__file__).parent
SMALL = {"width": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
FLOW = {**SMALL, "visual_layers": 1, "steps": 2, "samples": 2}
BACKBONE = {"vocab_size": 0, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
BACKBONE |= {"intermediate_size": 32, "image_layers": 1, "tower_channels": [8, 8, 16], "tower_blocks": [1, 1]}
POLICIES = {
    "flow-keypose": FlowConfig(**FLOW, glimpse_px=16, key_waypoints=2, path_waypoints=3),
    "flow-trajectory": FlowConfig(
        **FLOW, conditioners=("channels", "cloud", "overlay"), head="trajectory", horizon=4, glimpse_px=0, image_px=32,
        words=4, word_width=8, briefing_layers=1, keep=0.5, history=2, schedule="ddim",
    ),
    "flow-chunk": FlowConfig(
        **FLOW, conditioners=("tokens",), head="chunk", horizon=4, executed=2, glimpse_px=8, image_px=16,
        schedule="ddpm", path_depth=True,
    ),
    "views": ViewsConfig(
        conditioners=("overlay", "channels", "tokens", "cloud"), points_px=32, view_px=16, stem=(2, 2), stem_width=8,
        width=16, heads=2, layers=2, head_width=16, words=4, word_width=8,
    ),
    "views-six": ViewsConfig(
        conditioners=("cloud",), points_px=32, view_px=16, stem=(4,), stem_width=8, width=16, heads=2, layers=2,
        head_width=16, stages=1, rotation="six",
    ),
    "image": ImageConfig(
        conditioners=("overlay", "channels", "tokens"), image_px=32, points=4, waypoints=4, **SMALL
    ),
}  # fmt: skip
INSTRUCTION = "put the red cube on the left plate"
WRONG = [{}, {"image": "http://localhost/a.png", "instruction": "go"}, {"image": "QUJD", "instruction": "go"}]
STOP_AT = {"policy": 10, "planner": 4}
STEPS = {"policy": 12, "planner": 5}


def run(line: str) -> str:
    """Run a command line of `hamster`, and return the last line that it prints."""
    printed = io.StringIO()
    sys.argv = ["hamster", *line.split()]
    with contextlib.redirect_stdout(printed):
        if code := main(line.split()):
            raise SystemExit(f"hamster {line}: exit code {code}")
    return (printed.getvalue().splitlines() or [""])[-1]


def coarse(tensor: torch.Tensor) -> torch.Tensor:
    """Replace numbers by four levels, in the same spread: such weights compress to two bits each."""
    if not tensor.is_floating_point() or tensor.numel() < 200:
        return tensor
    spread = tensor.std()
    return ((tensor / spread).floor().clamp(-2, 1) + 0.5) * spread


def write_sources() -> None:
    """Small data sets in other people's formats. RLBench's are pickles, so they are not kept."""
    lerobot_files.write_dataset(Path("sources/lerobot"), lengths=(5, 4), images="parquet")
    Path("sources/sketch").mkdir()
    picture = Image.new("RGB", (160, 120), (150, 140, 120))
    canvas = ImageDraw.Draw(picture)
    canvas.rectangle((30, 70, 60, 100), fill=(60, 70, 160))
    picture.save("sources/sketch/push the block to the right_clean.png")
    canvas.line((45, 85, 90, 60, 130, 62), fill=(20, 240, 40), width=5)
    canvas.line((120, 52, 130, 62, 119, 70), fill=(20, 240, 40), width=5)
    picture.save("sources/sketch/push the block to the right.png")
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120"><path d="M 45 85 L 90 30 L 130 62"/></svg>'
    Path("sources/sketch/lift the block.svg").write_text(svg)
    shutil.copy("sources/sketch/push the block to the right_clean.png", "sources/sketch/lift the block.png")
    turns = [{"from": "human", "value": "<image>\nWhere is the block?"}, {"from": "gpt", "value": "[(0.28, 0.71)]"}]
    talk = {"id": "0", "image": "sketch/lift the block.png", "conversations": turns}
    Path("sources/talks.json").write_text(json.dumps([talk]))
    for number in range(2):
        folder = Path(f"rlbench/reach_target/variation0/episodes/episode{number}")
        rlbench_files.write_episode(folder, phrases=["reach the red target", "go to the red ball"])


def write_labels() -> dict[str, dict]:
    """A label set of each kind."""
    lines = {
        "episodes": "lerobot:sources/lerobot",
        "demonstrations": "rlbench:rlbench",
        "images": "tabletop-images:3",
        "drawings": "sketch:sources/sketch",
        "conversations": "points:sources/talks.json",
    }
    printed = {name: json.loads(run(f"label {uri} -o labels/{name} --workers 1")) for name, uri in lines.items()}
    shutil.rmtree("rlbench")
    for name in lines:
        (Path("labels") / name / "paths.png").unlink(missing_ok=True)
    return {name: {"source": uri, "printed": printed[name]} for name, uri in lines.items()}


def write_readings() -> None:
    """What each label set says to who reads it: its examples as LLaVA has them, and how bright each image is."""
    Path("readings").mkdir()
    for folder in sorted(Path("labels").iterdir()):
        run(f"data export {folder} -o exported --format llava")
        examples = json.loads(Path("exported/train.json").read_text())
        for example in examples:
            if name := example.get("image"):
                example["mean"] = float(np.asarray(Image.open(f"exported/{name}")).mean())
        Path(f"readings/{folder.name}.json").write_text(json.dumps(examples, indent=1))
        shutil.rmtree("exported")


def random_actor(name: str, seed: int) -> torch.nn.Module:
    """An untrained policy in which every weight is random."""
    torch.manual_seed(seed)
    config = POLICIES.get(name) or MonolithicConfig(planner="training/planner/model")
    actor = build(config).eval()
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (64, 1, 1))
    poses[:, :3, 3] = rng.uniform(-0.3, 0.3, (64, 3))
    horizon = getattr(actor.config, "horizon", 1)
    goals = poses[::-1].copy() if horizon == 1 else np.repeat(poses[::-1, None], horizon, 1)
    with torch.no_grad():
        actor.begin(torch.from_numpy(poses).float(), torch.from_numpy(goals).float())
        for parameter in actor.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
            parameter.copy_(coarse(parameter))
    return actor


def observe() -> tuple[list[Observation], DrawnPath]:
    """Two moments that a policy is asked at, and the path; written as observations.npz and path.json."""
    rng = np.random.default_rng(3)
    arrays, labels = synthetic.episode(synthetic.sample_scene(rng), "pick_place", rng, size=64, between=0)
    path = labels["labels"][0]["path"]
    Path("path.json").write_text(json.dumps(path))
    kept = {"rgb": arrays["rgb_front"][:2], "depth_mm10": arrays["depth_mm10_front"][:2]}
    kept |= {"intrinsics": arrays["intrinsics_front"], "world_from_camera": arrays["world_from_camera_front"][0]}
    kept |= {"tool_poses_world": arrays["tool_poses_world"][:2], "gripper": arrays["gripper"][:2]}
    np.savez("observations.npz", **kept)
    camera = synthetic.front_camera(64)
    moments = []
    for i in range(2):
        depth_m = kept["depth_mm10"][i].astype(np.float32) * np.float32(1e-4)
        view = View(kept["rgb"][i], depth_m, camera)
        moments.append(Observation({"front": view}, kept["tool_poses_world"][i], float(kept["gripper"][i]), 0.2 * i))
    return moments, DrawnPath.from_json(path)


def answers_of(folder: str, moments: list[Observation], path: DrawnPath) -> list[dict]:
    """What a policy answers at two moments of an episode."""
    policy = load_policy(folder, device="cpu")
    told = None if folder.endswith("monolithic") else path
    answers = []
    for moment in moments:
        motion = policy.act(moment, told, INSTRUCTION)
        touches = None if motion.touches is None else motion.touches.tolist()
        answers.append({"poses": motion.poses.tolist(), "gripper_open": motion.gripper_open.tolist(),
                        "step_s": motion.step_s, "touches": touches})  # fmt: skip
    return answers


def write_policies() -> dict[str, list[dict]]:
    """A checkpoint of each type, and what it answers."""
    moments, path = observe()
    recorded = {}
    for name in (*POLICIES, "monolithic"):
        for seed in range(20):  # one that does not think that it has arrived
            checkpoint.save(Path("policies") / name, random_actor(name, seed), {"seed": seed, "train": {"steps": 0}})
            recorded[name] = answers_of(f"policies/{name}", moments, path)
            tool = moments[0].tool_pose_world[:3, 3]
            if all(np.abs(np.array(a["poses"])[..., :3, 3] - tool).max() > 1e-3 for a in recorded[name]):
                break
    return recorded


def simplify_state(file: Path) -> None:
    """Make a training's state compress well: large weights on four levels, their optimiser's state zero or coarse."""
    with safe_open(file, "pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        if name.endswith("exp_avg_sq") and tensor.numel() > 200:
            tensors[name] = torch.full_like(tensor, float(tensor.mean()))
        elif name.endswith(("exp_avg", "momentum_buffer")) and tensor.numel() > 2000:
            tensors[name] = torch.zeros_like(tensor)
        else:
            tensors[name] = coarse(tensor).contiguous()
    save_file(tensors, file, metadata)


def write_trainings() -> dict[str, dict]:
    """A training of a policy and one of a planner, stopped in the middle, and what their next steps lose."""
    lines = {
        "policy": f"train policy --config debug --steps {STEPS['policy']} --data labels/demonstrations",
        "planner": f"train planner --config debug --steps {STEPS['planner']} --data labels/images",
    }
    policy_step, planner_step = Run.advance, planner_training._Run.train_step

    def stop_policy(self: Run) -> dict[str, float]:
        if self.step == STOP_AT["policy"]:
            raise KeyboardInterrupt
        return policy_step(self)

    def stop_planner(self: planner_training._Run) -> dict[str, float]:
        if self.step == STOP_AT["planner"]:
            self.save()
            raise KeyboardInterrupt
        return planner_step(self)

    Run.advance, planner_training._Run.train_step = stop_policy, stop_planner
    for name, line in lines.items():
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            run(f"{line} --out training/{name}")
    Run.advance, planner_training._Run.train_step = policy_step, planner_step
    recorded = {}
    for name, line in lines.items():
        out = Path("training") / name
        simplify_state(out / "state.safetensors")
        for folder in ("pack", "cache", "tensorboard"):
            shutil.rmtree(out / folder, ignore_errors=True)
        for file in out.glob("*.jsonl"):
            file.unlink()
        shutil.copytree(out, f"continued/{name}")
        run(f"{line} --out continued/{name}")
        losses = (
            policy_losses(Path("continued/policy")) if name == "policy" else planner_losses(Path("continued/planner"))
        )
        recorded[name] = {"command": line, "losses": losses}
    shutil.rmtree("continued")
    weights = Path("training/planner/model/model.safetensors")
    with safe_open(weights, "pt") as stored:
        metadata = stored.metadata()
        tensors = {name: coarse(stored.get_tensor(name)).contiguous() for name in stored.keys()}  # noqa: SIM118
    save_file(tensors, weights, metadata)
    return recorded


def policy_losses(folder: Path) -> dict[str, float]:
    """From a step to the sum of its losses, as logged for TensorBoard."""
    log = EventAccumulator(str(folder / "tensorboard"))
    log.Reload()
    sums: dict[str, float] = {}
    for tag in log.Tags()["scalars"]:
        if tag.startswith("loss/"):
            for event in log.Scalars(tag):
                sums[str(event.step)] = sums.get(str(event.step), 0.0) + event.value
    return sums


def planner_losses(folder: Path) -> dict[str, float]:
    """The last line of the log, by the loss's name."""
    line = json.loads((folder / "train.jsonl").read_text().splitlines()[-1])
    return {name: value for name, value in line.items() if not name.endswith("_s")}


def write_planner() -> dict:
    """A calibration beside the planner's checkpoint, and what it answers about the photograph of the sketches."""
    model = Path("training/planner/model")
    Calibration(1.5, 0.5, -0.25, 0.75, {"n": 1}).save(model)
    rgb = np.asarray(Image.open("sources/sketch/lift the block.png").convert("RGB"))
    plan = load_planner(model, device="cpu").plan(rgb, INSTRUCTION)
    return {"raw_text": plan.raw_text, "path": plan.path.to_json()}


def write_vlm() -> dict:
    """What a fine-tuning leaves beside its weights, and what a random model says when it is asked in these words."""
    base = tiny("smolvlm", Path("base"))
    made.paths(Path("drawn"), 4, absent=1)
    run(f"train planner --config debug-lora --steps 1 --dialect compact --model {base} --data drawn --out tuned")
    Path("vlm").mkdir()
    for name in ("model/hamster.json", "adapter/adapter_config.json", "run.json"):
        shutil.copy(f"tuned/{name}", f"vlm/{Path(name).name}")
    shutil.copy("vlm/hamster.json", base)
    rgb = np.asarray(Image.open("sources/sketch/lift the block.png").convert("RGB"))
    planner = load_planner(base, device="cpu", max_new_tokens=24)
    try:
        raw_text = planner.plan(rgb, INSTRUCTION).raw_text
    except Exception as error:
        raw_text = getattr(error, "raw_text", "")
    for folder in ("base", "drawn", "tuned"):
        shutil.rmtree(folder)
    return {"raw_text": raw_text}


def write_evaluations() -> dict[str, dict]:
    """An evaluation of two arms that lacks its last episode, one of a planner alone, and an ablation."""
    lines = {
        "evaluation": "eval --planner oracle,training/planner/model --policy policies/views --episodes 2 --seed 5",
        "ablation": "ablate --policies policies/views --planners oracle --cameras training --episodes 1 "
        "--counterfactual 0 --seed 5",
        "planner-evaluation": "eval-planner labels/images --planner training/planner/model --seed 5",
    }
    for name, line in lines.items():
        workers = "" if name == "planner-evaluation" else " --workers 1"
        run(f"{line} --out {name}{workers}")
        lines[name] = line + workers
    recorded: dict[str, dict] = {name: {"command": line} for name, line in lines.items()}
    journal = Path("evaluation/rollouts.jsonl")
    episodes = journal.read_text().splitlines(keepends=True)
    recorded["evaluation"]["episodes"] = [json.loads(line) for line in episodes]
    recorded["evaluation"]["arms"] = json.loads(Path("evaluation/eval_info.json").read_text())["arms"]
    recorded["planner-evaluation"]["sources"] = json.loads(Path("planner-evaluation/eval_info.json").read_text())[
        "sources"
    ]
    recorded["ablation"]["rows"] = json.loads(Path("ablation/ablation.json").read_text())["rows"]
    journal.write_text("".join(episodes[:-1]))
    Path("evaluation/report.html").unlink()
    for picture in [*Path("ablation").glob("*.png"), *Path("planner-evaluation").glob("*.png")]:
        picture.unlink()
    return recorded


def write_export() -> dict:
    """The demonstrations as LeRobot has them, and what reading the export again labels."""
    run("data export labels/demonstrations -o export --format lerobot")
    printed = json.loads(run("label lerobot:export -o again --workers 1"))
    shutil.rmtree("again")
    return {"printed": printed}


def keys_of(value: Any) -> Any:
    """The keys of nested dictionaries, and of the first one in each list, without the values."""
    if isinstance(value, dict):
        return {key: keys_of(value[key]) for key in sorted(value)}
    return [keys_of(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def ask_servers() -> dict:
    """What a policy's server and a planner's say, by key, and the codes of some errors."""
    session = Session(load_policy("policies/views", device="cpu"))
    metadata = about(load_policy("policies/views", device="cpu"), "policies/views")
    policy = {"metadata": keys_of(metadata), "answer": keys_of(session.answer(pack_message(observation())))}
    planner = load_planner("training/planner/model", device="cpu")
    served = Served("tiny", planner, planner.backend, planner.dialect, takes_regex=False, identity={"weights": "abc"})
    png = Path("sources/sketch/lift the block.png").read_bytes()
    with serving_as(served, PlannerLimits(gather_s=0.001)) as url:
        answer = HTTP.post(f"{url}/v1/plan", data={"instruction": INSTRUCTION}, files={"image": png}).json()
        models, health = (HTTP.get(f"{url}/{route}").json() for route in ("v1/models", "health"))
        errors = [HTTP.post(f"{url}/v1/plan", json=body) for body in WRONG]
    return {
        "policy": policy,
        "planner": {"plan": keys_of(answer), "models": keys_of(models), "health": health["status"]},
        "raw_text": answer["raw_text"],
        "errors": [[error.status_code, error.json()["error"]["code"]] for error in errors],
    }


def without_machine(folder: Path) -> None:
    """Take the folder in which this ran out of what was written."""
    here = str(Path.cwd().resolve())
    for file in folder.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".md") and here in (text := file.read_text()):
            file.write_text(text.replace(here, "/data"))


def pack(folder: Path, out: Path) -> None:
    """Put all files into one archive, the same bytes for the same files."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name != ".hamster.lock":
                entry = zipfile.ZipInfo(str(file.relative_to(folder)))
                entry.compress_type = zipfile.ZIP_LZMA
                archive.writestr(entry, file.read_bytes())


def make(folder: Path) -> None:
    """Write everything into an empty folder, then the archive and the record beside this script."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    torch.set_num_threads(1)
    write_sources()
    recorded: dict = {"instruction": INSTRUCTION, "labels": write_labels()}
    write_readings()
    recorded["trainings"] = write_trainings()
    recorded["planner"] = write_planner()
    recorded["policies"] = write_policies()
    recorded["vlm"] = write_vlm()
    recorded |= write_evaluations()
    recorded["export"] = write_export()
    recorded["servers"] = ask_servers()
    without_machine(Path())
    pack(Path(), HERE / "files.zip")
    (HERE / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
