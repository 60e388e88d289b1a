"""The machine of a region: pure, one object for each step that runs one; events in, commands out.

It is a stack machine, as that of Composer: a region is compiled to instructions (`program`), a *thread* follows them
with a value and a stack of frames (`threads`), `machine` carries the instructions out. PARALLEL and MAP start threads
that run side by side. Values are data in the sink, by reference, or are made of such (`values`): nothing is read here.
What has to be read is asked of the shell (`commands.Ask`), and so is what a function comes to.

| file | holds |
| --- | --- |
| `commands` | the contract with the shell, beside `dataflow.commands` and `dataflow.events` |
| `values` | what a thread holds |
| `program` | instructions, compiled once a region |
| `threads` | states of a thread, its frames, which cells are in view, what it may use up |
| `helpers` | what Composer's own functions do |
| `flights` | firings on their way |
| `forks` | threads side by side, and what they come to together |
| `instructions` | what each instruction does |
| `machine` | the one way in; how threads go on, wait and end |
"""
