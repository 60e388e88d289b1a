"""The wait-match machine of a run: pure, one object a run, events in, commands out.

`RunMachine(graph).handle(event)` is all the shell needs, with `wants` and `run_members` to prepare the run. The journey
of a datum through the files, which is also where to look for what:

| file | holds |
| --- | --- |
| `keys` `events` `commands` | the contract with the shell |
| `plan` | a graph's slots, leaves, outputs and levels, compiled once and shared by all its runs |
| `entries` | the state of the wait-match memory: firings, groups of firings, outputs |
| `outputs` | a datum comes in: when it counts, who is handed it; what success, failure and skipping mean for outputs |
| `matching` | it arrives at a slot: conditions, `any`, `gather`, levels; all slots resolved means *matched* |
| `machine` | the one way in; what is matched is fired or skipped |
| `attempts` | attempts of a firing: dispatch, success, failure, retry, loss |
| `release` | who still reads a datum; the only place where one is let go |
| `past`, `names`, `lineage` | what is remembered of a run over several hosts, and how what was lost is made again |
| `ending` | what the end of a run drops, hands over and releases |
| `states` | the transition table |
| `sentences` | every text that a run can end with |
| `invariants` | what holds between two events |

States of a firing, and where one in that state is found:

| state | means | found in |
| --- | --- | --- |
| waiting | a slot is neither live nor dead | `Memory.entries`; counted in `Memory.unsettled` |
| running | an attempt is under way | `unsettled` and `Attempts.active` |
| backoff | an attempt failed, the next one is due later | `unsettled`; a Retry is with the shell |
| draining | returned for good; data may still leave, inputs are held | `Attempts.active`; has settled |
| done, failed | terminal | only in `entries`, reads nothing |
| skipped | a required input is dead; terminal | as above |
| dropped | the run ended before it fired; terminal | as above |

To add an edge kind: a member in `contract.graph.EdgeKind`; a list of leaves in `plan.OutputPlan`, filled in
`_Compiler._readers` (its `match` fails to type-check until then; no other place does); the level it delivers at in
`_Compiler._place`; what containers are asked for in `OutputPlan.by_item` and `single`, from which `wants.py` follows;
whether an `any` may hold it in `plan._alternatives`; its delivery in `Outputs._hand_out` (item by item) or
`Outputs._close` (once whole); if it resolves in a new way, a branch in `Memory.arrive`; if a function is to read
something else than the value, as of a stream, one in `Memory.bind` and `matching.open_streams`; its word in
`sentences.not_a_list`. Then a row in the tests' reference and strategy.

Decisions that DESIGN leaves open, each held by a test:

1. What a step *emits* counts at once; what it *returns* counts when it has returned without an error.
2. Outputs of a step whose failure is handled (`$error`) are kept back until its success is known, streams apart:
   whether a consumer fires must not depend on the order of events.
3. A step that emits nothing has no items: `each` of it is empty. Readers of one value and of streams need the output.
4. An alternative of an `any` needs nothing: an output that was not produced is a dead alternative.
5. `gather` of a step below an `each` has one element a firing, whatever that is; of a step that is not, its items.
6. Conditions of an `any` are evaluated in order, and only as far as needed; all others always.
7. The run ends when nothing can happen any more, not when its result is there: a step beside the path to the result can
   still fail the run.
8. `each` of a returned field that is no list fails the run.
9. A step that lost outputs after its function returned is executed again and must yield as many; if it fails then, so
   does the run, handled or not: others have gone on from its success.
10. What was lost with a host is made again when a firing that needs it would be executed, no sooner: a reader that runs
   has it. Its producer counts as one that lost outputs (9); one that must not begin twice fails the run.
"""
