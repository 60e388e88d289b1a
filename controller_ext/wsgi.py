"""The workers: gunicorn around the API. `python -m controller_ext.wsgi` runs its master.

One master accepts nothing itself; each worker opens its own clients and stores after the fork and serves requests by
threads. Signals as gunicorn's: SIGTERM ends gracefully.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication

from controller_ext.api.app import create_app
from controller_ext.api.services import ApiSettings, Services
from controller_ext.balancer.client import BalancerClient, DefaultLimits, Results
from controller_ext.entities.catalog import Catalog
from controller_ext.runs.accept import Acceptor
from controller_ext.runs.control_flow import ControlFlow
from controller_ext.runs.doors import Doors
from controller_ext.runs.keys import open_keys
from controller_ext.runs.repeats import Repeats
from controller_ext.runs.spool import Spooler
from controller_ext.settings import PREFIX, Settings
from controller_ext.standalone.deathsig import DeathSignal
from controller_ext.system import kinds_of, limits_of
from controller_ext.worker import LingeringWorker, SilentAccess
from invoker_ext import logs
from invoker_ext.buses.address import told_events
from invoker_ext.contract.settings import SettingsError, shown
from invoker_ext.door.far import caller_of
from invoker_ext.door.hello import NotAllowed, read_token
from invoker_ext.stores.opening import open_activations, open_entities

TIMEOUT_S: Final = 90
"""A worker that does not move for so long is replaced: above the 60 s that a blocking invocation may wait."""
KEEP_ALIVE_S: Final = 75
GRACE_S: Final = 3
"""For requests under way when the server stops; runs themselves go on at the next start."""
REQUEST_LINE_BYTES: Final = 8190
"""Stock's bound of 8 KiB; gunicorn's own is half of that."""


def application(settings: Settings, token: str) -> Flask:
    """Return the API with all its clients opened; call it in the worker, after the fork.

    Raises:
        StoreUnavailable: A database cannot be opened.
        SettingsError: The store is not set up rightly.
    """
    entities = open_entities(settings, settings.data_dir)
    activations = open_activations(settings, settings.data_dir)
    limits = limits_of(settings)
    api = ApiSettings(limits=limits, manifest=kinds_of(settings))
    catalog = Catalog(entities)
    spooler = Spooler(settings.spool_dir, settings.door_name)
    # Where invokers may be on hosts that cannot reach us, Kafka has to do.
    broker = bool(settings.bus) and bool(settings.peer_listen or settings.local_invokers)
    acceptor = Acceptor(catalog, api.manifest, limits, spooler, settings.id, broker=broker)
    caller = caller_of(settings, f"controller{settings.id}")
    door = Doors(settings.invoker_door_sockets, token=token, caller=caller, elsewhere=lambda: balancer.doors())
    balancer = BalancerClient(
        settings.balancer_socket,
        token=token,
        defaults=DefaultLimits(
            settings.invocations_per_minute, settings.concurrent_invocations, settings.fires_per_minute
        ),
        lookup=activations.get,
        results=Results(activations.kept_result, door.pull),
        source=f"controller{settings.id}",
    )
    if settings.bus:
        entities.on_write(balancer.wrote)
    told = balancer.ended if told_events(settings.bus) else None
    control_flow = ControlFlow(
        balancer, acceptor.component, activations, threads=settings.control_flow_threads, told=told
    )
    services = Services(
        settings=api,
        catalog=catalog,
        activations=activations,
        acceptor=acceptor,
        balancer=balancer,
        control_flow=control_flow,
        door=door,
        repeats=Repeats(
            open_keys(settings),
            activations,
            door.settle,
            under_way=lambda namespace, activation_id: door.trace(namespace, activation_id) is not None,
        ),
    )
    return create_app(services)


class Workers(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's application, configured without a file."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings = settings
        self._token = token
        self._death_signal: DeathSignal | None = None
        super().__init__()

    def load_config(self) -> None:
        """Gunicorn's call: set what differs from its defaults."""
        settings = self._settings
        chosen: dict[str, Any] = {
            "bind": settings.listen.split(","),
            "worker_class": LingeringWorker,
            "logger_class": SilentAccess,
            "workers": settings.worker_count,
            "threads": settings.worker_threads,
            "worker_connections": 4 * settings.worker_threads,
            "timeout": TIMEOUT_S,
            "graceful_timeout": GRACE_S,
            "keepalive": KEEP_ALIVE_S,
            "limit_request_line": REQUEST_LINE_BYTES,
            "control_socket_disable": True,
            "proc_name": "dataflower-workers",
            "logconfig_dict": _LOGGING | {"root": {"level": settings.log_level, "handlers": ["stderr"]}},
            "on_starting": self._starting,
            "post_fork": self._forked,
            "post_worker_init": self._serving,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Gunicorn's call, in the worker."""
        return application(self._settings, self._token)

    def _starting(self, server: object) -> None:
        self._death_signal = DeathSignal()

    def _forked(self, server: object, worker: object) -> None:
        if self._death_signal is not None:
            self._death_signal()

    def _serving(self, worker: object) -> None:
        """Say that this worker serves; later workers find nobody listening any more."""
        if self._settings.ready_fd >= 0:
            try:
                os.write(self._settings.ready_fd, b"1")
            except BrokenPipeError:
                return


_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "invoker_ext.logs.formatter", "process": "worker"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "loggers": {
        "gunicorn.error": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
}


def main() -> int:
    """Run the master; return its exit code."""
    if "--print-settings" in sys.argv[1:]:
        sys.stdout.write(shown(Settings, os.environ, PREFIX))
        return 0
    try:
        settings = Settings.from_env(os.environ)
        token = read_token(settings.token_file)
    except (SettingsError, NotAllowed) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure("workers", settings.log_level)
    # Gunicorn parses arguments of its own from the command line otherwise.
    sys.argv[1:] = []
    Workers(settings, token).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
