"""Pure front ends: what users deploy → the one graph of `invoker_ext.contract.graph`.

    text ──native.parse──► Definition ──compile.compile_workflow──► Graph
    components ──────────sequence.compile_sequence────────────────► Graph

`text.py` reads YAML and JSON, `reading.py` collects findings, `edges.py` reads edges, `scopes.py` orders steps and
gives them their scopes, `nesting.py` resolves names to actions and nested workflows, `drawing/` draws. Nothing here
does I/O.

To add a kind of edge:
1. `EdgeKind` in `invoker_ext/contract/graph.py`: what travels. The type checker then points at two places only, the
   `match` in `drawing/picture.py:_form` and the one in `invoker_ext/dataflow/plan.py:_Compiler._readers`. All others
   compare with single kinds, and must be looked at:
2. `edges.py`: an entry of `_FORMS` and its reader (what may be written, which outputs it uses).
3. `scopes.py`, `_reach`: if it opens or closes a level; `_join`: if several of it on one step must agree.
4. `drawing/picture.py`, `_form` and `_kind`: text and line that drawings show.
5. The engine, as `invoker_ext/dataflow/__init__.py` lists it.
6. A row of `tests/unit/controller_ext/workflow/test_native.py` for each rule it has.
"""
