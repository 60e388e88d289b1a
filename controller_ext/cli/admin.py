"""`dataflower admin`: users, their keys and the limits of namespaces; verbs, options and texts of stock's wskadmin.

It works on the database of a data directory, whether a server runs there or not, or on CouchDB; a running one notices
at once.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from controller_ext.entities.subjects import Subjects
    from invoker_ext.stores.settings import StoreSettings

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
    Verb = Callable[[Subjects, argparse.Namespace], int]

_EPILOG: Final = """\
examples:
  dataflower admin user create alice                        a user with a namespace of its name; prints uuid:key
  dataflower admin user create alice --namespace team       a key to another namespace
  dataflower admin user block alice                         refuse her keys from the next request on
  dataflower admin limits set team --invocationsPerMinute 120 --allowedKinds python:3
"""
_MOST_EXIT: Final = 100
_COUNTS: Final = {
    "invocationsPerMinute": "invocations in a clock minute; 0 refuses all",
    "firesPerMinute": "trigger fires in a clock minute; 0 refuses all",
    "concurrentInvocations": "activations in flight; 0 refuses all",
    "minActionMemory": "MB",
    "maxActionMemory": "MB",
    "minActionLogs": "MB",
    "maxActionLogs": "MB",
    "minActionTimeout": "milliseconds",
    "maxActionTimeout": "milliseconds",
    "minActionConcurrency": "activations in one container",
    "maxActionConcurrency": "activations in one container",
    "maxActionInstances": "containers of one action",
}


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "admin",
        help="manage users and limits of a server",
        description="Manage users, their keys, and limits of namespaces, while a server runs or not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _place(parser, None)
    parser.set_defaults(handler=lambda arguments: _no_verb(parser))
    groups = parser.add_subparsers(title="commands", metavar="COMMAND")
    _register_user(groups)
    _register_limits(groups)
    _register_db(groups)


def _register_user(groups: Subparsers) -> None:
    user = groups.add_parser("user", help="manage users")
    user.set_defaults(handler=lambda arguments: _no_verb(user))
    verbs = user.add_subparsers(title="commands", metavar="COMMAND")

    create = _verb(verbs, "create", _create, "create a user, or a key to one more namespace, and show the key")
    create.add_argument("subject", help="at least 5 characters")
    create.add_argument("-u", "--auth", metavar="UUID:KEY", help="use this key of 64 characters instead of a new one")
    _namespace(create, "create a key to this namespace (default: the one of the subject's name)")
    create.add_argument("-r", "--revoke", action="store_true", help="replace the key; its uuid stays")
    create.add_argument("-f", "--force", action="store_true", help="replace uuid and key")
    create.add_argument("-g", "--genonly", action="store_true", help="show a new key and store nothing")
    create.add_argument("-s", "--silent", action="store_true", help="do not show the key")

    delete = _verb(verbs, "delete", _delete, "delete a user; what is in its namespaces stays")
    delete.add_argument("subject")
    _namespace(delete, "delete the key to this namespace only")

    get = _verb(verbs, "get", _get, "show the key of a user")
    get.add_argument("subject")
    _namespace(get, "the namespace to show the key of (default: the one of the subject's name)")
    get.add_argument("-a", "--all", action="store_true", help="show all namespaces and their keys")

    whois = _verb(verbs, "whois", _whois, "show whose a key is")
    whois.add_argument("authkey", metavar="UUID:KEY")

    for word in ("block", "unblock"):
        state = _verb(verbs, word, _block, f"{word} users")
        state.add_argument("subjects", nargs="+", metavar="subject")
        state.set_defaults(blocked=word == "block")

    show = _verb(verbs, "list", _list, "show who has a key to a namespace and is not blocked")
    show.add_argument("namespace")
    show.add_argument("-p", "--pick", metavar="N", type=int, default=1, help="show at most N (default %(default)s)")
    show.add_argument("-a", "--all", action="store_true", help="show all")
    show.add_argument("-k", "--key", action="store_true", help="show the keys only")


def _register_limits(groups: Subparsers) -> None:
    limits = groups.add_parser("limits", help="manage limits of namespaces")
    limits.set_defaults(handler=lambda arguments: _no_verb(limits))
    verbs = limits.add_subparsers(title="commands", metavar="COMMAND")

    change = _verb(verbs, "set", _set_limits, "set limits of a namespace; those not named stay as they are")
    change.add_argument("namespace")
    for name, unit in _COUNTS.items():
        change.add_argument(f"--{name}", type=_count, metavar="N", help=unit)
    change.add_argument("--maxParameterSize", type=_size, metavar="SIZE", help="as 1048576, 512KB or 1MB")
    change.add_argument("--allowedKinds", nargs="+", metavar="KIND", help="kinds of actions that may be used")
    change.add_argument("--storeActivations", type=_boolean, metavar="true|false", help="whether records are kept")
    for word, value in (("enable", True), ("disable", False)):
        change.add_argument(
            f"--{word}StoreActivations", dest="storeActivations", action="store_const", const=value, help="the same"
        )

    for word, handler, summary in (
        ("get", _get_limits, "show the limits that a namespace has of its own"),
        ("delete", _delete_limits, "have the system's limits hold for a namespace again"),
    ):
        _verb(verbs, word, handler, summary).add_argument("namespace")


def _register_db(groups: Subparsers) -> None:
    database = groups.add_parser("db", help="manage the database")
    database.set_defaults(handler=lambda arguments: _no_verb(database))
    verbs = database.add_subparsers(title="commands", metavar="COMMAND")
    summary = "make databases, views, stock users and built-in packages, as far as they are missing"
    init = verbs.add_parser("init", help=summary, description=summary[0].upper() + summary[1:] + ".")
    _place(init, argparse.SUPPRESS)
    init.set_defaults(handler=_init)


def _verb(verbs: Subparsers, name: str, verb: Verb, summary: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    _place(parser, argparse.SUPPRESS)  # given before the verb, it must not be forgotten after it
    writes = verb in (_create, _set_limits)
    parser.set_defaults(handler=lambda arguments: _run(verb, arguments, make=writes))
    return parser


def _namespace(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("-n", "-ns", "--namespace", metavar="NAMESPACE", help=text)


def _place(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        default=default,
        help="that of the server (default $XDG_DATA_HOME/dataflower, or ~/.local/share/dataflower)",
    )
    parser.add_argument(
        "--store-url",
        metavar="URL",
        default=default,
        help="CouchDB of the server (default $DATAFLOWER_CONTROLLER_STORE_URL; else the database in DIR)",
    )


def _no_verb(parser: argparse.ArgumentParser) -> int:
    parser.print_help(sys.stderr)
    return 2


def _run(verb: Verb, arguments: argparse.Namespace, *, make: bool) -> int:
    from controller_ext.entities.subjects import AdminInvalid

    try:
        with _opened(arguments, make=make) as subjects:
            return verb(subjects, arguments)
    except AdminInvalid as error:
        sys.stderr.write(f"dataflower: {error}\n")
        return 2


@contextmanager
def _opened(arguments: argparse.Namespace, *, make: bool) -> Iterator[Subjects]:
    """Open the database; with `make`, prepare that of a new data directory as the first start of a server does."""
    from controller_ext.entities.subjects import AdminRefused, Subjects
    from controller_ext.standalone.datadir import DirectoryLock
    from invoker_ext.stores.opening import entities_file, open_entities
    from invoker_ext.stores.subjects import seed_subjects

    directory, settings = _where(arguments)
    if not settings.store_url and not entities_file(directory).exists():
        if not make:
            raise AdminRefused(f"{directory} is no server's data directory; name another with --data-dir")
        lock = DirectoryLock(directory)
        try:
            store = open_entities(settings, directory, follow=False)
            seed_subjects(store)
        finally:
            lock.release()
    else:
        store = open_entities(settings, directory, follow=False)
    try:
        yield Subjects(store)
    finally:
        store.close()


def _where(arguments: argparse.Namespace) -> tuple[Path, StoreSettings]:
    """Return the data directory, and which store: as asked for, else as a controller's environment says."""
    from controller_ext.settings import PREFIX, default_data_dir
    from invoker_ext.contract.settings import read_settings
    from invoker_ext.stores.settings import StoreSettings

    directory = (arguments.data_dir or default_data_dir(os.environ)).absolute()
    given = {name: value for name, value in os.environ.items() if name.startswith(f"{PREFIX}STORE_")}
    if arguments.store_url is not None:
        given[f"{PREFIX}STORE_URL"] = arguments.store_url
    return directory, read_settings(StoreSettings, given, PREFIX)


