"""Actions of node in workflows that hand outputs over, and read streams, while they run."""

from __future__ import annotations

import pytest

from tests.conftest import needs
from tests.support.deploying import Deployer
from tests.support.dialects import NODE

PRODUCE = """\
from action_runtime import open_output
def main(args):
    with open_output('text') as file:
        for part in (b'one ', b'two'):
            file.write(part)
            file.flush()
"""
READ = """\
async function emit(name, value) {
  const headers = {'Content-Type': 'application/json'};
  const body = JSON.stringify(value);
  const reply = await fetch(`${process.env.__OW_DATAFLOW_URL}/outputs/${name}`, {method: 'POST', headers, body});
  if (!reply.ok) throw new Error(await reply.text());
}
async function main(args) {
  const reply = await fetch(`${process.env.__OW_DATAFLOW_URL}/inputs/text`);
  for (const word of (await reply.text()).split(' ')) await emit('word', word);
  return {arguments: Object.keys(args)};
}
"""
ECHO = "def main(args):\n    return args\n"
TEXT = """
dataflow: 1
steps:
  produce: {action: produce}
  read: {action: read, inputs: {text: {stream: produce.text}}}
  echo: {action: echo, inputs: {word: {each: read.word}}}
result: {words: {gather: echo.word}, arguments: read.arguments}
"""


@pytest.mark.parametrize("streams", [True, False])
def test_a_stream_is_an_argument_unless_the_action_says_that_it_opens_it(live: Deployer, streams: bool):
    needs("node", NODE is not None, "install nodejs 18 or newer")
    annotations = [{"key": "stream-inputs", "value": streams}]
    live.action("produce", PRODUCE)
    live.put("read", READ, "nodejs:default", annotations=annotations).raise_for_status()
    live.workflow(TEXT, echo=ECHO)

    assert live.run() == {"words": ["one", "two"], "arguments": [] if streams else ["text"]}


def test_what_is_handed_over_is_part_of_a_plain_actions_result_and_fails_it_if_it_is_returned_as_well(live: Deployer):
    needs("node", NODE is not None, "install nodejs 18 or newer")
    code = READ.partition("async function main")[0]
    code += "async function main(a) { await emit('n', 1); return a; }"
    live.put("twice", code, "nodejs:default").raise_for_status()

    assert live.run("twice", x=2) == {"x": 2, "n": 1}
    assert live.fail("twice", n=2) == "the output 'n' was both emitted and returned; use two names"


def test_an_item_that_the_sink_refused_fails_the_run_whatever_the_function_makes_of_it(live: Deployer):
    needs("node", NODE is not None, "install nodejs 18 or newer")
    code = """
    const http = require('http');
    function main() {  // a request that announces more than the sink can ever hold, and sends nothing of it
      return new Promise((resolve) => {
        const headers = {'Content-Type': 'application/octet-stream', 'Content-Length': 2 ** 46};
        const request = http.request(`${process.env.__OW_DATAFLOW_URL}/outputs/word`, {method: 'POST', headers});
        request.on('response', (reply) => { request.destroy(); resolve({status: reply.statusCode}); });
        request.flushHeaders();
      });
    }"""
    live.put("greedy", code, "nodejs:default").raise_for_status()
    steps = "a: {action: greedy}, b: {action: echo, inputs: {w: {each: a.word}}}"
    live.workflow(f"{{dataflow: 1, steps: {{{steps}}}, result: {{w: {{gather: b.w}}}}}}", echo=ECHO)

    error = live.fail(status=500)
    assert error.startswith(f"the data sink refused an output of step 'a': a value of {2**46} bytes can never fit")
