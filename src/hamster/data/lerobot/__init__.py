"""LeRobotDataset v3.0 and v2.x as a source, with a sidecar for what the format has no place for: cameras.

| file | what is read from it |
|---|---|
| meta/info.json | version, frame rate, features, where the files are |
| meta/tasks.parquet, .jsonl | instructions |
| meta/episodes/*/*.parquet, meta/episodes.jsonl | which episodes there are; v3.0: in which files, from when on |
| data/*/*.parquet | states, actions, images in PNG, JPEG or WebP |
| videos/**/*.mp4 | images, in any codec |
| meta/cameras.json | ours: calibration, and which columns are the robot's tool and gripper |

docs/formats.md describes the sidecar and the rules by which the robot's columns are recognised.
"""

from hamster.data.lerobot.source import LeRobot
from hamster.data.lerobot.traces import read_traces, trace_content, trace_from_content

__all__ = ["LeRobot", "read_traces", "trace_content", "trace_from_content"]