def _init(arguments: argparse.Namespace) -> int:
    """Make all that a server expects of its store."""
    from controller_ext.standalone.datadir import DirectoryLock, fill

    directory, settings = _where(arguments)
    if settings.store_url:
        fill(settings, directory)
        return _say(f"{settings.store_url} is ready")
    lock = DirectoryLock(directory)
    try:
        fill(settings, directory)
    finally:
        lock.release()
    return _say(f"{directory} is ready")


def _create(subjects: Subjects, arguments: argparse.Namespace) -> int:
    if arguments.genonly:
        import uuid

        from controller_ext.entities.subjects import make_key

        return _say(f"{uuid.uuid4()}:{make_key()}")
    key = subjects.create(
        arguments.subject,
        namespace=arguments.namespace,
        auth=arguments.auth,
        revoke=arguments.revoke,
        force=arguments.force,
    )
    return 0 if arguments.silent else _say(key)


def _delete(subjects: Subjects, arguments: argparse.Namespace) -> int:
    return _say(subjects.delete(arguments.subject, arguments.namespace))


def _get(subjects: Subjects, arguments: argparse.Namespace) -> int:
    if arguments.all:
        return _say(*(f"{namespace}\t{key}" for namespace, key in subjects.keys(arguments.subject)))
    return _say(subjects.key(arguments.subject, arguments.namespace))


