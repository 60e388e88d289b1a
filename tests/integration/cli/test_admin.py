"""`dataflower admin` as a program: options, texts and exit codes of wskadmin, without a server."""

import re
from pathlib import Path

import pytest

from controller_ext.cli.main import main
from invoker_ext.stores.subjects import GUEST_KEY
from tests.support.couchdb import CouchServer


@pytest.fixture
def admin(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run one command; return exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["admin", *arguments, "--data-dir", str(tmp_path / "data")])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_user_is_created_shown_and_deleted(admin):
    code, key, _ = admin("user", "create", "alice")
    assert code == 0
    assert re.fullmatch(r"[0-9a-f-]{36}:[A-Za-z0-9]{64}\n", key)
    assert admin("user", "get", "alice") == (0, key, "")
    assert admin("user", "whois", key.strip()) == (0, "subject: alice\nnamespace: alice\n", "")
    assert admin("user", "list", "-k", "alice") == (0, key, "")
    assert admin("user", "delete", "alice") == (0, "Subject deleted\n", "")
    assert admin("user", "get", "alice")[0] == 1
    assert admin("user", "whois", key.strip()) == (0, "Subject id is not recognized\n", "")


def test_a_new_directory_has_the_stock_users(admin, tmp_path: Path):
    admin("limits", "set", "team", "--firesPerMinute", "1")
    assert admin("user", "get", "guest") == (0, f"{GUEST_KEY}\n", "")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_databases_in_couchdb_are_made_once_and_used(admin, couch_server: CouchServer, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("DATAFLOWER_CONTROLLER_STORE_URL", couch_server.url)
    monkeypatch.setenv("DATAFLOWER_CONTROLLER_STORE_PREFIX", couch_server.place().prefix)
    code, _, err = admin("user", "get", "guest")
    assert code == 1
    assert "dataflower admin db init" in err
    for _ in range(2):
        assert admin("db", "init") == (0, f"{couch_server.url} is ready\n", "")
    assert admin("user", "get", "guest") == (0, f"{GUEST_KEY}\n", "")
    key = admin("user", "create", "alice")[1]
    assert admin("user", "whois", key.strip()) == (0, "subject: alice\nnamespace: alice\n", "")
    assert admin("limits", "set", "alice", "--firesPerMinute", "1")[0] == 0
    assert admin("limits", "get", "alice") == (0, "firesPerMinute = 1\n", "")
    assert admin("user", "block", "alice")[0] == 0
    assert admin("user", "whois", key.strip()) == (0, "Subject id is not recognized\n", "")
    assert not (tmp_path / "data").exists()


def test_reading_verbs_make_no_directory(admin, tmp_path: Path):
    code, out, err = admin("user", "get", "guest")
    assert (code, out) == (1, "")
    assert "name another with --data-dir" in err
    assert not (tmp_path / "data").exists()


def test_namespaces_of_a_user(admin):
    auth = "11111111-2222-4333-8444-555555555555:" + "k" * 64
    assert admin("user", "create", "alice", "-ns", "team", "-u", auth) == (0, f"{auth}\n", "")
    other = admin("user", "create", "alice", "-n", "alice.space")[1]
    assert admin("user", "get", "alice", "--all") == (0, f"team\t{auth}\nalice.space\t{other}", "")
    assert admin("user", "get", "alice", "-ns", "team") == (0, f"{auth}\n", "")
    code, _, err = admin("user", "get", "alice")
    assert (code, 'namespace "alice" not found for "alice"' in err) == (1, True)
    second = admin("user", "create", "bobby", "-ns", "team")[1].strip()
    assert admin("user", "list", "team") == (0, f"{auth}\talice\n", "")
    assert admin("user", "list", "-p", "2", "team") == (0, f"{auth}\talice\n{second}\tbobby\n", "")
    assert admin("user", "list", "-a", "-k", "team") == (0, f"{auth}\n{second}\n", "")
    assert admin("user", "list", "-p", "0", "team")[0] == 2
    assert admin("user", "delete", "alice", "-ns", "team") == (0, "Namespace deleted\n", "")
    code, _, err = admin("user", "delete", "alice", "-ns", "team")
    assert (code, 'Namespace "team" does not exist for "alice"' in err) == (1, True)
    assert admin("user", "list", "nowhere") == (0, 'no identities found for namespace "nowhere"\n', "")


def test_several_users_are_blocked_and_the_exit_code_counts_who_could_not(admin):
    admin("user", "create", "alice")
    admin("user", "create", "bobby")
    code, out, err = admin("user", "block", "alice", "bobby", "", " ")
    assert (code, out, err) == (0, '"alice" blocked successfully\n"bobby" blocked successfully\n', "")
    assert admin("user", "list", "alice")[1] == 'no identities found for namespace "alice"\n'
    code, out, err = admin("user", "unblock", "carol", "alice", "david")
    assert (code, out) == (2, '"alice" unblocked successfully\n')
    assert err.count("Failed to unblock subject") == 2
    code, _, err = admin("user", "create", "bobby", "-ns", "team")
    assert (code, err) == (1, "dataflower: The subject you want to edit is blocked\n")


def test_limits_are_set_shown_and_deleted(admin):
    admin("user", "create", "alice")
    assert admin("limits", "get", "team") == (0, "No limits found, default system limits apply\n", "")
    given = ["--invocationsPerMinute", "1", "--firesPerMinute", "2", "--concurrentInvocations", "3"]
    assert admin("limits", "set", "team", *given) == (0, 'Limits successfully set for "team"\n', "")
    shown = "invocationsPerMinute = 1\nfiresPerMinute = 2\nconcurrentInvocations = 3\n"
    assert admin("limits", "get", "team") == (0, shown, "")
    assert admin("limits", "delete", "team") == (0, "Limits deleted\n", "")
    assert admin("limits", "delete", "team")[0] == 1
    admin("limits", "set", "team", "--allowedKinds", "nodejs:6", "blackbox")
    admin("limits", "set", "team", "--storeActivations", "false", "--maxParameterSize", "512KB")
    shown = "allowedKinds = ['nodejs:6', 'blackbox']\nstoreActivations = False\nmaxParameterSize = 524288 B\n"
    assert admin("limits", "get", "team") == (0, shown, "")
    admin("limits", "set", "team", "--enableStoreActivations")
    assert "storeActivations = True\n" in admin("limits", "get", "team")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "create", "bob"],
        ["user", "create", "alice", "--auth", "nonsense"],
        ["user"],
        ["limits", "set", "team"],
        ["limits", "set", "team", "--invocationsPerMinute", "-1"],
        ["limits", "set", "team", "--invocationsPerMinute", "many"],
        ["limits", "set", "team", "--maxParameterSize", "-1 B"],
        ["limits", "set", "team", "--storeActivations", "perhaps"],
        ["limits", "set", "te/am", "--firesPerMinute", "1"],
    ],
)
def test_a_wrong_command_line_has_code_two_and_a_reason(admin, arguments: list[str]):
    code, out, err = admin(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_a_key_may_be_made_without_being_stored_and_stored_without_being_shown(admin):
    assert admin("user", "create", "alice", "-g")[1]
    assert admin("user", "get", "alice")[0] == 1
    assert admin("user", "create", "alice", "-s") == (0, "", "")
    assert admin("user", "get", "alice")[0] == 0
