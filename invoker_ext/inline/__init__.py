"""Inline functions of compositions: JavaScript that runs beside the invoker, without a container.

`call.py` says what is asked and answered, `engine.py` evaluates one function in this process, `worker.py` is a process
that does so for the invoker, `desk.py` decides which call goes to which worker, `functions.py` is the shell around it.
`prelude.js` is the half of the engine that must be JavaScript.

Why processes: the engine is native code that runs what users wrote. What crashes it, hangs it where it cannot be
interrupted, or breaks out of it, ends or holds a process that has no descriptor but one socket, no environment and
little memory, and the server goes on. Every call has a context of its own, made while nobody waits for it, so that
nothing one function leaves behind is seen by another.
"""