def _whois(subjects: Subjects, arguments: argparse.Namespace) -> int:
    found = subjects.whois(arguments.authkey)
    if found is None:
        return _say("Subject id is not recognized")
    return _say(f"subject: {found[0]}", f"namespace: {found[1]}")


def _list(subjects: Subjects, arguments: argparse.Namespace) -> int:
    from controller_ext.entities.subjects import AdminInvalid

    if arguments.pick < 1:
        raise AdminInvalid("pick at least 1 identity to show")
    found = subjects.identities(arguments.namespace)
    if not found:
        return _say(f'no identities found for namespace "{arguments.namespace}"')
    shown = found if arguments.all else found[: arguments.pick]
    return _say(*(key if arguments.key else f"{key}\t{subject}" for key, subject in shown))


def _block(subjects: Subjects, arguments: argparse.Namespace) -> int:
    """Block or unblock; the exit code counts those for whom it failed, as stock's."""
    from controller_ext.entities.subjects import AdminRefused

    failed = 0
    for name in filter(None, map(str.strip, arguments.subjects)):
        try:
            subjects.block(name, blocked=arguments.blocked)
        except AdminRefused as error:
            sys.stderr.write(f"dataflower: {error}\n")
            failed += 1
        else:
            _say(f'"{name}" {"blocked" if arguments.blocked else "unblocked"} successfully')
    return min(failed, _MOST_EXIT)


def _set_limits(subjects: Subjects, arguments: argparse.Namespace) -> int:
    from controller_ext.entities.subjects import LIMITS, AdminInvalid

    limits = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    if not limits:
        raise AdminInvalid("name at least one limit to set; --help lists them")
    subjects.set_limits(arguments.namespace, limits)
    return _say(f'Limits successfully set for "{arguments.namespace}"')


def _get_limits(subjects: Subjects, arguments: argparse.Namespace) -> int:
    found = subjects.limits(arguments.namespace)
    if found is None:
        return _say("No limits found, default system limits apply")
    return _say(*(f"{name} = {value}" for name, value in found))


def _delete_limits(subjects: Subjects, arguments: argparse.Namespace) -> int:
    subjects.delete_limits(arguments.namespace)
    return _say("Limits deleted")


def _say(*lines: str) -> int:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {(1 << 31) - 1}")
    return value


def _size(text: str) -> str:
    from controller_ext.entities.limits import parse_size

    size_bytes = parse_size(text if re.search(r"[a-zA-Z]", text) else f"{text} B")
    if size_bytes is None:
        raise argparse.ArgumentTypeError(f"{text} is no size; write it as 1048576, 512KB or 1MB")
    return f"{size_bytes} B"


def _boolean(text: str) -> bool:
    known = {"yes": True, "true": True, "no": False, "false": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text} is not a valid boolean.")
    return known[text.lower()]
