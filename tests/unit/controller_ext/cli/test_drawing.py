import io
from xml.etree import ElementTree

import pytest
from rich.console import Console

from controller_ext.cli.drawing import Arrow, ArrowKind, BoxKind, Drawing, from_components, from_definition
from controller_ext.cli.drawing_formats import dot, mermaid, svg
from controller_ext.cli.drawing_view import draw
from controller_ext.workflow.native import parse

WORDCOUNT = """
dataflow: 1
steps:
  start: {action: start, inputs: {texts: $run.texts}}
  count: {action: count, inputs: {file: {each: start.file}}}
  merge: {action: merge, inputs: {counts: {gather: count.words}}}
result: merge
"""
SWITCH = """
dataflow: 1
steps:
  size: {action: size, inputs: {limit: {value: 10}}}
  small:
    action: small
    inputs: {n: {from: size.n, when: 'value < 10 && "a" != "<b>"'}}
  end: {action: end, inputs: {value: {any: [small, size.$error]}}}
result: end
"""


def drawn(text: str) -> Drawing:
    return from_definition("w", parse(text))


def test_each_arrow_leads_to_a_later_layer():
    drawing = drawn(WORDCOUNT)

    names = [[box.name for box in layer] for layer in drawing.layers]

    assert names == [["$run"], ["start"], ["count"], ["merge"], ["result"]]


def test_the_result_stands_below_steps_that_nobody_reads():
    layers = drawn(WORDCOUNT.replace("result: merge", "result: start")).layers

    assert [box.name for box in layers[-1]] == ["result"]
    assert [box.name for box in layers[-2]] == ["merge"]


def test_a_sequence_is_a_chain_and_may_hold_an_action_twice():
    drawing = from_components("s", ["/guest/a", "/guest/p/b", "/guest/a"])

    assert [[box.name for box in layer] for layer in drawing.layers] == [
        ["$run"], ["1. a"], ["2. b"], ["3. a"], ["result"],
    ]  # fmt: skip


def test_arrows_say_what_becomes_of_the_data():
    arrows = drawn(WORDCOUNT).arrows

    assert arrows == (
        Arrow("$run", "start", "texts", ArrowKind.PLAIN),
        Arrow("start", "count", "each file", ArrowKind.MANY),
        Arrow("count", "merge", "gather words → counts", ArrowKind.MANY),
        Arrow("merge", "result", "", ArrowKind.PLAIN),
    )


def test_alternatives_conditions_and_errors_may_be_dead():
    drawing = drawn(SWITCH)

    assert [(arrow.label, arrow.kind) for arrow in drawing.into("end")] == [
        ("any #1 → value", ArrowKind.MAYBE),
        ("any #2 $error → value", ArrowKind.MAYBE),
    ]
    assert drawing.into("small")[0].kind is ArrowKind.MAYBE


def test_constants_are_notes_not_arrows():
    drawing = drawn(SWITCH)

    assert drawing.boxes[0].notes == ("limit = 10",)
    assert BoxKind.PARAMETERS not in [box.kind for box in drawing.boxes]


def test_mermaid_escapes_what_conditions_hold():
    text = mermaid(drawn(SWITCH))

    assert text.startswith("flowchart TD\n")
    assert "#quot;a#quot; != #quot;#lt;b#gt;#quot;" in text
    assert text.count("-.->") == 3


def test_dot_quotes_what_conditions_hold():
    text = dot(drawn(SWITCH))

    assert r'label="n when value < 10 && \"a\" != \"<b>\""' in text


@pytest.mark.parametrize("text", [WORDCOUNT, SWITCH], ids=["wordcount", "switch"])
def test_svg_is_well_formed_and_holds_every_box_inside_its_borders(text):
    root = ElementTree.fromstring(svg(drawn(text)))

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = root.findall("{*}rect")[1:]
    assert len(boxes) == len(drawn(text).boxes)
    for box in boxes:
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])


def test_the_terminal_shows_boxes_from_top_to_bottom():
    page = io.StringIO()
    Console(width=100, file=page).print(draw(drawn(WORDCOUNT)))
    text = page.getvalue()

    assert [text.index(word) for word in ("$run ─", "start ─", "count ─", "merge ─", "result ─")] == sorted(
        text.index(word) for word in ("$run ─", "start ─", "count ─", "merge ─", "result ─")
    )
    assert "⇇ start  each file" in text
