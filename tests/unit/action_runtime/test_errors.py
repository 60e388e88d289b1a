import pickle

import pytest

from action_runtime.errors import InputBroken, InputMissing, NoActivation, OutputMisused, OutputRefused

ERRORS = [
    NoActivation("emit"),
    OutputMisused("x", "exists"),
    OutputRefused("x", 7, "too large"),
    InputMissing("x"),
    InputBroken("x", "lost"),
]


def test_codes_are_unique():
    assert len({error.code for error in ERRORS}) == len(ERRORS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_errors_cross_processes(error):
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy)) == (type(error), str(error))
    assert "x" in str(error) or "emit" in str(error)
