"""What a person does on the page, and what comes of it."""

import itertools
import threading
import time

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from hamster.studio.limits import StudioLimits
from hamster.studio.pictures import open_pictures
from tests.studio.fakes import GOAL_UV, TOOL_UV, WATCH, open_studio, picking, png, video

BUSY = (409, "busy")
GO = {"planner": "writing", "instruction": "put the red cube on the goal"}


def test_type_plan_and_run(studio):
    state = studio.send("plan", GO).ready()
    assert np.allclose(state["path"]["uv"], [TOOL_UV, (0.3, 0.6), GOAL_UV], atol=0.02) and state["origin"] == "planned"
    assert state["plan"]["raw_text"].startswith("<ans>") and state["plan"]["paths"][0]["score"] > 0
    run = studio.send("run").ready()["run"]
    assert run["outcome"] == "success" and all(keypose["is_reached"] for keypose in run["keyposes"])
    assert len(run["keyposes"]) == 3 and np.allclose(run["keyposes"][1]["uv"], [0.3, 0.6], atol=0.02)
    assert not run["keyposes"][1]["gripper_open"]


def test_the_path_appears_while_it_is_generated(studio):
    studio.models.model.hold.clear()
    studio.send("plan", GO)
    state = studio.until(lambda state: state["plan"]["partial"])
    assert state["status"] == "planning" and state["path"] is None
    assert state["plan"]["partial"][0] == list(TOOL_UV) and state["plan"]["raw_text"].startswith("<ans>[(0.10, 0.10)")
    studio.models.model.hold.set()
    assert studio.ready()["path"]


def test_a_planner_can_be_stopped(studio):
    studio.models.model.hold.clear()
    studio.send("plan", GO).until(lambda state: state["plan"]["raw_text"])
    assert studio.send("stop").state["status"] in ("stopping", "ready")
    studio.models.model.hold.set()
    state = studio.ready()
    assert state["path"] is None and state["plan"] is None and "stopped" in state["problem"]


def test_a_refusal_is_said_and_no_path_is_made_up(studio):
    studio.put_path(picking((0.3, 0.6)))
    state = studio.send("plan", {**GO, "planner": "refusing"}).ready()
    assert state["plan"]["is_refusal"] and state["plan"]["problem"] == "there is no unicorn in view"
    assert state["path"] is None and studio.refused("run") == (409, "no_path")


def test_a_bug_in_a_planner_ends_in_a_clear_state(studio):
    state = studio.send("plan", {**GO, "planner": "broken"}).ready()
    assert state["plan"] is None and state["problem"] and "secrets" not in str(state)
    assert studio.send("plan", GO).ready()["path"]


def test_alternatives_have_scores_and_one_of_them_is_chosen(studio):
    state = studio.send("plan", {**GO, "planner": "fixed"}).ready()
    assert [path["score"] for path in state["plan"]["paths"]] == [0.75, 0.25] and len(state["path"]["uv"]) == 2
    state = studio.send("choose", {"index": 1}).state
    assert state["plan"]["chosen"] == 1 and state["path"]["uv"] == [[0.2, 0.2]]


def test_several_answers_are_drawn_on_demand(studio):
    state = studio.send("plan", {**GO, "alternatives": True}).ready()
    assert len(state["plan"]["paths"]) == 1  # all five agree
    assert studio.send("plan", {**GO, "may_refuse": False}).ready()["path"]


def test_the_expert_draws_on_the_simulators_thread(studio):
    state = studio.send("plan", {**GO, "planner": "oracle"}).ready()
    assert np.allclose(state["path"]["uv"][1], [0.3, 0.6]) and len(studio.tables[-1].threads) == 1


def stroke(*corners, n=40):
    """Points along a polyline, as a pointer records them."""
    return [list(np.array(a) + (np.array(b) - a) * k / n) for a, b in itertools.pairwise(corners) for k in range(n + 1)]


