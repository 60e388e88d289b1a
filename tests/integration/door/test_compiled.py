"""The owner of a run asks a controller's door what a name in its data stands for."""

from __future__ import annotations

from typing import Any

import pytest

from invoker_ext.door.compiled import NotCompiled, ask_compiled
from invoker_ext.door.server import Door
from tests.support.containers import GUEST

TOKEN = "t" * 32


ANSWER = {"name": "a", "version": "1", "graph": "d", "parameters": "{}"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"fault": "no"}, {"fault": "no"}),
        (ANSWER, ANSWER),
        ({"name": "a", "version": "1"}, None),
        ({**ANSWER, "name": 1}, None),
        (ValueError("nonsense"), None),
    ],
)
async def test_an_answer_is_taken_if_it_is_one(tmp_path, answer, told):
    async def compile_(fields: dict[str, Any]) -> tuple[dict[str, Any], None]:
        assert (fields["user"], fields["action"]) == (GUEST.to_json(), "guest/a")
        if isinstance(answer, Exception):
            raise answer
        return answer, None

    door = Door(tmp_path / "door", TOKEN, {"compile": compile_})
    await door.start()
    try:
        if told is None:
            with pytest.raises(NotCompiled):
                await ask_compiled(str(tmp_path / "door"), GUEST, "guest/a", token=TOKEN, timeout_s=5.0)
        else:
            found = await ask_compiled(str(tmp_path / "door"), GUEST, "guest/a", token=TOKEN, timeout_s=5.0)
            assert {name: found[name] for name in told} == told
    finally:
        await door.close()


async def test_where_nobody_answers_that_is_an_error(tmp_path):
    with pytest.raises(NotCompiled):
        await ask_compiled(str(tmp_path / "nowhere"), GUEST, "guest/a", token=TOKEN, timeout_s=0.1)
