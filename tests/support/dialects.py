"""The same small actions in each language that there is a runtime for."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
NODE: Final = shutil.which("node") or shutil.which("nodejs")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A language with its runtime.

    Attributes:
        name: Family of its kinds.
        argv: Starts the runtime on `DATAFLOWER_RUNTIME_PORT`, or on the port that is appended.
        takes_port: The port is appended.
        codes: Name → source of an action.
        not_an_object, ok, broken_log: Where stock's runtimes differ: a bad result, a good init, the log of a bad one.
    """

    name: str
    argv: tuple[str, ...]
    takes_port: bool = False
    codes: Mapping[str, str] = field(repr=False)
    not_an_object: str
    ok: str
    broken_log: str


PYTHON: Final = Dialect(
    name="python",
    argv=(sys.executable, "-m", "action_runtime"),
    not_an_object="The action did not return a dictionary or array.",
    ok='{"ok":true}',
    broken_log="unexpected indent",
    codes={
        "echo": "def main(args):\n    return args\n",
        "niam": "def niam(args):\n    return args\n",
        "text": "def main(args):\n    return 'not an object'\n",
        "number": "def main(args):\n    return 42\n",
        "error": "def main(args):\n    return {'error': 'sorry'}\n",
        "broken": "def main(args):\n  return {}\n    x = 1\n",
        "print": (
            "import sys\ndef main(args):\n"
            "    print('hello stdout')\n    print('hello stderr', file=sys.stderr)\n    return args\n"
        ),
        "snow": (
            "def main(args):\n    text = args['delimiter'] + ' ☃ ' + args['delimiter']\n"
            "    print(text)\n    return {'winter': text}\n"
        ),
        "environment": (
            "import os\nSEEN = {k: os.environ[k] for k in ('SOME_VAR', 'ANOTHER_VAR', 'N')}\n"
            "print(SEEN['SOME_VAR'])\ndef main(args):\n    return SEEN\n"
        ),
        "context": (
            "import os\ndef main(args):\n    return {k: os.environ['__OW_' + k.upper()] for k in args['names']}\n"
        ),
        "append": "def main(args):\n    return args + ['c']\n",
        "wrap": "def main(args):\n    return {'args': args}\n",
        "import": "print('importing')\ndef main(args):\n    return {}\n",
        "child": "import os\ndef main(args):\n    os.system('echo child')\n    print('own')\n    return {}\n",
        "crash": "import os\ndef main(args):\n    os._exit(3)\n",
    },
)
NODEJS: Final = Dialect(
    name="nodejs",
    argv=(NODE or "node", str(_ROOT / "action_runtime" / "nodejs" / "proxy.js")),
    takes_port=True,
    not_an_object="The action did not return a dictionary.",
    ok='{"OK":true}',
    broken_log="SyntaxError",
    codes={
        "echo": "function main(args) { return args; }",
        "niam": "function niam(args) { return args; }",
        "text": "function main(args) { return 'not an object'; }",
        "number": "function main(args) { return 42; }",
        "error": "function main(args) { return {error: 'sorry'}; }",
        "broken": "10 PRINT 'Hello world!'\n20 GOTO 10\n",
        "print": "function main(args) { console.log('hello stdout'); console.error('hello stderr'); return args; }",
        "snow": (
            "function main(args) {\n  const text = args.delimiter + ' ☃ ' + args.delimiter;\n"
            "  console.log(text);\n  return {winter: text};\n}\n"
        ),
        "environment": (
            "const {SOME_VAR, ANOTHER_VAR, N} = process.env;\nconsole.log(SOME_VAR);\n"
            "function main() { return {SOME_VAR, ANOTHER_VAR, N}; }\n"
        ),
        "context": (
            "function main(args) {\n"
            "  return Object.fromEntries(args.names.map((k) => [k, process.env['__OW_' + k.toUpperCase()]]));\n}\n"
        ),
        "append": "function main(args) { return [...args, 'c']; }",
        "wrap": "function main(args) { return {args}; }",
        "import": "console.log('importing');\nfunction main() { return {}; }\n",
        "child": (
            "const {execSync} = require('child_process');\n"
            "function main() { execSync('echo child', {stdio: 'inherit'}); console.log('own'); return {}; }\n"
        ),
        "crash": "function main() { process.exit(3); }",
    },
)
