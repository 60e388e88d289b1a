"""The pipe between hosts: messages and data from relay to relay, over TCP.

Every pair of hosts has one *control* connection, made by whichever side wants it first, and each host makes up to four
*bulk* connections to a peer whose data it pulls: a transfer never delays a message. Both begin with four bytes that say
which of the two they are, then TLS if it is configured, then the greeting (`greeting.py`), then frames:

| frame | on | meta |
| --- | --- | --- |
| MESSAGE | control | `{"k": kind, "m": meta}` and a payload; kinds that begin with `$` are the pipe's own |
| PULSE | control | `{"taken": messages}`; each second and after many messages; silence ends the connection |
| FETCH | bulk, who pulls | `{"name", "offset", "credit": bytes}` |
| HOLDS | bulk, who is asked | `{"size"}`, or `{"code", "error"}` |
| PART | bulk, who is asked | `{}` and bytes of the datum, in order |
| CREDIT | bulk, who pulls | `{"bytes"}` that may be sent beyond those granted before |

Data below the knee (16 KiB) travel as messages: `$ask` `{"name"}` → `$answer` `{"name", "held"}` with the bytes.

What decides (pure): `greeting.py` who is let in, `conversation.py` what is sent again after a break, `bulk/credit.py`
what may be under way, `transfer.py` whether a cut transfer goes on. What does: `listener.py`, `connection.py`,
`link.py`, `pulls.py`, `bulk/`, and `peers.py:Peers`, which is all that the rest of the invoker sees.

The thread `peer-bulk` has a loop of its own for all bulk connections of the host, in both directions.
"""
