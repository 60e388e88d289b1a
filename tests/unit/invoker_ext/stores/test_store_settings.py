from __future__ import annotations

from pathlib import Path

import pytest

from invoker_ext.contract.settings import SettingsError, shown
from invoker_ext.stores.opening import place_of
from invoker_ext.stores.settings import StoreSettings


def test_without_a_url_the_store_is_no_couchdb():
    assert place_of(StoreSettings()) is None


def test_the_password_is_read_from_its_file_and_shown_nowhere(tmp_path: Path):
    (tmp_path / "secret").write_text("hush\n")
    settings = StoreSettings(store_url="http://h:1", store_user="u", store_password_file=str(tmp_path / "secret"))
    place = place_of(settings)
    assert place is not None
    assert (place.url, place.user, place.password, place.prefix) == ("http://h:1", "u", "hush", "whisk_local_")
    assert "hush" not in repr(place)
    assert "hush" not in shown(StoreSettings, {"P_STORE_PASSWORD": "hush"}, "P_")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"store_password": "p", "store_password_file": "/f"}, "given twice"),
        ({"store_password_file": "/nowhere/at/all"}, "cannot be read"),
    ],
)
def test_a_password_that_cannot_be_had_is_told(more: dict[str, str], text: str):
    with pytest.raises(SettingsError, match=text):
        place_of(StoreSettings(store_url="http://h:1", **more))
