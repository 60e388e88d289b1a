import io
from xml.etree import ElementTree

import pytest
from rich.console import Console

from controller_ext.cli.drawing import Arrow, ArrowKind, BoxKind, from_graph
from controller_ext.cli.drawing_formats import dot, mermaid, svg
from controller_ext.cli.drawing_view import draw
from invoker_ext.contract.graph import Edge, EdgeKind, Graph, GraphKind, Input
from tests.support.graphs import a_step, an_edge, wordcount


def a_switch() -> Graph:
    small = an_edge(EdgeKind.VALUE, "size", "n", when='value < 10 && "a" != "<b>"')
    either = Edge(
        kind=EdgeKind.ANY,
        alternatives=(an_edge(EdgeKind.VALUE, "small"), an_edge(EdgeKind.VALUE, "size", "$error")),
    )
    return Graph(
        kind=GraphKind.DATAFLOW,
        steps=(
            a_step("size", ("limit", Edge(kind=EdgeKind.CONSTANT, constant="10"))),
            a_step("small", ("n", small)),
            a_step("end", ("value", either)),
        ),
        result=(Input("", an_edge(EdgeKind.VALUE, "end")),),
    )


def test_each_arrow_leads_to_a_later_layer():
    drawing = from_graph("wordcount", wordcount())

    names = [[box.name for box in layer] for layer in drawing.layers]

    assert names == [["$run"], ["start"], ["count"], ["merge"], ["result"]]


def test_the_result_stands_below_steps_that_nobody_reads():
    graph = wordcount()
    graph = Graph(kind=graph.kind, steps=graph.steps, result=(Input("", an_edge(EdgeKind.VALUE, "start")),))

    layers = from_graph("wordcount", graph).layers

    assert [box.name for box in layers[-1]] == ["result"]
    assert [box.name for box in layers[-2]] == ["merge"]


def test_arrows_say_what_becomes_of_the_data():
    arrows = from_graph("wordcount", wordcount()).arrows

    assert arrows == (
        Arrow("$run", "start", "texts", ArrowKind.PLAIN),
        Arrow("start", "count", "each file", ArrowKind.MANY),
        Arrow("count", "merge", "gather words → counts", ArrowKind.MANY),
        Arrow("merge", "result", "", ArrowKind.PLAIN),
    )


def test_alternatives_conditions_and_errors_may_be_dead():
    drawing = from_graph("switch", a_switch())

    assert [(arrow.label, arrow.kind) for arrow in drawing.into("end")] == [
        ("any #1 → value", ArrowKind.MAYBE),
        ("any #2 $error → value", ArrowKind.MAYBE),
    ]
    assert drawing.into("small")[0].kind is ArrowKind.MAYBE


def test_constants_are_notes_not_arrows():
    drawing = from_graph("switch", a_switch())

    assert drawing.boxes[0].notes == ("limit = 10",)
    assert BoxKind.PARAMETERS not in [box.kind for box in drawing.boxes]


def test_mermaid_escapes_what_conditions_hold():
    text = mermaid(from_graph("switch", a_switch()))

    assert text.startswith("flowchart TD\n")
    assert "#quot;a#quot; != #quot;#lt;b#gt;#quot;" in text
    assert text.count("-.->") == 3


def test_dot_quotes_what_conditions_hold():
    text = dot(from_graph("switch", a_switch()))

    assert r'label="n when value < 10 && \"a\" != \"<b>\""' in text


@pytest.mark.parametrize("graph", [wordcount(), a_switch()], ids=["wordcount", "switch"])
def test_svg_is_well_formed_and_holds_every_box_inside_its_borders(graph):
    root = ElementTree.fromstring(svg(from_graph("w", graph)))

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = root.findall("{*}rect")[1:]
    assert len(boxes) == len(from_graph("w", graph).boxes)
    for box in boxes:
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])


def test_the_terminal_shows_boxes_from_top_to_bottom():
    page = io.StringIO()
    Console(width=100, file=page).print(draw(from_graph("wordcount", wordcount())))
    text = page.getvalue()

    assert [text.index(word) for word in ("$run ─", "start ─", "count ─", "merge ─", "result ─")] == sorted(
        text.index(word) for word in ("$run ─", "start ─", "count ─", "merge ─", "result ─")
    )
    assert "⇇ start  each file" in text
