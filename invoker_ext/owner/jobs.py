"""What a container is told about one attempt: arguments and environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from action_runtime.wire.values import WHOLE
from invoker_ext.containers.job import Job
from invoker_ext.contract.graph import ActionCall, GraphKind
from invoker_ext.dataflow.commands import Bound, Constant, Dispatch
from invoker_ext.inline.home import REVISION, Home
from invoker_ext.owner.actions import ActionDoc, split_init
from invoker_ext.owner.attempt import Attempt
from invoker_ext.owner.host import Ear
from invoker_ext.owner.run_record import RunSpec
from invoker_ext.relay.json_form import value_json

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run


def make_attempt(run: Run, command: Dispatch, call: ActionCall, doc: ActionDoc, ear: Ear) -> Attempt:
    """Return an attempt with the job that the pool is to do for it.

    A plain action's first attempt has the activation id of its run, any other one of its own.

    Args:
        run: Whose.
        command: That asks for it.
        call: Of the action.
        doc: The action.
        ear: Hears of it.
    """
    spec = run.spec
    plain = run.graph.kind is GraphKind.ACTION
    activation_id = spec.activation_id if plain and command.attempt == 1 else os.urandom(16).hex()
    now = run.host.clock.now()
    attempt = Attempt(run, command, call, activation_id, now, ear)
    attempt.count_inputs(command.inputs)
    inputs, init_env = arguments(command, call, spec.init_args, whole=plain)
    attempt.job = Job(
        call=call,
        code=doc.code,
        user=spec.user,
        activation_id=activation_id,
        env=environment(spec, call, activation_id, passes_key=doc.passes_key),
        init_env=init_env,
        inputs=inputs,
        wants=ear.wants(command.step.name),
        plain=run.graph.kind is not GraphKind.DATAFLOW,
        opens_streams=doc.opens_streams,
        timeout_s=attempt.timeout_ms / 1000,
        run=spec.activation_id,
        listener=attempt,
        queued=now,
        epoch=spec.epoch,
        repeats=run.retries_losses(command.step),
        brings=ear.brings,
        before=run.began_once,
    )
    return attempt


def arguments(
    command: Dispatch, call: ActionCall, init_args: tuple[str, ...], *, whole: bool
) -> tuple[list[Bound], dict[str, str]]:
    """Put the action's own parameters under the inputs, and take those for init out.

    Args:
        command: With the inputs.
        call: With the action's own parameters.
        init_args: Of a plain action, whose arguments the controller has merged already.
        whole: It is a plain action.

    Returns:
        Inputs in order, later ones win; the init environment.
    """
    inputs = list(command.inputs)
    if whole:
        if not init_args:
            return inputs, {}
        text, init_env = split_init(value_json(inputs[0].value), init_args)
        return [Bound(WHOLE, Constant(text.decode()))], init_env
    if call.parameters == "{}":
        return inputs, {}
    if not call.init_names:
        return [Bound(WHOLE, Constant(call.parameters)), *inputs], {}
    rest, init_env = split_init(call.parameters.encode(), call.init_names)
    return [Bound(WHOLE, Constant(rest.decode())), *inputs], init_env


def home_of(run: Run) -> Home | None:
    """Return the containers in which the inline functions of a run are evaluated; None: they are evaluated beside us.

    Functions see the id of the run: that of the conductor's activation in stock.
    """
    evaluator, spec, limits = run.graph.evaluator, run.spec, run.graph.limits
    if evaluator is None:
        return None
    call = ActionCall(
        name=spec.path,
        version=spec.version,
        revision=REVISION,
        kind=evaluator.kind,
        memory_mb=limits.memory_mb,
        timeout_ms=limits.timeout_ms,
        logs_mb=limits.logs_mb,
        binding=spec.binding,
    )
    told = environment(spec, call, spec.activation_id, passes_key=evaluator.passes_key)
    return Home(call, spec.user, spec.activation_id, told)


def environment(spec: RunSpec, call: ActionCall, activation_id: str, *, passes_key: bool) -> dict[str, str]:
    """Return the members of the stock `/run` body beside `value`, no deadline."""
    env = {
        "namespace": spec.user.namespace,
        "action_name": "/" + call.name,
        "action_version": call.version,
        "activation_id": activation_id,
        "transaction_id": str(spec.transid[0]),
    }
    if passes_key:
        env["api_key"] = spec.user.api_key
    return env
