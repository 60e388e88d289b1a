import pytest

from tests.support.leaks import Holdings
from tests.support.waiting import until, wait_until


async def test_until_returns_once_the_condition_holds():
    answers = iter([False, False, True])

    await until(lambda: next(answers))

    assert next(answers, "asked no more") == "asked no more"


async def test_until_says_what_it_waited_for():
    with pytest.raises(AssertionError, match=r"not within 0.01 s: the moon"):
        await until(lambda: False, 0.01, "the moon")


def test_wait_until_makes_its_message_only_on_failure():
    wait_until(lambda: True, message=lambda: pytest.fail("asked"))

    with pytest.raises(AssertionError, match="late"):
        wait_until(lambda: False, 0.01, lambda: "late")


def test_holdings_name_a_descriptor_that_was_left_open(tmp_path):
    before = Holdings.now()
    with (tmp_path / "left-open").open("w"):
        assert "left-open" in Holdings.now().since(before)
    assert Holdings.now().since(before) == ""
