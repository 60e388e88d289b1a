"""The one process of a controller that owns bus, slots, throttles and health; workers reach it by a Unix socket.

`throttles.py`, `slots.py` and `fleet.py` decide, `dispatcher.py` follows each run from INVOKE to ENDED, `app.py` starts
and stops it all; `client.py` is the workers' side.
"""
