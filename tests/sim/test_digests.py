"""What the built-in generators label is the same from commit to commit, unless somebody changes it on purpose.

Who changes a generator on purpose writes its new digests into the table, and the reason into CHANGELOG.md.
"""

import hashlib
import json
from typing import NamedTuple

import numpy as np
import pytest

from hamster.cli import main
from hamster.label import read_annotated, read_episodes
from hamster.sim.opengl import gl_context


class Digests(NamedTuple):
    """Of all files, which depend on how this machine renders, and of words and paths alone."""

    files: str
    words: str


# Files' digests hold for one renderer, and for processors with AVX-512: others round the last digits differently.
RENDERER = "llvmpipe (LLVM 15.0.6, 256 bits), 4.5 (Compatibility Profile) Mesa 22.3.6"
PINNED = {
    "tabletop:2": Digests(
        "b701e7a6013425c9b45d66944575279d80f4de5925d749d66e7dc09e2814f669",
        "418be33a38a750fa0793e019eb4a7e7c8f3313c927260c07226c19ed7f6ecd77",
    ),
    "tabletop-images:4": Digests(
        "ae42458b2c77bf747bdf94125b1e89ad28eadc061a33500ff69cd68436667801",
        "2a751b57190cf3d602fc56b8755d296abfee54be0fef21daa6e8fa118e120a18",
    ),
    "offdomain:6": Digests(
        "e92cb011e0108fcf30810404689f2a1d7dd0a10af1fdac184d59569d3cff8f07",
        "418b396793b491cdd89d915667b907833e7d9c65f9fe5683f9a31413d34eb2f3",
    ),
}


def renderer():
    gl_context()
    from OpenGL import GL

    return ", ".join(GL.glGetString(name).decode() for name in (GL.GL_RENDERER, GL.GL_VERSION))


def is_machine_of_the_digests():
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return renderer() == RENDERER and any(name == "X86_V4" or name.startswith("AVX512") for name in extensions)


def rounded(path):
    """A path to the thousandth of an image: another processor may round the last digits differently."""
    return path.uv.round(3).tolist(), path.gripper.tolist()


def words_of(folder, uri):
    if uri.startswith("tabletop:"):
        for labelled in read_episodes(folder):
            yield labelled.task, list(labelled.episode.instructions)
            yield [rounded(label.path) for label in labelled.labels]
    else:
        for image in read_annotated(folder):
            yield [(text.instruction, text.task, rounded(text.path)) for text in image.annotations]
            yield list(image.absent)


@pytest.mark.parametrize("uri", PINNED)
def test_a_generator_labels_what_it_labelled_before(uri, tmp_path, capsys):
    assert main(["label", uri, "--seed", "0", "-o", str(tmp_path / "labels"), "--engine", "inline"]) == 0
    words = json.dumps(list(words_of(tmp_path / "labels", uri))).replace("-0.0", "0.0")
    assert hashlib.sha256(words.encode()).hexdigest() == PINNED[uri].words
    if is_machine_of_the_digests():
        assert json.loads(capsys.readouterr().out)["digest"] == PINNED[uri].files
