"""In which order runs come off the bus, begin and are acknowledged where a commit takes its time, as on Kafka."""

from __future__ import annotations

from collections.abc import Callable

from invoker_ext.bus import Message
from invoker_ext.contract.acks import Ack
from tests.support.messages import a_message
from tests.support.owning import TOPIC, Make, Owning, chain, does
from tests.support.waiting import until


class SlowCommits:
    """Holds back what waits for commits."""

    def __init__(self, owning: Owning) -> None:
        self._commit = owning.bus.commit
        self.waiting: list[Callable[[], None]] = []
        owning.bus.commit = self.commit  # type: ignore[method-assign]

    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        self._commit(topic, offset)
        if then is not None:
            self.waiting.append(then)

    def let_go(self) -> None:
        waiting, self.waiting = self.waiting, []
        for then in waiting:
            then()


async def test_a_plain_action_begins_when_its_commit_is_there(make: Make):
    owning = make()
    commits = SlowCommits(owning)
    message = a_message("guest/act")
    offset = owning.bus.deliver(message)
    assert owning.bus.committed == [offset]
    assert message.activation_id in owning.journalled().runs
    assert owning.pool.jobs == []
    commits.let_go()
    await owning.submitted(1)


async def test_a_message_that_comes_again_before_its_commit_begins_once(make: Make):
    owning = make()
    commits = SlowCommits(owning)
    message = a_message("guest/act")
    owning.bus.deliver(message)
    owning.bus.deliver(message)
    commits.let_go()
    await owning.submitted(1)
    assert len(owning.pool.jobs) == 1


async def test_a_graph_does_not_wait_for_its_commit(make: Make):
    owning = make()
    SlowCommits(owning)
    owning.bus.deliver(a_message("guest/act", graph=owning.deploy(chain()), content=b'{"x": 1}'))
    await owning.submitted(1)


async def test_a_run_that_an_earlier_life_ended_is_answered_again_and_not_begun(make: Make):
    first = make()
    message, job = await first.run()
    does(job, {"n": 1})
    await first.stored(message.activation_id)
    await first.close()

    second = make(records=first.records)
    second.bus._handlers[TOPIC](Message(message.encode(), message.headers(), 1, repeated=True))
    await until(lambda: second.bus.told(message.activation_id))
    assert second.bus.told(message.activation_id)[0]["response"]["result"] == {"n": 1}
    assert second.pool.jobs == []


async def test_a_health_test_is_answered_and_leaves_nothing(make: Make):
    owning = make()
    message = a_message("whisk.system/invokerHealthTestAction0")
    heard: list[Message] = []

    def publish(topic: str, message: Message, kept: object = None) -> None:
        heard.append(message)

    owning.bus.publish = publish  # type: ignore[method-assign]
    owning.bus.deliver(message)
    [ack] = [Ack.decode(one.payload) for one in heard]
    assert (ack.activation_id, ack.transid, ack.system_error) == (message.activation_id, message.transid, False)
    assert owning.journalled().runs == {}
