"""Which packages there are, and what is told of them: texts and annotations are stock's. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

NAMESPACE: Final = "whisk.system"
KIND: Final = "python:3"
"""Any Python 3: what is done here needs no particular one."""


@dataclass(slots=True, frozen=True, kw_only=True)
class BuiltinAction:
    """An action.

    Attributes:
        name: In its package; of its file too, unless `file` says otherwise.
        about: Annotations in their order, by key.
        file: `PACKAGE/NAME` of its code.
        defaults: Its own parameters.
    """

    name: str
    about: dict[str, Any]
    file: str | None = None
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True, kw_only=True)
class BuiltinPackage:
    """A package that all may use; `about` and `defaults` as those of an action."""

    name: str
    about: dict[str, Any]
    actions: tuple[BuiltinAction, ...]
    defaults: dict[str, Any] = field(default_factory=dict)


def _parameter(name: str, description: str | None = None, *, required: bool = False, **more: str) -> dict[str, Any]:
    """Describe a parameter of an action."""
    told = {} if description is None else {"description": description}
    return {"name": name, "required": required, **more, **told}


_LINES: Final = _parameter("lines", "An array of strings", required=True, type="array")
_HEAD: Final = {"parameters": [_LINES, _parameter("num", "The length of the prefix", type="integer")]}
_PEOPLE: Final = [_parameter("name"), _parameter("place", "The string to be included in the return value")]
_FELINES: Final = {"payload": "Five fuzzy felines"}
_COUNTED: Final = {
    "parameters": [_parameter("payload", "A string", required=True)],
    "sampleInput": _FELINES,
    "sampleOutput": {"count": 3},
}

UTILS: Final = BuiltinPackage(
    name="utils",
    about={"description": "Building blocks that format and assemble data"},
    actions=(
        BuiltinAction(
            name="echo",
            about={
                "description": "Returns the input",
                "parameters": [_parameter("payload", "Any JSON entity")],
                "sampleInput": _FELINES,
                "sampleOutput": _FELINES,
            },
        ),
        BuiltinAction(
            name="cat",
            about={
                "description": "Concatenates input into a string",
                "parameters": [_parameter("lines", "An array of strings or numbers", required=True, type="array")],
                "sampleInput": {"lines": [4, 2, 3]},
                "sampleOutput": {"lines": [4, 2, 3], "payload": "4\n2\n3"},
            },
        ),
        BuiltinAction(
            name="smash",
            about={
                "description": "Nests all properties under given property.",
                "parameters": [
                    _parameter("$fieldName", "Name of property to nest object under", required=True, type="string")
                ],
                "sampleInput": {"a": 1, "b": {"c": 2, "d": 3}, "$fieldName": "p"},
                "sampleOutput": {"p": {"a": 1, "b": {"c": 2, "d": 3}}},
            },
        ),
        BuiltinAction(
            name="split",
            about={
                "description": "Split a string into an array",
                "parameters": [
                    _parameter("payload", "A string", required=True),
                    _parameter("separator", "The text to split at; by default the end of a line"),
                ],
                "sampleInput": {"payload": "one,two,three", "separator": ","},
                "sampleOutput": {"lines": ["one", "two", "three"], "payload": "one,two,three"},
            },
        ),
        BuiltinAction(
            name="sort",
            about={
                "description": "Sorts an array",
                "parameters": [_LINES],
                "sampleInput": {"lines": [4, 2, 3]},
                "sampleOutput": {"lines": [2, 3, 4], "length": 3},
            },
        ),
        BuiltinAction(
            name="head",
            about={
                "description": "Extract prefix of an array",
                **_HEAD,
                "sampleInput": {"lines": [4, 2, 3], "num": 2},
                "sampleOutput": {"lines": [4, 2], "num": 2},
            },
        ),
        BuiltinAction(
            name="date",
            about={"description": "Current date and time", "sampleOutput": {"date": "2016-03-22T00:59:55.961Z"}},
        ),
        BuiltinAction(
            name="namespace",
            about={
                "description": "Returns namespace for the authorization key used to invoke this action",
                "sampleOutput": {"namespace": "guest"},
            },
        ),
        BuiltinAction(
            name="hosturl",
            about={
                "description": "Returns the URL to activation an action or trigger",
                "parameters": [
                    _parameter("web", "True for web actions", type="boolean"),
                    _parameter("ext", "Extension for web action, one of .html, .http, .json, .text", type="string"),
                    _parameter("trigger", "True to construct path for trigger instead of action.", type="boolean"),
                    _parameter(
                        "path", "The action name as just <action name> or <package name>/<action name>.", type="string"
                    ),
                ],
                "sampleInput": {"web": True, "path": "utils/echo"},
                "sampleOutput": {"url": "http://127.0.0.1:3233/api/v1/web/guest/utils/echo.json"},
            },
        ),
    ),
)

SAMPLES: Final = BuiltinPackage(
    name="samples",
    about={"description": "A suite of simple actions to help you get started with OpenWhisk"},
    actions=(
        BuiltinAction(
            name="helloWorld",
            about={
                "description": "Demonstrates logging facilities",
                "parameters": [_parameter("payload", "The string to be included in the log record")],
                "sampleInput": {"payload": "Cat"},
                "sampleOutput": {},
                "sampleLogOutput": "2016-03-22T01:02:26.387624916Z stdout: hello Cat!",
            },
        ),
        BuiltinAction(
            name="greeting",
            about={
                "description": "Returns a friendly greeting",
                "parameters": _PEOPLE,
                "sampleInput": {"payload": "Cat", "place": "Narrowsburg"},
                "sampleOutput": {"payload": "Hello, Cat from Narrowsburg!"},
                "sampleLogOutput": (
                    "2016-03-22T01:07:08.384982272Z stdout: params: {'place': 'Narrowsburg', 'payload': 'Cat'}"
                ),
            },
        ),
        BuiltinAction(
            name="helloPromises",
            about={
                "description": "Return a hello message as an array of strings, from a coroutine",
                "parameters": _PEOPLE,
                "sampleInput": {"name": "Cat", "place": "Narrowsburg"},
                "sampleOutput": {"lines": ["Hello,", "Cat", "from", "Narrowsburg!"]},
            },
        ),
        BuiltinAction(
            name="wordCount",
            about={
                "description": "Count words in a string",
                **_COUNTED,
                "sampleLogOutput": (
                    "2016-03-22T01:10:07.361649586Z stdout: The message 'Five fuzzy felines' has 3 words"
                ),
            },
        ),
        BuiltinAction(
            name="wordCountAsync",
            about={
                "description": "word count utility, coded as an asynchronous action for pedagogical purposes",
                **_COUNTED,
            },
        ),
        BuiltinAction(
            name="curl",
            about={
                "description": "Curl a host url",
                "parameters": [_parameter("payload", "A host url", required=True)],
                "sampleInput": {"payload": "google.com"},
                "sampleOutput": {"msg": "content returned from google.com"},
            },
        ),
        BuiltinAction(
            name="cat",
            about={
                "description": "Equivalent to unix cat command",
                "parameters": [_LINES],
                "sampleInput": {"lines": [1, 2, 3]},
                "sampleOutput": {"lines": [1, 2, 3], "payload": "1\n2\n3\n"},
            },
        ),
        BuiltinAction(
            name="head",
            about={
                "description": "returns the first num lines of an array",
                **_HEAD,
                "sampleInput": {"lines": [1, 2, 3, 4], "num": 2},
                "sampleOutput": {"lines": [1, 2], "num": 2},
            },
            file="utils/head",
        ),
        BuiltinAction(
            name="printParams",
            about={
                "description": "print the parameters to the console, sorted alphabetically by key",
                "parameters": [],
                "sampleInput": {"x": 1, "b": 5, "z": 2},
                "sampleOutput": {"params": {"b": 5, "x": 1, "z": 2}},
            },
        ),
        BuiltinAction(
            name="countdown",
            about={
                "description": "An action that invokes itself recursively, programmatically using whisk API",
                "parameters": [_parameter("n", "number of times the action needs to be invoked")],
                "provide-api-key": True,
                "sampleInput": {"n": 5},
                "sampleOutput": {"activationId": "10f95a603b6c4966b95a603b6cd96643"},
                "sampleLogOutput": "2018-11-12T20:27:50.12223688Z  stdout: 4",
            },
        ),
    ),
)


def _feed(name: str, description: str, *required: str, optional: tuple[str, ...], **defaults: bool) -> BuiltinAction:
    told = [_parameter(one, required=True) for one in required] + [_parameter(one) for one in optional]
    about = {"description": description, "parameters": told, "feed": True}
    return BuiltinAction(name=name, about=about, file="alarms/feed", defaults=defaults)


ALARMS: Final = BuiltinPackage(
    name="alarms",
    about={"description": "Alarms and periodic utility", "parameters": [_parameter("trigger_payload")]},
    defaults={"trigger_payload": ""},
    actions=(
        _feed(
            "alarm",
            "Fire trigger when alarm occurs",
            "cron",
            optional=("timezone", "startDate", "stopDate", "strict"),
        ),
        _feed("once", "Fire trigger once when alarm occurs", "date", optional=("deleteAfterFire",), fireOnce=True),
        _feed(
            "interval",
            "Fire trigger at specified interval",
            "minutes",
            optional=("startDate", "stopDate"),
            isInterval=True,
        ),
    ),
)

PACKAGES: Final = (UTILS, SAMPLES, ALARMS)