def test_a_stroke_becomes_waypoints_from_the_tool_on(studio):
    state = studio.send("stroke", {"uv": stroke((0.7, 0.8), (0.5, 0.5), GOAL_UV), "version": 1}).state
    assert np.allclose(state["path"]["uv"], [TOOL_UV, (0.7, 0.8), (0.5, 0.5), GOAL_UV], atol=1e-6)
    assert state["origin"] == "drawn" and set(state["path"]["gripper"]) == {"unknown"}


def test_a_stroke_that_begins_at_the_end_goes_on(studio):
    studio.send("stroke", {"uv": stroke(TOOL_UV, (0.5, 0.5)), "version": 1})
    state = studio.send("stroke", {"uv": stroke((0.51, 0.5), (0.9, 0.9)), "version": 2}).state
    assert np.allclose(state["path"]["uv"], [TOOL_UV, (0.5, 0.5), (0.9, 0.9)], atol=1e-6)
    state = studio.send("stroke", {"uv": stroke(TOOL_UV, (0.2, 0.9)), "version": 3}).state
    assert np.allclose(state["path"]["uv"], [TOOL_UV, (0.2, 0.9)], atol=1e-6)


def test_what_is_drawn_at_is_what_the_robot_takes(studio):
    studio.put_path(picking((0.7, 0.8)))
    run = studio.send("run").ready()["run"]
    assert run["outcome"] != "success" and run["done"] == ["the blue cube is on the goal"]
    assert "the blue cube is on the goal" in run["message"]
    assert studio.tables[-1].cubes["red"].tolist() == [0.3, 0.6]


def test_a_mended_waypoint_has_another_outcome(studio):
    path = studio.send("plan", GO).ready()["path"]
    path["uv"][1] = [0.5, 0.9]
    state = studio.send("path", {"path": path, "version": studio.state["path_version"]}, "PUT").state
    assert state["origin"] == "mended"
    assert studio.send("run").ready()["run"]["outcome"] == "stalled"


def test_an_edit_of_a_path_that_has_changed_meanwhile_is_refused(studio):
    version = studio.state["path_version"]
    studio.put_path(picking((0.3, 0.6)))
    assert studio.refused("path", {"path": None, "version": version}, "PUT") == (409, "path_changed")
    assert studio.refused("stroke", {"uv": [[0, 0], [1, 1]], "version": version}) == (409, "path_changed")
    assert studio.put_path(None).state["path"] is None


def test_a_path_is_kept_with_the_image_that_it_was_drawn_on_also_after_an_edit_was_refused(studio):
    version = studio.state["path_version"]
    studio.put_path(picking((0.3, 0.6)))
    studio.send("keep", {"instruction": "take it"})
    assert studio.send("run").ready()["run"]["outcome"] == "success"  # the image is another one now
    assert studio.refused("path", {"path": None, "version": version}, "PUT") == (409, "path_changed")
    assert studio.send("keep", {"instruction": "take it"}).state["kept"] == 1  # the same example as before


def test_a_run_is_stopped_at_once_and_everything_else_waits_for_it(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, is_paced=True) as studio:
        studio.put_path(picking((0.3, 0.6)))
        studio.send("run").until(lambda state: state["run"]["seconds"] > 0.1)
        for route in ("run", "reset", "scene"):
            assert studio.refused(route, {"suite": "table", "seed": 1} if route == "scene" else {}) == BUSY
        assert studio.refused("path", {"path": None, "version": studio.state["path_version"]}, "PUT") == BUSY
        table = studio.send("stop").tables[-1]
        n_steps, n_images = table.n_steps, table.n_images
        state = studio.ready()
        assert table.n_steps <= n_steps + 1  # of 50 ms, which was under way
        assert table.n_images <= n_images + 3  # one that was under way, and those of the end
        assert state["run"]["outcome"] == "stopped" and state["path"] is not None


def test_steps_take_as_long_as_they_stand_for(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, is_paced=True) as studio:
        studio.put_path(picking((0.3, 0.6)))
        start_s = time.monotonic()
        run = studio.send("run").ready()["run"]
        assert time.monotonic() - start_s >= run["seconds"] - 0.1


