import pytest

from tests.studio.fakes import open_studio


@pytest.fixture
def studio(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path / "kept") as studio:
        yield studio
