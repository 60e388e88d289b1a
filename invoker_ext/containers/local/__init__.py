"""The local door: outputs and inputs of a running function by HTTP, for actions in languages without a runtime of ours.

`door` listens where containers reach this host and knows which functions run; `visit` is one connection; `account` is
what one function has handed over; `items` says what a body is. An action finds its URL in `__OW_DATAFLOW_URL`; the
token in it is a function's identity and dies with it. `invoker_ext/DESIGN.md` says what may be asked for.
"""
