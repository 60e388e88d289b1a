"""Generated parts of documents are what would be generated now."""

from tests.support.settings_table import README, renewed


def test_the_tables_of_settings_match_the_code():
    text = README.read_text()

    assert renewed(text) == text, "run `python -m tests.support.settings_table`"


def test_the_readme_is_short_enough_to_be_read():
    assert README.read_text().count("\n") <= 400