def test_a_thing_that_is_moved_under_way_is_planned_for_again(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, is_paced=True) as studio:
        studio.send("plan", GO).ready()
        studio.send("run", {"replan_with": "writing"}).until(lambda state: state["run"]["seconds"] > 0)
        studio.send("move", {"name": "red", "uv": [0.6, 0.5]})
        state = studio.ready()
        assert state["run"]["outcome"] == "success" and state["run"]["replans"] >= 1
        assert np.allclose(state["path"]["uv"][1], [0.6, 0.5], atol=0.03) and state["origin"] == "planned"


def test_without_a_planner_the_path_stays(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, is_paced=True) as studio:
        studio.put_path(picking((0.3, 0.6)))
        studio.send("run").until(lambda state: state["run"]["seconds"] > 0)
        state = studio.send("move", {"name": "red", "uv": [0.6, 0.5]}).ready()
        assert state["run"]["outcome"] == "stalled" and state["run"]["replans"] == 0


def test_a_thing_is_moved_at_rest(studio):
    studio.send("move", {"name": "blue", "uv": [0.4, 0.4]})
    studio.until(lambda state: [0.4, 0.4] in [thing["uv"] for thing in state["things"]])
    studio.send("move", {"name": "unicorn", "uv": [0.4, 0.4]})
    studio.until(lambda state: state["problem"].startswith("It stays where it is"))


def test_a_reset_keeps_the_path_and_a_new_scene_drops_it(studio):
    studio.put_path(picking((0.3, 0.6))).send("run").ready()
    state = studio.send("reset").ready()
    assert state["path"] and state["run"] is None and studio.tables[-1].cubes["red"].tolist() == [0.3, 0.6]
    number = state["picture"]["number"]
    state = studio.send("scene", {"suite": "table-too", "family": "push", "seed": 7}).ready()
    assert state["path"] is None and state["picture"]["number"] != number
    assert (state["task"]["suite"], state["task"]["family"], state["task"]["seed"]) == ("table-too", "push", 7)
    assert [table.is_closed for table in studio.tables] == [True, True, False]


def test_a_family_that_there_is_not_leaves_the_scene(studio):
    state = studio.send("scene", {"suite": "table", "family": "juggle", "seed": 7}).ready()
    assert "pick, push" in state["problem"] and state["task"]["seed"] == 0 and not studio.tables[-1].is_closed
    assert studio.send("plan", GO).ready()["path"]


def test_a_second_page_sees_the_same_and_so_does_one_that_is_loaded_anew(studio):
    watch = studio.client.websocket_connect
    with watch(WATCH) as first, watch(WATCH) as second:
        seen = [(page.receive_json(), page.receive_bytes()) for page in (first, second)]
        assert seen[0] == seen[1] and seen[0][1].startswith(b"\xff\xd8")
        studio.put_path(picking((0.3, 0.6)))
        assert first.receive_json()["path"] == second.receive_json()["path"] == picking((0.3, 0.6)).to_json()
    with studio.client.websocket_connect(WATCH) as again:
        assert again.receive_json()["path"] is not None


def test_pages_are_limited_and_those_that_left_do_not_count(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, limits=StudioLimits(watchers=2)) as studio:
        watch = studio.client.websocket_connect
        for _ in range(3):
            with watch(WATCH) as first, watch(WATCH) as second:
                assert first.receive_json() == second.receive_json()
                with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)), watch(WATCH):
                    pass
            studio.until(lambda _: not studio.session.board.n_watchers)


def test_images_come_while_the_robot_moves(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path, is_paced=True) as studio:
        studio.put_path(picking((0.3, 0.6)))
        with studio.client.websocket_connect(WATCH) as page:
            studio.send("run")
            images = set()
            while len(images) < 5:
                images |= {page.receive().get("bytes")} - {None}


