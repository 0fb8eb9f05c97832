"""Nothing moves the robot or reads a file without the token, from another page, or beyond the limits."""

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from hamster.studio.app import create_app
from hamster.studio.limits import StudioLimits
from tests.studio.fakes import TOKEN, URL, WATCH, open_studio, png

ROUTES = [
    ("GET", "/"), ("GET", "/static/main.js"), ("GET", "/api/state"), ("GET", "/api/image"), ("POST", "/api/run"),
    ("POST", "/api/stop"), ("POST", "/api/upload"), ("PUT", "/api/path"), ("POST", "/api/keep"), ("GET", "/nowhere"),
    ("POST", "/api/upload-video"), ("GET", "/api/export"), ("POST", "/api/compare"), ("GET", "/api/comparison/0"),
    ("POST", "/api/fine-tune"), ("POST", "/api/fine-tune/continue"), ("POST", "/api/fine-tune/cancel"),
]  # fmt: skip


def client(studio, **headers):
    return TestClient(create_app(studio.session, TOKEN), base_url=URL, headers=headers, follow_redirects=False)


def code(response):
    return response.status_code, response.json()["error"]["code"] if "json" in response.headers["content-type"] else ""


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_nothing_is_to_be_had_without_the_token(studio, method, route):
    before = studio.state
    for headers in ({}, {"x-studio-token": "wrong"}, {"cookie": "hamster_studio_0=x"}, {"cookie": "a=\x01;;=b"}):
        assert client(studio, **headers).request(method, route, content=b"{}").status_code == 401
    assert studio.state == before


def test_the_token_in_another_address_is_none(studio):
    assert client(studio).get(f"/api/state?token={TOKEN}").status_code == 401


def test_the_printed_link_sets_a_cookie_that_no_script_and_no_other_site_gets(studio):
    browser = client(studio)
    page = browser.get(f"/?token={TOKEN}")
    assert page.status_code == 200 and "<canvas" in page.text
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN in cookie
    assert browser.get("/api/state").status_code == 200
    assert client(studio).get("/?token=wrong").status_code == 401


def test_a_person_without_the_link_reads_where_it_is(studio):
    answer = client(studio).get("/")
    assert answer.headers["content-type"].startswith("text/plain") and "hamster studio" in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8020", "127.0.0.1.evil.example", ""])
def test_a_rebound_name_is_refused(studio, host):
    assert code(client(studio, **{"x-studio-token": TOKEN, "host": host}).get("/api/state")) == (403, "unknown_host")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8020", "http://localhost:8020"],
)
def test_another_page_is_refused(studio, origin):
    browser = client(studio, **{"x-studio-token": TOKEN, "origin": origin})
    assert code(browser.post("/api/reset", json={})) == (403, "other_origin")
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)), browser.websocket_connect(WATCH):
        pass


def test_its_own_page_is_served_under_any_local_name(studio):
    for host in ("127.0.0.1:8020", "localhost:9000", "[::1]:8020"):  # a tunnel may end at another port
        headers = {"x-studio-token": TOKEN, "host": host, "origin": f"http://{host}"}
        assert client(studio, **headers).post("/api/stop", json={}).status_code == 204


def test_watching_needs_the_token(studio):
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)), client(studio).websocket_connect(WATCH):
        pass


@pytest.mark.parametrize(
    "route",
    ["/static/../session.py", "/static/..%2fsession.py", "/static/%2e%2e/%2e%2e/serve.py", "/static//etc/passwd",
     "/static/main.js/../../app.py", "/static/.", "/static/session.py"],
)  # fmt: skip
def test_no_file_but_those_of_the_page_is_served(studio, route):
    response = studio.client.get(route)
    assert response.status_code == 404 and "import" not in response.text


def test_pages_may_load_nothing_from_elsewhere_and_be_framed_nowhere(studio):
    for route in ("/", "/static/main.js", "/api/state"):
        policy = studio.client.get(route).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
    assert not any(
        word in studio.client.get(f"/static/{name}").text
        for name in ("main.js", "api.js", "studio.css")
        for word in ("https://", "http://", "//cdn")
    )


def test_a_long_instruction_is_refused_in_words(studio):
    body = {"planner": "writing", "instruction": "x" * (5 << 20)}
    assert studio.refused("plan", body) == (413, "body_too_large")
    assert studio.refused("plan", {**body, "instruction": "x" * 3000}) == (400, "invalid_request")
    assert studio.state["status"] == "ready" and studio.models.model.asked == []


def test_a_body_must_state_its_length(studio):
    response = studio.client.post("/api/upload", content=iter([b"x"]))
    assert code(response) == (411, "no_length")


def test_uploads_are_bounded(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, limits=StudioLimits(body_bytes=1000)) as studio:
        assert code(studio.client.post("/api/upload", content=b"x" * 1001)) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("plan", {}), ("plan", {"planner": "writing", "instruction": "go", "samples": 9}),
        ("plan", {"planner": "../../etc", "instruction": "go"}), ("plan", {"planner": "writing", "instruction": " "}),
        ("stroke", {"uv": [[0, 0]], "version": 0}), ("stroke", {"uv": [[0, 0], [1e9, 0]], "version": 0}),
        ("stroke", {"uv": [[0, 0]] * 5000, "version": 0}), ("move", {"name": "red", "uv": [0.5]}),
        ("scene", {"suite": "../x", "seed": 0}), ("scene", {"suite": "table", "seed": -1}),
        ("picture", {"kind": "upload", "index": 0}), ("picture", {"kind": "/etc/passwd", "index": 0}),
        ("choose", {"index": 3}), ("keep", {"instruction": ""}),
        ("compare", {"planner": "../../etc"}), ("picture", {"kind": "video", "index": 0}),
        ("fine-tune", {"planner": "nano", "steps": 0}), ("fine-tune", {"planner": "nano", "steps": 1 << 40}),
        ("fine-tune", {"planner": "nano", "steps": 9, "base": "/etc"}),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line_and_changes_nothing(studio, route, body):
    before = studio.state
    response = studio.client.post(f"/api/{route}", json=body)
    error = response.json()["error"]
    assert response.status_code == 400 and error["code"] == "invalid_request"
    assert error["message"] and "\n" not in error["message"] and "Traceback" not in response.text
    assert studio.state == before


@pytest.mark.parametrize(
    "path",
    [{}, {"uv": [], "gripper": []}, {"uv": [[0, 2]], "gripper": ["open"]}, {"uv": [[0, 0]], "gripper": ["ajar"]},
     {"uv": [["a", 0]], "gripper": ["open"]}, {"uv": [[0, 0]] * 300, "gripper": ["open"] * 300},
     {"uv": 7, "gripper": 7}],
)  # fmt: skip
def test_what_is_no_path_is_refused(studio, path):
    assert studio.refused("path", {"path": path, "version": studio.state["path_version"]}, "PUT") == (
        400,
        "invalid_request",
    )
    assert studio.state["path"] is None


@pytest.mark.parametrize(
    "data", [b"", b"not a picture", png()[:200], b"GIF89a" + b"\0" * 50, b"\xff\xd8" + b"\xff" * 99]
)
def test_a_broken_picture_is_refused_and_the_page_stays_as_it_was(studio, data):
    before = studio.state
    response = studio.client.post("/api/upload", content=data, headers={"x-file-name": "a.png"})
    assert code(response) == (400, "invalid_request") and "a.png" in response.json()["error"]["message"]
    assert studio.state == before
