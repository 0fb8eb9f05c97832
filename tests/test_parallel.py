import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from hamster.parallel import Limits, WorkerDiedError, at_step, isolated, parallel_map_unordered

LIMITS = Limits(20.0, None)


def square(number):
    return number * number


def process(item):
    time.sleep(0.02)
    return item, os.getpid()


def raises(number):
    if number == 3:
        raise KeyError("three")
    return number


def killed_once(place):
    """Like a worker that the kernel ends for want of memory, once."""
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "done"
    return os.kill(os.getpid(), signal.SIGKILL)


def killed(number):
    os.kill(os.getpid(), signal.SIGKILL)


def steps(item, given_up):
    done = []
    for number in range(4):
        at_step(number)
        if number in given_up:
            done.append(given_up[number])
            continue
        if (item, number) in (("exit", 1), ("exit", 3)):
            os._exit(7)
        if (item, number) == ("sleep", 2):
            time.sleep(100)
        done.append(number)
    at_step(None)
    if item == "late":
        os._exit(7)
    return item, done


def outlives_an_external_kill(place, given_up):
    at_step(0)
    if given_up:
        return given_up[0]
    return killed_once(place)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_gives_all_results_in_any_order(workers):
    assert sorted(parallel_map_unordered(square, [range(7), range(7, 10)], workers)) == [n * n for n in range(10)]
    assert list(parallel_map_unordered(square, [], workers)) == []


def test_a_group_stays_with_one_process_while_there_are_others():
    pids = dict(parallel_map_unordered(process, [[(group, i) for i in range(4)] for group in range(6)], 2))
    alone = [group for group in range(6) if len({pids[group, i] for i in range(4)}) == 1]
    assert len(alone) >= 4 and len(pids) == 24  # the last group of each process may be shared out


def test_each_raises_what_its_work_raises_with_the_place_where():
    with pytest.raises(KeyError, match="three") as info:
        list(parallel_map_unordered(raises, [range(6)], 2))
    assert "in raises" in "".join(info.value.__notes__)


def test_each_does_again_what_a_killed_worker_did_but_not_for_ever(tmp_path):
    assert list(parallel_map_unordered(killed_once, [[str(tmp_path / "a"), str(tmp_path / "b")]], 2)) == ["done"] * 2
    with pytest.raises(WorkerDiedError, match="killed by signal 9"):
        list(parallel_map_unordered(killed, [range(3)], 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_isolated_gives_up_steps_that_no_process_survives(workers):
    found = dict(isolated(steps, ["good", "exit", "sleep"], workers, Limits(1.5, None)))
    code = "its process ended with exit code 7"
    assert found == {"good": [0, 1, 2, 3], "exit": [0, code, 2, code], "sleep": [0, 1, "no result within 1.5 s", 3]}


def test_isolated_does_again_what_was_killed_from_outside(tmp_path):
    assert list(isolated(outlives_an_external_kill, [str(tmp_path / "a")], 1, LIMITS)) == ["done"]


def test_isolated_says_when_the_process_ends_outside_of_any_step():
    with pytest.raises(WorkerDiedError, match="outside of any item: its process ended with exit code 7"):
        list(isolated(steps, ["late"], 1, LIMITS))


def test_isolated_leaves_no_process_behind_when_it_is_not_read_to_its_end():
    before = set(multiprocessing.active_children())
    results = isolated(steps, ["good"] * 50, 2, LIMITS)
    next(results)
    assert set(multiprocessing.active_children()) > before
    results.close()
    assert set(multiprocessing.active_children()) == before


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    """Unless something of the script itself has to travel."""
    script = tmp_path / "run.py"
    script.write_text(
        "from hamster.parallel import Limits, isolated\nfrom tests.test_parallel import steps\nprint('once')\n"
        "print(list(isolated(steps, ['good'], 1, Limits())))\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])}  # noqa: PTH109
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "once\n[('good', [0, 1, 2, 3])]\n" and done.stderr == ""
