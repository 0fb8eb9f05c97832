"""Many clients: batches, a bounded queue, deadlines, clients that leave, and the end."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from tests.serving.planner.fakes import (
    HTTP,
    QUICK,
    FakeModel,
    chat,
    chat_body,
    code,
    metric,
    plan,
    plan_body,
    raw,
    serving,
)


def at_once(n: int, ask) -> list:
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(ask, range(n)))


def eventually(condition, within_s=30.0):
    until = time.perf_counter() + within_s
    while not condition():
        assert time.perf_counter() < until
        time.sleep(0.01)


def test_questions_of_one_kind_are_answered_together():
    with serving(limits=replace(QUICK, batch=4)) as (url, model, _):
        model.hold.clear()
        with ThreadPoolExecutor(9) as pool:
            first = pool.submit(chat, url, "first")
            eventually(lambda: metric(url, "hamster_queue_length") == 1)
            time.sleep(0.1)  # it is in work now
            others = [pool.submit(chat, url, f"question {i}", max_tokens=9 if i % 2 else 8) for i in range(8)]
            eventually(lambda: metric(url, "hamster_queue_length") == 9)
            time.sleep(0.1)
            model.hold.set()
            texts = [job.result().json()["choices"][0]["message"]["content"] for job in others]
        assert first.result().status_code == 200 and texts == [f"question {i}" for i in range(8)]
        assert sorted(model.batches) == [1, 4, 4]


def test_one_bad_question_spoils_no_others():
    with serving() as (url, _, _):
        texts = ["fine 0", "too long", "trouble", "fine 3"]
        responses = at_once(4, lambda i: chat(url, texts[i]))
        assert [response.status_code for response in responses] == [200, 422, 500, 200]
        assert responses[3].json()["choices"][0]["message"]["content"] == "fine 3"


def test_a_seed_is_worth_a_batch_of_its_own():
    with serving() as (url, model, _):
        at_once(4, lambda i: chat(url, seed=1, temperature=1))
        assert model.batches == [1] * 4


def test_a_full_queue_sheds_and_serves_the_rest():
    with serving(limits=replace(QUICK, queue=4)) as (url, model, _):
        model.hold.clear()
        with ThreadPoolExecutor(16) as pool:
            jobs = [pool.submit(plan, url) for _ in range(16)]
            eventually(lambda: sum(job.done() for job in jobs) == 12)
            assert HTTP.get(url + "/health").status_code == 200
            model.hold.set()
        responses = [job.result() for job in jobs]
        refused = [response for response in responses if response.status_code == 429]
        assert sum(response.status_code == 200 for response in responses) == 4 and len(refused) == 12
        assert all(code(r) == "queue_full" and int(r.headers["retry-after"]) >= 1 for r in refused)
        assert plan(url).status_code == 200


def test_a_deadline_holds_for_waiting_and_work():
    with serving(limits=replace(QUICK, deadline_s=0.3)) as (url, model, _):
        model.hold.clear()
        began = time.perf_counter()
        assert [code(r) for r in at_once(3, lambda _: plan(url))] == ["deadline"] * 3
        assert time.perf_counter() - began < 2
        model.hold.set()
        eventually(lambda: HTTP.get(url + "/health").status_code == 200)
        assert metric(url, "hamster_queue_length") == 0 and plan(url).status_code == 200


def test_a_hung_inference_makes_the_server_unready_until_it_returns():
    with serving(limits=replace(QUICK, deadline_s=0.3)) as (url, model, _):
        model.hold.clear()
        assert code(plan(url)) == "deadline"
        eventually(lambda: HTTP.get(url + "/health").status_code == 503)
        health = HTTP.get(url + "/health").json()
        assert health["status"] == "stalled" and "longer than the deadline of 0.3 s" in health["reason"]
        began = time.perf_counter()
        refused = plan(url)
        assert refused.status_code == 503 and code(refused) == "stalled" and "retry-after" in refused.headers
        assert time.perf_counter() - began < 0.25  # at once, not after another deadline
        model.hold.set()
        eventually(lambda: HTTP.get(url + "/health").status_code == 200)
        assert plan(url).status_code == 200


def test_one_hung_inference_of_two_threads_leaves_the_server_ready():
    with serving(FakeModel(slow_word="hang"), limits=replace(QUICK, deadline_s=0.3), threads=2) as (url, model, _):
        model.hold.clear()
        assert code(chat(url, "hang")) == "deadline"
        time.sleep(0.2)
        assert HTTP.get(url + "/health").status_code == 200 and chat(url, "fine").status_code == 200
        assert code(chat(url, "hang")) == "deadline"
        eventually(lambda: HTTP.get(url + "/health").json()["status"] == "stalled")


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_is_not_answered(stream):
    with serving(FakeModel(token_s=0.01)) as (url, model, _):
        with pytest.raises(httpx.ReadTimeout):
            HTTP.post(
                url + "/v1/chat/completions",
                json=chat_body("word " * 1000, stream=stream, max_tokens=1000),
                timeout=httpx.Timeout(5, read=0.3),
            ).read() if not stream else _leave(url)
        eventually(lambda: metric(url, "hamster_queue_length") == 0)
        time.sleep(0.1)
        said = model.said
        time.sleep(0.1)
        assert model.said == said < 500  # it stopped


def _leave(url: str) -> None:
    body = chat_body("word " * 1000, stream=True, max_tokens=1000)
    with HTTP.stream("POST", url + "/v1/chat/completions", json=body, timeout=5) as response:
        for i, _ in enumerate(response.iter_lines()):
            if i == 5:
                raise httpx.ReadTimeout("enough")


def test_who_leaves_the_queue_is_never_asked():
    with serving() as (url, model, _):
        model.hold.clear()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(chat, url, "first")
            eventually(lambda: metric(url, "hamster_queue_length") == 1)
            time.sleep(0.05)
            body = json.dumps(chat_body("second")).encode()
            with raw(url) as connection:
                head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                eventually(lambda: metric(url, "hamster_queue_length") == 2)
            eventually(lambda: metric(url, "hamster_queue_length") == 1)
            model.hold.set()
            assert first.result().status_code == 200
        assert [question.text for question, _ in model.seen] == ["first"]
        assert metric(url, "hamster_cancelled_total") == 1


def test_a_stream_comes_as_it_is_said():
    with serving(FakeModel(token_s=0.05)) as (url, _, _):
        times = []
        body = chat_body("one two three four five six", stream=True)
        with HTTP.stream("POST", url + "/v1/chat/completions", json=body, timeout=10) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in response.iter_lines() if line and (times.append(time.perf_counter()) or True)]
        assert lines[-1] == "data: [DONE]" and len(lines) >= 6 and times[-1] - times[0] > 0.15


def test_it_is_not_ready_before_it_is_warm():
    model = FakeModel()
    model.hold.clear()
    with serving(model, wait=False) as (url, _, _):
        eventually(lambda: not _refuses(url))
        response = HTTP.get(url + "/health")
        assert response.status_code == 503 and response.json()["status"] == "warming_up"
        assert code(plan(url)) == "warming_up"
        model.hold.set()
        eventually(lambda: HTTP.get(url + "/health").status_code == 200)
        assert plan(url).status_code == 200


def test_it_answers_what_it_took_before_it_ends():
    with serving() as (url, model, server), httpx.Client(timeout=30) as client:
        assert client.get(url + "/health").status_code == 200
        model.hold.clear()
        with ThreadPoolExecutor(2) as pool:
            taken = [pool.submit(plan, url) for _ in range(2)]
            eventually(lambda: metric(url, "hamster_queue_length") == 2)
            server.handle_exit(15, None)
            eventually(lambda: client.get(url + "/health").json()["status"] == "draining")
            refused = client.post(url + "/v1/plan", json=plan_body())
            assert refused.status_code == 503 and code(refused) == "draining" and refused.headers["retry-after"]
            model.hold.set()
            assert [job.result().status_code for job in taken] == [200, 200]
        eventually(lambda: _refuses(url))


def _refuses(url: str) -> bool:
    try:
        HTTP.get(url + "/health")
    except httpx.TransportError:
        return True
    return False


def test_questions_to_a_model_elsewhere_do_not_wait_for_each_other():
    with serving(threads=4) as (url, model, _), ThreadPoolExecutor(4) as pool:
        model.hold.clear()
        jobs = [pool.submit(chat, url) for _ in range(4)]
        eventually(lambda: model.entered == 4)
        model.hold.set()
        assert all(job.result().status_code == 200 for job in jobs)
        assert model.batches == [1] * 4
