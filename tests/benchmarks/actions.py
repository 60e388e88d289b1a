"""Code of the actions that benchmarks run, and the workflows around them.

Instants are `time.monotonic_ns()`: one clock for all processes of a machine, so a difference between two containers is
a time.
"""

from __future__ import annotations

from typing import Final

NOOP: Final = "def main(args):\n    return args\n"

TEXT: Final = 'def main(args):\n    return {"text": "x" * args["bytes"]}\n'

STAMP: Final = """\
import time

def main(args):
    entered = time.monotonic_ns()
    return {"stamps": [*args.get("stamps", ()), [entered, time.monotonic_ns()]]}
"""
"""Notes when it was entered and when it returned."""

PRODUCE: Final = """\
import time
from action_runtime import emit

data = b""

def main(args):
    global data
    if len(data) != args["n"]:
        data = bytes(args["n"])
    at = time.monotonic_ns()
    emit("data", data)
    return {"at": at}
"""
CONSUME: Final = """\
import time

def main(args):
    entered = time.monotonic_ns()
    return {"entered": entered, "n": len(args["data"])}
"""
PRODUCE_TEXT: Final = """\
import time

text = ""

def main(args):
    global text
    if len(text) != args["n"]:
        text = "x" * args["n"]
    return {"at": time.monotonic_ns(), "data": text}
"""
"""What stock can do: the value is a member of the result."""
CONSUME_TEXT: Final = """\
import time

def main(args):
    entered = time.monotonic_ns()
    return {"at": args["at"], "entered": entered, "n": len(args["data"])}
"""
PASS_TEXT: Final = """\
import time

def main(args):
    return {"at": args["at"], "entered": time.monotonic_ns(), "data": args["data"]}
"""

ITEMS: Final = """\
from action_runtime import emit

def main(args):
    for number in range(args["items"]):
        emit("item", number)
    return {}
"""
ONE: Final = """\
def main(args):
    return {"one": 1}
"""
COUNT: Final = """\
def main(args):
    return {"count": sum(args["ones"])}
"""
MEBIBYTE: Final = """\
import time
from action_runtime import emit

data = bytes(1 << 20)

def main(args):
    at = time.monotonic_ns()
    emit("data", data)
    return {"at": at}
"""
MERGE: Final = """\
import time

def main(args):
    entered = time.monotonic_ns()
    return {"entered": entered, "n": sum(len(one) for one in args["parts"])}
"""

SLOW_OUTPUT: Final = """\
import os
import time
from action_runtime import emit

write = os.pwrite

def slow(descriptor, data, at):
    time.sleep(len(data) / 8_000_000)
    return write(descriptor, data, at)

os.pwrite = slow

def main(args):
    emit("data", bytes(4 << 20))
    return {}
"""
"""Its function is short and its data unit writes 8 MB a second: it stands for a busy host."""
SIZE: Final = """\
def main(args):
    return {"size": len(args["data"])}
"""

FAN_OUT: Final = """\
dataflow: 1
steps:
  items: {action: bench-items, inputs: {items: $run.items}}
  one: {action: bench-one, inputs: {item: {each: items.item}}}
  count: {action: bench-count, inputs: {ones: {gather: one.one}}}
result: count
"""
FAN_IN: Final = """\
dataflow: 1
steps:
  items: {action: bench-items, inputs: {items: $run.items}}
  part: {action: bench-mebibyte, inputs: {item: {each: items.item}}}
  merge: {action: bench-merge, inputs: {parts: {gather: part.data}}}
result: {ats: {gather: part.at}, entered: merge.entered}
"""


def slow_outputs(action: str) -> str:
    """Return the workflow that runs an action once an item and reads what each emits."""
    return f"""\
dataflow: 1
steps:
  emit: {{action: {action}, inputs: {{item: {{each: $run.items}}}}}}
  size: {{action: bench-size, inputs: {{data: emit.data}}}}
result: {{sizes: {{gather: size.size}}}}
"""


def hand_over(consumers: int) -> str:
    """Return the workflow of one producer whose output this many steps consume."""
    steps = ["  produce: {action: bench-produce, inputs: {n: $run.n}}"]
    steps += [
        f"  consume{number}: {{action: bench-consume, inputs: {{data: produce.data}}}}" for number in range(consumers)
    ]
    result = ["  at: produce.at"] + [f"  c{number}: consume{number}.entered" for number in range(consumers)]
    return "\n".join(["dataflow: 1", "steps:", *steps, "result:", *result]) + "\n"
