"""Whether what a deployment on several hosts needs is there: told at once, and by whom it is to be mended."""

from __future__ import annotations

from typing import Final

from controller_ext.standalone.datadir import CannotStart
from invoker_ext.buses.address import KafkaAddress, kafka_address
from invoker_ext.stores.opening import place_of
from invoker_ext.stores.settings import StoreSettings

INSTALL: Final = "pip install 'openwhisk-dataflower[distributed]'"


def missing_settings(prefix: str, given: dict[str, str]) -> list[str]:
    """Return a sentence for each setting that such a deployment cannot do without and does not have."""
    needed = {
        "BUS": "kafka://HOST:PORT of the Kafka that all controllers and invokers share (--bus)",
        "STORE_URL": "http(s)://HOST:PORT of the CouchDB that they share (--store-url)",
    }
    return [f"{prefix}{name} must be set: {what}" for name, what in needed.items() if not given.get(prefix + name)]


def check_bus(bus: str, variable: str) -> None:
    """Return if a broker takes connections.

    Raises:
        CannotStart: None does, or the library is not installed.
    """
    address = kafka_address(bus)
    if address is None:
        return
    try:
        _reach(address)
    except ModuleNotFoundError as error:
        raise CannotStart(f"Kafka as a bus needs the package {error.name}: {INSTALL}") from error
    except OSError as error:
        raise CannotStart(f"{error}; start Kafka, or name another with --bus or {variable}") from error


def _reach(address: KafkaAddress) -> None:
    from kafka.errors import KafkaError

    from invoker_ext.buses.kafka.making import reach

    try:
        reach(address)
    except KafkaError as error:
        raise ConnectionError(f"no Kafka answers at {','.join(address.servers)}") from error


def check_store(store: StoreSettings, variable: str) -> None:
    """Return if CouchDB answers and has what `dataflower admin db init` makes.

    Raises:
        CannotStart: It does not answer, or is empty.
        SettingsError: The password cannot be read, or the library is not installed.
    """
    from invoker_ext.store import StoreUnavailable

    place = place_of(store)
    if place is None:
        return
    entities = place.entities(None, follow=False)
    try:
        filled = entities.has_subjects()
    except StoreUnavailable as error:
        raise CannotStart(
            f"the store at {store.store_url} cannot be used: {error}; start CouchDB, or name another with --store-url "
            f"or {variable}"
        ) from error
    finally:
        entities.close()
    if not filled:
        raise CannotStart(f"the store at {store.store_url} is empty; run `dataflower admin db init` once")
