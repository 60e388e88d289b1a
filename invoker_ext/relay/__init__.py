"""The relay of a host: speaks with its containers and moves data between them and the sink.

`action_runtime/wire/PROTOCOL.md` is what they speak.

channel.py    a non-blocking socket, codec and a bounded outbox; knows frames, not their meaning; TCP peers use it too.
session.py    what one container may say and when; `firings.py` holds what it has been lent for each firing.
bandwidth.py  pure: how fast a container's outputs leave, for the pressure policy.
layout.py     pure: inputs of a firing → the INPUT trees, payload and segments of a RUN frame.
dispatch.py   sends what was laid out.
results.py    pure: the result of a stock container → the outputs its DLU would have emitted.

A container never sends descriptors, so the relay reads with plain `recv` and the kernel drops any that come.
Descriptors that the relay has open on behalf of a container are given back in `Session._free` and nowhere else.
"""
