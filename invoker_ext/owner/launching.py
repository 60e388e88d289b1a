"""Parts of a composition that nobody waits for: runs of their own, accepted like those that come from a controller."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from invoker_ext.contract.graph import RUN, Graph, GraphKind, Step, whole_of
from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.regions import RegionKind
from invoker_ext.dataflow.regions.commands import Launch
from invoker_ext.dataflow.regions.values import Items, Members, Text, text_of
from invoker_ext.owner.answers import json_of
from invoker_ext.owner.reading import Copies
from invoker_ext.owner.run_record import RunSpec


def launched(command: Launch, around: Graph, copies: Copies) -> tuple[Graph, bytes]:
    """Return the graph of such a part, the same whenever it is started, and what a run of it is given.

    Args:
        command: That asks for it.
        around: The graph that it is part of.
        copies: Of what other hosts hold.

    Raises:
        OSError: Spilled bytes cannot be read back.
    """
    name = around.steps[0].name
    region = replace(command.region, kind=RegionKind.RESUME)
    step = Step(name=name, call=region, inputs=(whole_of(RUN),), at_most_once=True)
    graph = Graph(kind=GraphKind.COMPOSITION, steps=(step,), result=(whole_of(name),))
    graph = replace(graph, limits=around.limits, evaluator=around.evaluator)
    cells = Items(tuple(Text("null") if one is None else Members(one) for one in command.cells))
    return graph, json_of(Members({"params": command.params, "cells": cells}), copies)


def resumed(content: bytes) -> tuple[bytes, tuple[dict[str, Text] | None, ...]]:
    """Return what such a run begins with: its value, and the cells around it."""
    given = json.loads(content)
    frames = (None if one is None else {name: text_of(value) for name, value in one.items()} for one in given["cells"])
    return json.dumps(given["params"]).encode(), tuple(frames)


def launch_message(spec: RunSpec, graph: Graph, content: bytes) -> ActivationMessage:
    """Return the message by which such a part becomes a run: as in stock, of the same action, and topmost."""
    return ActivationMessage(
        transid=spec.transid,
        action=spec.path,
        version=spec.version,
        revision=None,
        user=spec.user,
        activation_id=os.urandom(16).hex(),
        controller=spec.controller,
        blocking=False,
        content=content,
        locked_args={},
        binding=spec.binding,
        graph=graph.digest,
        epoch=spec.epoch,
        door=spec.door,
    )
