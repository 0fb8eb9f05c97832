from __future__ import annotations

import json
import sys

from hamster.provenance import run_info, usable_cores


def test_run_info_is_json_and_complete():
    info = json.loads(json.dumps(run_info(5, ["/somewhere/bin/hamster", "label", "offdomain:3", "-o", "my labels"])))
    assert info["seed"] == 5 and info["command"] == "hamster label offdomain:3 -o 'my labels'"
    assert info["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"numpy", "torch", "hamster-vla"} <= set(info["versions"])
    assert info["hardware"]["cores"] == usable_cores() >= 1
    assert "started" in info and "platform" in info


def test_the_command_does_not_name_the_folder_of_the_program():
    assert run_info(argv=["/home/somebody/.venv/lib/hamster/__main__.py", "demo"])["command"] == "hamster demo"
