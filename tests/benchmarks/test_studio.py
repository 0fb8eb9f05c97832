import asyncio
import json
import threading
from contextlib import contextmanager
from importlib.resources import files

import pytest
import uvicorn

from hamster.benchmarks import studio as bench
from hamster.cli import main
from hamster.serving.sockets import bind_socket, socket_url
from hamster.studio.app import create_app
from tests.studio.fakes import TOKEN, open_studio


@pytest.fixture
def link(monkeypatch, tmp_path):
    """The link of a studio with made-up models and scene, in a thread."""
    with open_studio(monkeypatch, tmp_path / "kept", is_paced=True) as studio:
        listener = bind_socket("127.0.0.1", 0)
        listener.listen()
        app = create_app(studio.session, TOKEN)
        server = uvicorn.Server(uvicorn.Config(app, ws="websockets-sansio", lifespan="off", log_level="error"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        yield f"{socket_url(listener)}/?token={TOKEN}"
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def test_each_number_comes_with_its_limit(link, monkeypatch, tmp_path, capsys):
    @contextmanager
    def served(arguments):
        assert arguments[:2] == ["--planner", "fixed,oracle"]
        yield link

    monkeypatch.setattr(bench, "served", served)
    assert main(["bench", "studio", "--model", "fixed", "--json", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    record = json.loads(out)
    assert out.count("\n") == 1 and json.loads((tmp_path / "bench_studio.json").read_text()) == record
    measures = {measure["name"]: measure for measure in record["measures"]}
    assert list(measures) == ["interactive", "plan", "live view", "stop"]
    for measure in measures.values():
        better = measure["limit"] - measure["value"] if measure["is_at_most"] else measure["value"] - measure["limit"]
        assert measure["value"] > 0 and measure["n"] > 0 and measure["holds"] == (better >= 0)


def test_a_page_loads_all_its_files(link):
    shipped = {f"/static/{file.name}" for file in (files("hamster.studio") / "static").iterdir()}
    assert bench.load_page(bench.StudioClient(link)) == {"/", *shipped - {"/static/index.html"}}


def test_a_refusal_is_said_in_the_servers_words(link):
    with pytest.raises(ValueError, match="404"):
        bench.StudioClient(link).request("GET", "/api/nothing")
    with pytest.raises(ValueError, match="401"):
        bench.StudioClient(link.replace(TOKEN, "other")).request("GET", "/api/state")
