"""A model type that nobody knows is refused until it is registered, as docs/howto/vlm.md says."""

import sys

import pytest

import hamster
from hamster.cli.app import main
from hamster.dialects import DIALECTS
from hamster.planner.families import FAMILIES, Family
from hamster.planner.identity import planner_identity
from hamster.plugins import import_plugin
from tests.markdown import ROOT, snippets
from tests.planner.tiny import tiny

IMAGE = str(ROOT / "docs" / "images" / "table.png")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny("vipllava", tmp_path_factory.mktemp("vip") / "model")


@pytest.fixture(autouse=True)
def registries():
    held = [(registry, dict(registry._entries), dict(registry._loaded)) for registry in (FAMILIES, DIALECTS)]
    yield
    for registry, entries, loaded in held:
        registry._entries, registry._loaded = entries, loaded
    sys.modules.pop("my_vlm", None)


def test_an_unknown_type_is_refused_with_what_to_add(checkpoint, capsys):
    assert main(["plan", IMAGE, "go", "--planner", str(checkpoint)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "unknown VLM family 'vipllava'" in line and 'register_vlm_family("vipllava"' in line, line


def test_the_file_of_the_how_to_page_makes_it_a_planner(checkpoint, tmp_path):
    (file,) = [snippet for snippet in snippets("docs/howto/vlm.md", "python") if snippet.file]
    (tmp_path / file.file).write_text(file.text)
    import_plugin(str(tmp_path / file.file))
    planner = hamster.load_planner(checkpoint, device="cpu")
    assert planner.dialect == "robopoint"
    assert planner.prompt_config.prompt.startswith("Draw the path of the gripper for this command: {instruction}")
    assert len(planner.plan(hamster.data.images.read_image(IMAGE), "go").path) >= 1
    assert planner_identity(str(checkpoint))["family"]["resize"] == "center_crop"


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (Family("robopoint", "squeeze"), "resize is 'squeeze'; there are: multiple_of_28"),
        (Family("robopint", "stretch"), r"unknown dialect 'robopint'\. Did you mean 'robopoint'"),
        (Family("qwen2.5-vl", "stretch"), "qwen2.5-vl does not count in what such a model sees, which is relative"),
        (3, "it is no hamster.planner.families.Family"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_registered(family, words):
    with pytest.raises(ValueError, match=f"VLM family 'vipllava' .*{words}"):
        hamster.register_vlm_family("vipllava", family)


def test_a_dialect_of_the_users_is_asked_for_and_read(checkpoint):
    from dataclasses import replace

    hamster.register_dialect("mine", replace(DIALECTS["robopoint"], prompt="Where? {instruction}"))
    hamster.register_vlm_family("vipllava", Family("mine", "center_crop"))
    planner = hamster.load_planner(checkpoint, device="cpu")
    assert planner.prompt_config.prompt == "Where? {instruction}" and planner.dialect == "mine"
    hamster.register_dialect("silent", replace(DIALECTS["robopoint"]))
    with pytest.raises(ValueError, match=r"the dialect 'silent' has no prompt: give Dialect\(prompt=…\)"):
        hamster.load_planner(checkpoint, device="cpu", dialect="silent")
