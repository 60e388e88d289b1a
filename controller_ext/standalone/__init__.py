"""The embedded server's supervisor: prepares the data directory, starts the processes, starts again what dies.

Order of start: all at once, each waits for those it needs; ready when the balancer, all workers and an invoker serve.
Order of stop: workers (nothing new comes), invoker (ends or keeps its runs, ends its containers), balancer (their bus).
If the supervisor itself is killed, the kernel kills its children, and theirs (`deathsig.py`).
"""
