"""Inline functions of compositions: JavaScript that runs beside the invoker, without a container.

`call.py` says what is asked and answered, `engine.py` evaluates one function in this process, `chain.py` several that
follow each other, `worker.py` is a process that does so for the invoker, `desk.py` decides which call goes to which
worker, `functions.py` is the shell around it. `prelude.js` is the half of the engine that must be JavaScript.

Why processes: the engine is native code that runs what users wrote. What crashes it, hangs it where it cannot be
interrupted, or breaks out of it, ends or holds a process that has one socket, no environment, little memory, and a
kernel that opens, connects and starts nothing for it (`confine.py`, on x86-64 and 64-bit ARM), and the server goes
on. Functions of one program, that is of one composition in one namespace, may meet in a context, one after the other,
as those of a conductor meet in its container; its global object is put back between two of them. All others have
contexts of their own, made while nobody waits for them.
"""
