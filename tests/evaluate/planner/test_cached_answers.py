import json

import numpy as np
import pytest

from hamster.cli import main
from hamster.dialects import render
from hamster.evaluate.planner.cached_answers import CachedAnswers
from hamster.path import Path2D
from tests.data.trace_benchmark_files import SIZE_PX, TRACE_PX, sharerobot_row, write

TRUE_UV = np.array(TRACE_PX) / SIZE_PX
PERFECT = render(Path2D(TRUE_UV, np.full(4, -1)), "robobrain2", SIZE_PX)


def lines(tmp_path, *records):
    file = tmp_path / "answers.jsonl"
    file.write_text("".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records))
    return file


TWO_ROWS = (sharerobot_row(), sharerobot_row())


def scored(tmp_path, answers, *flags, rows=TWO_ROWS):
    """The content of eval_info.json of the one source."""
    source = f"sharerobot:{write(tmp_path / 'bench.parquet', rows)}"
    line = ["eval", "planner", source, "--answers", str(answers), "--dialect", "robobrain2", *flags]
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    info = json.loads((tmp_path / "out" / "eval_info.json").read_text())
    return info, info["sources"][source]


def test_stored_answers_are_scored_without_a_model(tmp_path, capsys):
    answers = lines(
        tmp_path, {"id": 0, "text": PERFECT}, {"id": "1", "text": "I see no drawer."}, {"id": 9, "text": "x"}
    )
    info, summary = scored(tmp_path, answers)
    assert info["conditions"]["answers.jsonl"]["outcomes"] == {"plan_error": 1, "right": 1}
    assert info["answers"] == {"n": 3, "n_unmatched": 1}
    trace = summary["trace"]
    assert (trace["n"], trace["n_path"]) == (2, 1)
    assert trace["protocol_b"]["rmse"]["mean"] == pytest.approx(0, abs=10)  # as exact as whole pixels are
    assert trace["worst_case"]["rmse"]["mean"] == pytest.approx(2**0.5 / 2, abs=0.01)
    out, err = capsys.readouterr()
    assert "1 of 2 answers hold a path" in out and "RMSE" in out and "worst case" in out
    assert "1 of 3 answers are for no image" in err


def test_idx_is_the_row_and_id_what_the_benchmark_calls_it(tmp_path):
    rows = [sharerobot_row(id="b", answer=TRACE_PX[::-1]), sharerobot_row(id="a")]
    for records in ([{"idx": 1, "text": PERFECT}], [{"id": "a", "text": PERFECT}]):
        _, summary = scored(tmp_path, lines(tmp_path, *records), "--restart", rows=rows)
        assert summary["right"]["k"] == 1 and summary["trace"]["n_path"] == 1


def test_two_items_of_one_id_are_an_error(tmp_path, capsys):
    with pytest.raises(AssertionError):
        scored(tmp_path, lines(tmp_path, {"id": 5, "text": PERFECT}), rows=[sharerobot_row(id=5)] * 2)
    assert "two items of sharerobot:" in capsys.readouterr().err


def test_an_image_without_an_answer_counts_as_one_without_a_path(tmp_path):
    _, summary = scored(tmp_path, lines(tmp_path, {"id": 1, "text": PERFECT}))
    assert (summary["trace"]["n"], summary["trace"]["n_path"]) == (2, 1)
    reasons = [json.loads(line).get("reason") for line in (tmp_path / "out" / "paths.jsonl").read_text().splitlines()]
    assert reasons == ["no answer with the id '0'", None]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"question_id": 0, "model_prediction": PERFECT, "trajectory": []}) + "\n",
        json.dumps({"results": [{"idx": 0, "question_id": "83", "raw_output": PERFECT}], "statistics": {}}, indent=4),
        json.dumps([{"id": 0, "response": PERFECT}]),
        "\ufeff" + json.dumps({"id": 0, "text": PERFECT}),
        json.dumps({"id": 0, "text": PERFECT}) + "\r\n\r\n",
    ],
)
def test_published_outputs_are_read_as_they_are(content, tmp_path):
    file = tmp_path / "a.json"
    file.write_text(content)
    assert CachedAnswers.read(file, "robobrain2").texts == {"0": PERFECT}


BAD = {
    "": "has no answers",
    "{": "line 1 is not JSON",
    "[" * 5000: "line 1 is not JSON",
    "[1]": "record 0: a record is",
    "7": "line 1: a record is",
    '{"id": 0}': "line 1 has no text",
    '{"text": "x"}': "line 1 has no id",
    '{"id": 1.5, "text": "x"}': "the id must be a whole number or a text",
    '{"id": true, "text": "x"}': "the id must be a whole number or a text",
    '{"id": 0, "text": [[1, 2]]}': "the text must be the model's text, not a list",
    '{"id": 0, "text": "x"}\n{"id": "0", "text": "y"}': "line 2: a second answer with the id '0'",
    '{"id": 0, "text": "x"}\n{"idx": 1, "text": "y"}': "line 2 has idx for its id, and others have id",
}


@pytest.mark.parametrize("content", BAD)
def test_a_bad_file_of_answers_is_one_line(content, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(content)
    with pytest.raises(ValueError, match=BAD[content]) as error:
        CachedAnswers.read(file, "qwen3-vl")
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"a\.jsonl is not UTF-8 text"):
        CachedAnswers.read(file, "qwen3-vl")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--answers", "A"], "--answers needs --dialect"),
        (["--answers", "A", "--dialect", "klingon"], "unknown dialect 'klingon'"),
        (["--answers", "nowhere.jsonl", "--dialect", "molmo"], "no file 'nowhere.jsonl'"),
        (["--answers", "A", "--dialect", "molmo", "--planner", "oracle"], "not both"),
        (["--answers", "A", "--dialect", "molmo", "--calibrate"], "cannot use stored --answers"),
        (["--answers", "A", "--dialect", "molmo", "--data", "offdomain:2"], "one source, and 2 are given"),
        (["--answers", "A", "--dialect", "molmo"], "no answer is for an image"),
        (["--answers", "A", "--dialect", "molmo", "--episodes", "5"], "has 1 images with an instruction, 5"),
    ],
)
def test_what_does_not_fit_is_one_line(flags, words, tmp_path, capsys):
    source = f"sharerobot:{write(tmp_path / 'bench.parquet', [sharerobot_row()])}"
    answers = lines(tmp_path, {"id": "other", "text": "x"})
    flags = [str(answers) if flag == "A" else flag for flag in flags]
    assert main(["eval", "planner", source, *flags, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("hamster: ") and words in err


def test_other_answers_in_the_same_folder_are_another_run(tmp_path, capsys):
    scored(tmp_path, lines(tmp_path, {"id": 0, "text": PERFECT}))
    with pytest.raises(AssertionError):
        scored(tmp_path, lines(tmp_path, {"id": 0, "text": "other"}))
    assert "holds another run (answers was" in capsys.readouterr().err
    info, _ = scored(tmp_path, lines(tmp_path, {"id": 0, "text": "other"}), "--restart")
    assert info["conditions"]["answers.jsonl"]["n_success"] == 0
    with pytest.raises(AssertionError):  # the benchmark's file is another one
        scored(tmp_path, lines(tmp_path, {"id": 0, "text": "other"}), rows=[sharerobot_row()] * 3)
