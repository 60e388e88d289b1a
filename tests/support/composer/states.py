"""Stock's compiler: a program in primitives → the list of instructions that its conductor steps through.

An instruction is a dict; jumps are relative to the instruction that holds them, the next one is that behind it unless
`next` says otherwise. `parent` is the path of the nearest labelled node, for the texts of errors.
"""

from __future__ import annotations

from typing import Any

from tests.support.composer.trees import Tree

Instruction = dict[str, Any]
Code = list[Instruction]


def compiled_states(tree: Tree) -> Code:
    """Return the instructions of a whole program."""
    return _Compiler().of(tree, "")


class _Compiler:
    def of(self, tree: Tree, parent: str) -> Code:
        """Return the code of one node."""
        parent = tree.get("path") or parent
        code: Code = getattr(self, f"_{tree['type']}")(tree, parent)
        return [{"parent": parent, **one} for one in code]

    def _all(self, tree: Tree, parent: str) -> Code:
        parts = [one for each in tree["components"] for one in self.of(each, parent)]
        return parts or [{"type": "empty", "parent": parent}]

    def _action(self, tree: Tree, parent: str) -> Code:
        return [{"type": "action", "name": tree["name"]}]

    def _function(self, tree: Tree, parent: str) -> Code:
        return [{"type": "function", "code": tree["function"]["exec"]["code"]}]

    def _dynamic(self, tree: Tree, parent: str) -> Code:
        return [{"type": "dynamic"}]

    def _sequence(self, tree: Tree, parent: str) -> Code:
        return [{"type": "pass"}, *self._all(tree, parent)]

    def _let(self, tree: Tree, parent: str) -> Code:
        return [{"type": "let", "let": tree["declarations"]}, *self._all(tree, parent), {"type": "exit"}]

    def _mask(self, tree: Tree, parent: str) -> Code:
        return [{"type": "let", "let": None}, *self._all(tree, parent), {"type": "exit"}]

    def _try(self, tree: Tree, parent: str) -> Code:
        body, handler = self.of(tree["body"], parent), self.of(tree["handler"], parent)
        start = {"type": "try", "catch": len(body) + 2}
        return [start, *body, {"type": "exit", "next": len(handler) + 1}, *handler, {"type": "pass"}]

    def _finally(self, tree: Tree, parent: str) -> Code:
        body, finalizer = self.of(tree["body"], parent), self.of(tree["finalizer"], parent)
        return [{"type": "try", "catch": len(body) + 2}, *body, {"type": "exit"}, *finalizer]

    def _if_nosave(self, tree: Tree, parent: str) -> Code:
        test, yes = self.of(tree["test"], parent), self.of(tree["consequent"], parent)
        no = self.of(tree["alternate"], parent)
        yes[-1]["next"] = len(no) + 1
        choice = {"type": "choice", "then": 1, "else": len(yes) + 1}
        return [{"type": "pass"}, *test, choice, *yes, *no, {"type": "pass"}]

    def _while_nosave(self, tree: Tree, parent: str) -> Code:
        test, body = self.of(tree["test"], parent), self.of(tree["body"], parent)
        body[-1]["next"] = -(len(test) + len(body))
        choice = {"type": "choice", "then": 1, "else": len(body) + 1}
        return [{"type": "pass"}, *test, choice, *body, {"type": "pass"}]

    def _dowhile_nosave(self, tree: Tree, parent: str) -> Code:
        round_ = [*self.of(tree["body"], parent), *self.of(tree["test"], parent)]
        return [{"type": "pass"}, *round_, {"type": "choice", "then": -len(round_), "else": 1}, {"type": "pass"}]

    def _async(self, tree: Tree, parent: str) -> Code:
        return self._branch("async", tree, parent)

    def _map(self, tree: Tree, parent: str) -> Code:
        return self._branch("map", tree, parent)

    def _branch(self, kind: str, tree: Tree, parent: str) -> Code:
        body = self._all(tree, parent)
        return [{"type": kind, "return": len(body) + 2}, *body, {"type": "stop"}, {"type": "pass"}]

    def _parallel(self, tree: Tree, parent: str) -> Code:
        code: Code = [{"type": "parallel", "tasks": []}]
        for one in tree["components"]:
            code[0]["tasks"].append(len(code))
            code += [*self.of(one, parent), {"type": "stop"}]
        code[0]["return"] = len(code)
        return [*code, {"type": "pass"}]
