from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, strategies as st

from controller_ext.webactions.printing import pretty

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def test_members_stand_on_lines_of_their_own_and_arrays_on_one():
    value = {"a": [1, {"b": None, "c": []}, ["ä\n"]], "d": {"e": True}, "f": Decimal("1E+5"), "g": {}}
    assert pretty(value) == (
        '{\n  "a": [1, {\n    "b": null,\n    "c": []\n  }, ["ä\\n"]],\n'
        '  "d": {\n    "e": true\n  },\n  "f": 1E+5,\n  "g": {\n\n  }\n}'
    )


@given(values)
def test_what_is_printed_is_the_same_value(value: Any):
    assert json.loads(pretty(value)) == value
