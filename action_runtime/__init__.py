"""The Python action runtime: PID 1 of an action container, standard library only.

What actions import::

    from action_runtime import context, emit, open_input, open_output
"""

from action_runtime.api import context, emit, open_input, open_output

__all__ = ["context", "emit", "open_input", "open_output"]
