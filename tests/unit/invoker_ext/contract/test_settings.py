from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from invoker_ext.contract.settings import SettingsError, above, at_least, one_of, read_settings, setting, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    folder: Path = setting("Where.")
    count: int = setting("How many.", 2, at_least(1))
    wait_s: float = setting("How long.", 0.5, above(0))
    how: str = setting("Way.", "quick", one_of("quick", "slow"))
    loud: bool = setting("Whether.", False)


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_settings(Some, {f"P_{name}": text for name, text in environ.items()}, "P_")
    return caught.value.problems


def test_what_is_not_given_has_its_default():
    assert read_settings(Some, {"P_FOLDER": "/x", "OTHER": "1"}, "P_") == Some(folder=Path("/x"))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("ON", True), ("1", True), ("no", False), ("0", False)])
def test_switches_are_read_as_people_write_them(text: str, value: bool):
    assert read_settings(Some, {"P_FOLDER": "/x", "P_LOUD": text}, "P_").loud is value


def test_all_kinds_of_mistakes_are_told_together():
    assert problems(COUNT="0", WAIT_S="soon", HOW="gently", LOUD="maybe", COLOUR="red") == [
        "P_COLOUR is not a setting; known are: P_FOLDER, P_COUNT, P_WAIT_S, P_HOW, P_LOUD",
        "P_FOLDER must be set: Where.",
        "P_COUNT must be at least 1, is 0",
        "P_WAIT_S is 'soon', which is no float",
        "P_HOW must be one of quick, slow, is gently",
        "P_LOUD is 'maybe', which is no bool",
    ]
    assert problems(FOLDER="/x", WAIT_S="0") == ["P_WAIT_S must be above 0, is 0.0"]


def test_settings_are_shown_with_their_source():
    assert shown(Some, {"P_COUNT": "7"}, "P_").splitlines() == [
        "P_FOLDER=  # must be set: Where.",
        "P_COUNT=7  # environment, default 2: How many.",
        "P_WAIT_S=0.5  # default: How long.",
        "P_HOW=quick  # default: Way.",
        "P_LOUD=False  # default: Whether.",
    ]
