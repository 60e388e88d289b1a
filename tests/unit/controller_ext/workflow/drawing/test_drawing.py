import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings, strategies as st

from controller_ext.workflow.compile import compile_workflow
from controller_ext.workflow.drawing import dot, mermaid, svg, terminal
from controller_ext.workflow.drawing.layout import lay_out
from controller_ext.workflow.drawing.picture import LinkKind, NodeKind, Picture
from controller_ext.workflow.native import parse
from controller_ext.workflow.sequence import compile_sequence
from invoker_ext.contract.graph import WorkflowCall, action_graph
from tests.support.actions import Shelf, an_action
from tests.support.sources import ROOT

GOLDEN = Path(__file__).parent / "golden"
NESTED = (GOLDEN / "nested.yaml").read_text()
SWITCH = (ROOT / "wsk_examples" / "switch" / "workflow.yaml").read_text()


def random_workflow(reads: list[list[int]]) -> str:
    """Return a workflow in which step n reads from the steps `reads[n]` modulo n."""
    steps = {
        f"s{n}": {"action": "a", "inputs": {f"p{m % n}": f"s{m % n}.o" for m in some if n}}
        for n, some in enumerate(reads)
    }
    return json.dumps({"dataflow": 1, "steps": steps, "result": {"x": f"s{len(reads) - 1}.o", "y": "$run.z"}})


@pytest.mark.parametrize("name", ["wordcount", "switch", "stream"])
def test_the_examples_are_drawn_as_they_were_looked_at(name):
    text = (ROOT / "wsk_examples" / name / "workflow.yaml").read_text()
    assert terminal(parse(text)) == (GOLDEN / f"{name}.txt").read_text()


def test_a_nested_each_is_drawn_as_it_was_looked_at():
    assert terminal(parse(NESTED)) == (GOLDEN / "nested.txt").read_text()


@pytest.mark.parametrize(("draw", "suffix"), [(mermaid, "mermaid"), (dot, "dot"), (svg, "svg")])
def test_other_formats_are_written_as_they_were_looked_at(draw, suffix):
    assert draw(parse(SWITCH)) == (GOLDEN / f"switch.{suffix}").read_text()


def test_a_compiled_graph_is_drawn_with_full_names_of_actions():
    graph = compile_workflow(parse("{dataflow: 1, steps: {s: {action: a}}, result: s}"), "ns", Shelf(an_action("ns/a")))
    assert "▸ /ns/a" in terminal(graph)


def test_a_step_is_drawn_with_what_it_keeps_to_and_a_workflow_as_one():
    inner = WorkflowCall("ns/w", "0.0.1", action_graph(an_action("ns/a")))
    text = "{dataflow: 1, steps: {s: {action: w, timeout_s: 1.5, retry: {attempts: 2}}}, result: s}"
    drawing = terminal(compile_workflow(parse(text), "ns", Shelf(inner)))
    assert all(line in drawing for line in ("▸ /ns/w (workflow)", "within 1.5 s", "up to 2 attempts"))


def test_a_sequence_is_drawn_with_what_cannot_run():
    drawing = terminal(compile_sequence(["/ns/a", "/ns/gone"], Shelf(an_action("ns/a"))))
    assert "✗ Sequence component does not exist." in drawing
    assert "← a" in drawing


def test_links_tell_what_may_travel_along_them():
    picture = Picture.of(parse(NESTED))
    kinds = {link.label: link.kind for link in picture.links}
    assert kinds["book ← each start.book"] is LinkKind.MANY
    assert kinds["e ← total.$error"] is LinkKind.MAYBE
    assert kinds["all ← any total.words"] is LinkKind.MAYBE
    assert kinds["mode ← $run.mode"] is LinkKind.PLAIN
    assert [node.kind for node in picture.nodes if node.title == "count"] == [NodeKind.MANY]


def test_long_texts_are_cut():
    text = "{dataflow: 1, steps: {s: {action: a, inputs: {x: {value: " + "y" * 500 + "}}}}, result: s}"
    assert max(map(len, terminal(parse(text)).splitlines())) < 80


def test_what_a_user_wrote_cannot_break_out_of_a_format():
    text = json.dumps(
        {
            "dataflow": 1,
            "steps": {"s": {"action": "a", "inputs": {'"]; <b>&x': {"value": '"><script>'}, "y": "$run.<i>"}}},
            "result": "s",
        }
    )
    definition = parse(text)
    assert "<b>" not in mermaid(definition).replace("<br/>", "")
    assert "<script>" not in svg(definition)
    assert r"\"]; <b>&x ←" not in mermaid(definition)
    ElementTree.fromstring(svg(definition))


def test_control_characters_reach_neither_terminal_nor_xml():
    text = json.dumps({"dataflow": 1, "steps": {"s": {"action": "a", "inputs": {"\x1b[2J": "$run"}}}, "result": "s"})
    definition = parse(text)
    assert "\x1b" not in terminal(definition) + mermaid(definition) + dot(definition)
    ElementTree.fromstring(svg(definition))


def test_an_empty_result_is_drawn():
    assert "result" in terminal(parse("{dataflow: 1, steps: {s: {action: a}}, result: {}}"))


@settings(max_examples=60, deadline=None)
@given(reads=st.lists(st.lists(st.integers(0, 20), max_size=4), min_size=1, max_size=12))
def test_boxes_stay_whole_and_every_arrow_arrives(reads):
    definition = parse(random_workflow(reads))
    drawing = terminal(definition)
    picture = Picture.of(definition)
    for corner in "┌┐└┘╭╮╰╯":
        assert drawing.count(corner) >= (corner in "╭╮╰╯")
    for node in picture.nodes:
        assert f"│ {node.title} " in drawing
    pairs = {(link.source, link.target) for link in picture.links}
    assert drawing.count("▼") == len(pairs)


@settings(max_examples=60, deadline=None)
@given(reads=st.lists(st.lists(st.integers(0, 20), max_size=4), min_size=1, max_size=12))
def test_cells_of_a_layer_keep_their_distance_and_links_lead_downwards(reads):
    picture = Picture.of(parse(random_workflow(reads)))
    layout = lay_out(picture, [float(len(node.title)) + 4 for node in picture.nodes], 3.0, 1.0)
    for layer in layout.layers:
        for one, other in itertools.pairwise(layer):
            assert one.left + one.width + 3 <= other.left + 1e-6
    for link in picture.links:
        route = layout.route(link.source, link.target)
        assert [cell.layer for cell in route] == list(range(route[0].layer, route[-1].layer + 1))
        assert route[0] is layout.nodes[link.source]
        assert all(cell.node is None for cell in route[1:-1])


@settings(max_examples=20, deadline=None)
@given(reads=st.lists(st.lists(st.integers(0, 20), max_size=4), min_size=1, max_size=12))
def test_an_svg_is_well_formed_whatever_it_shows(reads):
    ElementTree.fromstring(svg(parse(random_workflow(reads))))
