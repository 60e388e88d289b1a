import pytest

from controller_ext.workflow.errors import WorkflowSyntax
from controller_ext.workflow.text import MAX_TEXT_BYTES, load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, 'y', \"z\"]", {"a": 1, "b": ["x", "y", "z"]}),
        ("on: yes\nno: off", {"on": "yes", "no": "off"}),
        ("[null, ~, true, false, 0x1f, 0o17, 007]", [None, None, True, False, 31, 15, 7]),
        ("[-3, 1.5, .5, 1e3]", [-3, 1.5, 0.5, 1e3]),
        ("[2024-01-01, 1_000, .nan, 1:30]", ["2024-01-01", "1_000", ".nan", "1:30"]),
        ("['1', \"true\", !!str 3]", ["1", "true", "3"]),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x b\n*x : 1", {"a": "b", "b": 1}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("", None),
        ('{"a": "\\ud83d\\ude00", "b": [1,\t2]}', {"a": "😀", "b": [1, 2]}),
    ],
)  # fmt: skip
def test_values_are_plain_json(text, value):
    document = load(text)
    assert document.value == value
    assert document.findings == ()


def test_lines_are_known_and_inherited():
    document = load("a:\n  b:\n    - x\n    - {c: y}\n")
    assert document.line(("a", "b", 1, "c")) == 4
    assert document.line(("a", "b", 0, "deeper")) == 3
    assert document.line(("a", "missing")) == 1


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a: 1\na: 2", "a (line 2): the key `a` stands twice"),
        ("x: {a: 1, b: 2, a: 3}", "x.a (line 1): the key `a` stands twice"),
        ("a: !!python/name:os.abort x", "a (line 1): the tag tag:yaml.org,2002:python/name:os.abort is not allowed"),
        ("a: !!binary aGk=", "a (line 1): the tag tag:yaml.org,2002:binary is not allowed"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "c.<< (line 3): merge keys (<<) are not supported"),
        ("a: 1e999", "a (line 1): 1e999 is not a JSON number"),
        ('{"a": "\\ud83d\\ude00", "a": 2}', "workflow: the key `a` stands twice in one object"),
        ('{"b": "\\ud83d\\ude00", "a": NaN}', "workflow: NaN is not a JSON number"),
    ],
)  # fmt: skip
def test_what_the_text_does_wrong_is_found_and_reading_goes_on(text, finding):
    assert finding in [str(one) for one in load(text).findings]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a: 1\nb:\n\tc: 1\n",
            "workflow (line 3): the line is indented with a tab, which YAML does not take: use spaces",
        ),
        ("a:\n  - b\n\t- c\n", "workflow (line 3): the line is indented with a tab"),
        ("a: [1, 2", "(line 1): not valid YAML or JSON: did not find expected"),
        ("a: b: c", "not valid YAML or JSON"),
        ('{"a": 1', "not valid YAML or JSON"),
        ("a: 1\n---\nb: 2", "(line 2): the text holds more than one document"),
        ("a: *b", "alias *b names nothing that ends before it"),
        ("a: &a [*a]", "alias *a names nothing that ends before it"),
        ("? [a]\n: b", "a key must be a plain word or a string"),
        ("[" * 40 + "]" * 40, "nested deeper than 32"),
        ('{"\\ud83d\\ude00": ' + '{"a": ' * 40 + "1" + "}" * 41, "nested deeper than 32"),
        ('{"\\ud83d\\ude00": ' + "[" * 5000 + "]" * 5000 + "}", "nested deeper than 32"),
        ("a: " + "x" * MAX_TEXT_BYTES, "at most 262144 are allowed"),
        ("a: &x [1]\n*x : 1", "a key must be a plain word or a string"),
        ('{"\\ud83d\\ude00": [' + "1," * 60_000 + "1]}", "more than 50000 values"),
        ("\udc80", "not valid Unicode"),
        ("[" + "1," * 60_000 + "1]", "more than 50000 values"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text, sentence):
    with pytest.raises(WorkflowSyntax) as caught:
        load(text)
    assert sentence in str(caught.value)


def test_aliases_that_multiply_are_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    with pytest.raises(WorkflowSyntax, match="aliases expanded"):
        load(bomb)