def test_an_upload_is_drawn_on_and_kept(studio):
    response = studio.client.post("/api/upload", content=png(40, 30, "JPEG"), headers={"x-file-name": "my%20desk.jpg"})
    assert response.status_code == 204
    state = studio.ready()
    assert state["picture"] | {"number": 0} == {
        "kind": "upload", "name": "my desk.jpg", "number": 0, "width": 40, "height": 30, "index": 0, "count": 1
    }  # fmt: skip
    assert state["things"] == [] and studio.refused("run") == (409, "no_simulator")
    uv = stroke((0.5, 0.5), (0.9, 0.1))
    state = studio.send("stroke", {"uv": uv, "version": state["path_version"]}).state
    assert np.allclose(state["path"]["uv"], [[0.5, 0.5], [0.9, 0.1]])  # there is no tool that it could start at
    assert studio.send("keep", {"instruction": "push the pen"}).state["kept"] == 1
    assert studio.send("picture", {"kind": "simulator"}).ready()["picture"]["kind"] == "simulator"


def test_pictures_of_a_folder_are_leafed_through(monkeypatch, tmp_path):
    for name in ("b10.png", "b9.png", "notes.txt"):
        (tmp_path / name).write_bytes(png())
    Image.new("RGB", (20, 10)).save(tmp_path / "a.webp")
    with open_studio(monkeypatch, tmp_path / "kept", pictures=open_pictures(f"images:{tmp_path}")) as studio:
        names = [studio.send("picture", {"kind": "picture", "index": i}).ready()["picture"]["name"] for i in range(3)]
        assert names == ["a.webp", "b9.png", "b10.png"] and "oracle" not in studio.state["choices"]["planners"]
        for index in (-1, 3):
            assert studio.refused("picture", {"kind": "picture", "index": index}) == (400, "invalid_request")
        assert studio.refused("scene", {"suite": "table", "seed": 0}) == (400, "invalid_request")
        assert studio.send("plan", GO).ready()["path"]


def send_video(studio, data, name="my%20table.mp4"):
    return studio.client.post("/api/upload-video", content=data, headers={"x-file-name": name})


def test_frames_of_an_uploaded_video_are_drawn_on_and_kept(studio, tmp_path):
    assert send_video(studio, video(tmp_path)).status_code == 204
    picture = studio.ready()["picture"]
    assert (picture["kind"], picture["name"], picture["index"], picture["count"]) == (
        "video",
        "my table.mp4 at 0.00 s",
        0,
        6,
    )
    picture = studio.send("picture", {"kind": "video", "index": 4}).ready()["picture"]
    assert picture["name"] == "my table.mp4 at 0.40 s"
    studio.put_path(picking((0.3, 0.6))).send("keep", {"instruction": "push it"})
    [file] = (studio.folder / "images").iterdir()
    kept = np.asarray(Image.open(file))
    assert kept.shape == (32, 48, 3) and abs(int(kept.mean()) - 120) < 8
    assert studio.refused("picture", {"kind": "video", "index": 6}) == (400, "invalid_request")
    assert studio.send("picture", {"kind": "simulator"}).ready()["picture"]["kind"] == "simulator"


def test_the_next_video_replaces_the_one_before_and_none_is_left_at_the_end(studio, tmp_path):
    for n_frames in (3, 5):
        send_video(studio, video(tmp_path, n_frames))
        assert studio.ready()["picture"]["count"] == n_frames
    folder = studio.session._scenery._video._file.parent
    assert len(list(folder.iterdir())) == 1
    studio.session._scenery.close()
    assert not folder.exists()


