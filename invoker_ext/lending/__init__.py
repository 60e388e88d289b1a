"""Runs whose firings are executed on several invokers.

A run has one owner, whose machine alone matches and decides. Other invokers lend it containers::

    placement.py  pure: on which host a firing is executed.
    hosts.py      pure: which other invokers there are and what room they have, from their pings.
    lives.py      which life of an invoker this is.
    borrower.py   the owner's side: implements `containers.job.Containers` over the own pool and those of others.
    away.py       one job on another host, as its owner sees it.
    here.py       one job of this host that reads data of others.
    lender.py     the other side: does the jobs of an owner elsewhere in the own pool.
    report.py     one such job: tells its owner what happens.
    desk.py       both sides of one invoker, and what they hear of others.
    lent_run.py   what is done here for one run of an owner elsewhere.
    remote.py     a datum on another host: what a ref is there.
    refs.py       the owner's books of them; offers.py: of its own data that others read.
    forms.py      jobs, values and reports as control messages.
    inflow.py     parts of streamed inputs, in order, pulled as they are needed.
    transport.py  what all of this asks of the pipe between relays.

Data from step to step never pass the owner: a ref names the host that holds the bytes, and the host of the consumer
pulls them from there. Of what the owner must have itself (results for records, what a region holds, the result of the
run) it pulls a copy. Values below the knee are in the messages.

Control messages, each with `r` run, `e` epoch, life of the owner and how often it has lost this host,
`j` number of the job:

| kind | from | says |
| --- | --- | --- |
| `dispatch` | owner | do this job; `inputs` as `forms.py` has them |
| `feed`, `feed-end` | owner | one more part of a streamed input; its end |
| `kill` | owner | end the job |
| `let-go` | owner | nobody reads these data any more |
| `release` | owner | the run has ended: let go of all that is left of it |
| `began`, `committed`, `returned`, `logs`, `drained`, `failed` | peer | as `containers.job.Listener` |
| `refused` | peer | the job was not taken: do it elsewhere |
"""
