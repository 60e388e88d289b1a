from controller_ext.cli.options import DEFAULT_APIHOST, GUEST_AUTH, resolve

SAVED = "APIHOST=http://saved:1\n# AUTH=no\nAUTH = u:saved\n"


def test_a_flag_wins_over_everything():
    found = resolve("http://flag:1/", "u:flag", {"APIHOST": "http://env:1", "AUTH": "u:env"}, SAVED)

    assert (found.url, found.auth) == ("http://flag:1", "u:flag")


def test_the_environment_wins_over_the_file_of_wsk():
    found = resolve(None, None, {"APIHOST": "http://env:1", "AUTH": "u:env"}, SAVED)

    assert (found.url, found.auth) == ("http://env:1", "u:env")


def test_the_file_of_wsk_is_read():
    found = resolve(None, None, {}, SAVED)

    assert (found.url, found.auth) == ("http://saved:1", "u:saved")


def test_without_any_it_is_a_server_of_this_machine_with_the_guest_key():
    assert resolve(None, None, {}, "") == resolve(DEFAULT_APIHOST, GUEST_AUTH, {}, "")


def test_a_bare_host_is_one_behind_tls():
    assert resolve("cloud.example", None, {}, "").url == "https://cloud.example"
