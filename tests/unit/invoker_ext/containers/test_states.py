import pytest

from invoker_ext.containers.lanes import PLACES, InvalidPlace, Place, Slot
from invoker_ext.containers.states import TRANSITIONS, InvalidTransition, State, check


@pytest.mark.parametrize("old", State)
@pytest.mark.parametrize("new", State)
def test_a_container_moves_only_as_the_table_says(old, new):
    if new in TRANSITIONS[old]:
        assert check(old, new, "c") is new
    else:
        with pytest.raises(InvalidTransition, match="cannot go"):
            check(old, new, "c")


@pytest.mark.parametrize("old", Place)
@pytest.mark.parametrize("new", Place)
def test_a_slot_moves_only_as_the_table_says(old, new):
    slot = Slot(1, "python", 256, 0.0, place=old)
    if new in PLACES[old]:
        slot.move(new, 1.0)
        assert (slot.place, slot.since) == (new, 1.0)
    else:
        with pytest.raises(InvalidPlace, match="cannot go"):
            slot.move(new, 1.0)


def test_a_slot_that_is_nobodys_has_no_owner():
    with pytest.raises(InvalidPlace, match="nobody"):
        Slot(1, "python", 256, 0.0).owned()
