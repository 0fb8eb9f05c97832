from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from hamster.cli.check_cameras import CheckCameras
from hamster.data import Unreadable, registry
from tests.label.test_check_cameras import episode, shown_as


@dataclass(frozen=True)
class Listed:
    items: list

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Damaged(list):
    def __getitem__(self, index):
        raise ValueError("damaged image")


def damaged():
    return replace(episode(), observations=Damaged(episode().observations))


@pytest.fixture
def check(monkeypatch, tmp_path):
    def run(*items, **options):
        monkeypatch.setattr(registry, "open_source", lambda uri, seed: Listed(list(items)))
        CheckCameras("test:", tmp_path / "out" / "page.png", **options).run()

    return run


def test_right_cameras_make_a_page_and_a_line(check, tmp_path, capsys):
    check(episode(), Unreadable("episode1", "cut off"), damaged(), episode(seed=1))
    out, err = capsys.readouterr()
    assert out.startswith("front: right (100% of the tips in view") and "2 episodes" in out
    assert err.startswith("left out episode1: cut off\nleft out test:: damaged image\n")
    assert "look at" in out and "next: hamster label test:" in err
    assert Image.open(tmp_path / "out" / "page.png").size[0] == 6 * 224


def test_wrong_cameras_are_an_error_of_one_line(check, tmp_path):
    with pytest.raises(ValueError, match="likely an image that is upside down") as refused:
        check(episode(shown_as(lambda rgb: rgb[::-1])))
    assert "page.png" in str(refused.value) and "\n" not in str(refused.value)
    assert (tmp_path / "out" / "page.png").is_file()


def test_nothing_known_is_no_success(check):
    with pytest.raises(ValueError, match=r"nothing is known .* nothing moves"):
        check(episode(lambda view: replace(view, rgb=np.zeros_like(view.rgb))))
    with pytest.raises(ValueError, match="no episode could be read; the first of 1: a: b"):
        check(Unreadable("a", "b"))


def test_only_so_many_episodes_are_looked_at(check, capsys):
    check(episode(), Unreadable("not", "asked for"), episode(seed=1), episodes=1)
    assert "1 episode)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="episodes must be"):
        check(episode(), episodes=0)