@pytest.mark.parametrize("data", [b"", b"no video", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", png(), None])
def test_what_is_no_video_is_refused_in_one_line_and_not_left_on_the_disk(studio, tmp_path, data):
    before = studio.state["picture"]
    response = send_video(studio, video(tmp_path)[:600] if data is None else data, "bad.mp4")
    message = response.json()["error"]["message"]
    assert response.status_code == 400 and message.startswith("bad.mp4") and "\n" not in message
    assert studio.state["picture"] == before and studio.state["status"] == "ready"
    assert not list(studio.session._scenery.new_video_file().parent.iterdir())


def test_a_video_that_is_too_large_is_not_received(monkeypatch, tmp_path):
    with open_studio(monkeypatch, tmp_path / "kept", limits=StudioLimits(video_bytes=100)) as studio:
        assert send_video(studio, video(tmp_path)).status_code == 413


def test_four_ways_to_a_path_are_compared_from_the_start_of_the_scene(studio):
    studio.put_path(picking((0.7, 0.8)))
    state = studio.send("compare", {"planner": "writing"}).ready()
    arms = state["comparison"]["arms"]
    assert [arm["name"] for arm in arms] == ["oracle", "planner", "page", "none"]
    assert [arm["run"]["outcome"] for arm in arms][:2] == ["success", "success"]
    assert arms[2]["run"]["done"] == ["the blue cube is on the goal"] and arms[2]["path"] == state["path"]
    assert np.allclose(arms[1]["path"]["uv"][1], [0.3, 0.6], atol=0.02)
    assert arms[3]["path"] is None and arms[3]["run"]["outcome"] == "policy_error"
    images = [studio.client.get(f"/api/comparison/{i}").content for i in range(4)]
    assert all(image.startswith(b"\xff\xd8") for image in images) and images[0] != images[2] != images[3]
    assert studio.tables[-1].n_steps == 0 and state["path"] == picking((0.7, 0.8)).to_json()
    assert studio.client.get("/api/comparison/4").status_code == 404
    assert studio.send("scene", {"suite": "table", "seed": 1}).ready()["comparison"] is None


@pytest.mark.parametrize(("planner", "outcome"), [("refusing", "not_in_view"), ("oracle", None)])
def test_what_there_is_is_compared_and_a_planner_without_a_path_moves_nothing(studio, planner, outcome):
    arms = studio.send("compare", {"planner": planner}).ready()["comparison"]["arms"]
    assert [arm["name"] for arm in arms] == ["oracle", *(["planner"] if outcome else []), "none"]
    if outcome:
        assert arms[1]["run"]["outcome"] == outcome and "unicorn" in arms[1]["run"]["message"]
        assert arms[1]["run"]["seconds"] == 0


def test_a_comparison_is_stopped(studio):
    studio.models.model.hold.clear()
    studio.send("compare", {"planner": "writing"}).until(lambda state: studio.models.model.asked)
    assert studio.refused("reset") == studio.refused("move", {"name": "red", "uv": [0.5, 0.5]}) == BUSY
    studio.send("stop")
    studio.models.model.hold.set()
    arms = studio.ready()["comparison"]["arms"]
    assert [arm["run"] and arm["run"]["outcome"] for arm in arms] == ["success", "stopped", None]


def test_a_path_is_kept_once_with_the_image_that_it_is_drawn_on(studio):
    studio.put_path(picking((0.3, 0.6)))
    before = studio.tables[-1].front_image()
    studio.send("run").ready()
    for _ in range(2):
        studio.send("keep", {"instruction": "put it there"})
    assert studio.state["kept"] == 1 and studio.state["is_path_kept"]
    [file] = (studio.folder / "images").iterdir()
    assert (np.asarray(Image.open(file)) == before).all()


def test_requests_at_the_same_time_end_in_one_state(studio):
    paths = [picking((0.1 + 0.01 * i, 0.5)) for i in range(8)]
    version = studio.state["path_version"]
    codes = []

    def put(path):
        body = {"path": path.to_json(), "version": version}
        codes.append(studio.client.request("PUT", "/api/path", json=body).status_code)

    threads = [threading.Thread(target=put, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [409] * 7 and studio.state["path_version"] == version + 1


@pytest.mark.parametrize("route", ["plan", "run"])
def test_what_is_missing_is_said(studio, route):
    assert studio.refused(route, {"planner": "none", "instruction": "go"} if route == "plan" else {})[0] in (400, 409)
