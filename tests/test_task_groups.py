from hypothesis import given
from hypothesis import strategies as st

from hamster.task_groups import TaskGroups, grouped


def test_a_worker_gets_the_rest_of_its_group_then_the_next_group_then_the_end_of_the_longest():
    tasks = TaskGroups(["abcd", "", "ef"])
    assert [tasks.take(worker) for worker in (1, 1, 2, 2, 2, 1, 2)] == ["a", "b", "e", "f", "d", "c", None]


def test_what_a_worker_that_ended_was_at_is_done_again_with_the_rest_of_its_group():
    tasks = TaskGroups(["abc", "d"])
    assert tasks.take(1) == "a" and tasks.take(2) == "d"
    tasks.give_back(1, "a")
    assert [tasks.take(worker) for worker in (3, 3, 2, 3)] == ["a", "b", "c", None]


@given(st.lists(st.text("abc", max_size=4), max_size=6), st.lists(st.integers(0, 3), max_size=60))
def test_every_task_is_handed_out_once_whoever_asks(groups, asking):
    tasks = TaskGroups(groups)
    taken = [task for worker in [*asking, *[0] * 30] if (task := tasks.take(worker)) is not None]
    assert sorted(taken) == sorted("".join(groups))


def test_groups_come_in_the_order_of_their_first_items():
    assert grouped([5, 2, 3, 8, 1], lambda number: number % 2) == [[5, 3, 1], [2, 8]]
