"""What inline functions mean: Composer's semantics, case by case, and the bounds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from invoker_ext.inline.call import LOG_CHARS, Bounds, Call, Fault
from invoker_ext.inline.engine import KEPT, USES, Engine
from tests.support.inline_cases import FAILURES, RESULTS, THREW, VARIABLES


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(Bounds(time_s=0.3, memory_mb=32, answer_mb=1))


def ask(code, params=None, **cells) -> Call:
    variables = {name: json.dumps(value).encode() for name, value in cells.items()}
    return Call(namespace="guest", code=code, params=(json.dumps(params or {}).encode(),), cells=variables, path="[0]")


@pytest.fixture
def evaluate(engine):
    def run(code, params=None, **cells):
        answer = engine.evaluate(ask(code, params, **cells))
        result = json.loads(answer.result) if answer.result is not None else None
        return answer.error or result, {name: json.loads(value) for name, value in answer.cells.items()}

    return run


OWN_RESULTS = [
    *RESULTS,
    ("of current syntax", "p => [p?.q ?? [3, 1].toSorted().at(-1), 2n ** 3n === 8n]", [3, True]),
    ("dates of UTC", "() => new Date(0).getHours()", 0),
    ("typeof what node has", "() => [typeof process, typeof require]", ["undefined", "function"]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "result"), [case[1:] for case in OWN_RESULTS], ids=[case[0] for case in OWN_RESULTS])
def test_the_result_is(evaluate, code, result):
    assert evaluate(code, {"k": 7}) == (result, {})


OWN_FAILURES = [
    *FAILURES,
    ("whose result contains itself", "() => { const o = {}; o.o = o; return o }",
     "Internal error: Converting circular structure to JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text"), [case[1:] for case in OWN_FAILURES], ids=[case[0] for case in OWN_FAILURES])
def test_stocks_text_stands_for_a_function(evaluate, code, text):
    assert evaluate(code) == (text, {})


def test_null_that_is_thrown_is_not_taken_for_a_want_of_memory():
    assert Engine(Bounds()).evaluate(ask("() => { throw null }")).error == THREW


def test_a_function_without_a_result_leaves_the_parameters_alone(engine):
    answer = engine.evaluate(ask("() => {}"))
    assert (answer.result, answer.fault) == (None, None)


def test_parameters_that_it_changed_go_on_changed(evaluate):
    assert evaluate("p => { p.b = 2 }", {"a": 1}) == ({"a": 1, "b": 2}, {})


def test_a_result_counts_more_than_changed_parameters(evaluate):
    assert evaluate("p => { p.b = 2; return 1 }", {"a": 1}) == (1, {})


@pytest.mark.parametrize(
    ("code", "before", "result", "after"), [case[1:] for case in VARIABLES], ids=[case[0] for case in VARIABLES]
)
def test_variables(evaluate, code, before, result, after):
    assert evaluate(code, **before) == (result, after)


def test_nothing_one_function_leaves_behind_is_seen_by_another(evaluate):
    evaluate("() => { leaked = 1; Array.prototype.map = () => 'gone'; JSON.stringify = () => 'bad' }")
    assert evaluate("() => [typeof leaked, [1].map(x => x + 1), JSON.stringify({})]") == (["undefined", [2], "{}"], {})


def test_a_function_that_changes_the_language_harms_its_own_result_only(evaluate):
    code = "() => { JSON.stringify = () => '}'; Object.prototype.then = 1; Reflect.apply = 1; return {a: 1} }"
    assert evaluate(code) == ({"a": 1}, {})
    trick = "() => { throw {get name() { return this.n = (this.n || 0) + 1, this.n > 1 ? {} : 'E' }, message: 'm'} }"
    assert evaluate(trick) == (THREW, {})


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("() => process.env.__OW_API_KEY", "process"),
        ("() => require('fs').readFileSync('/etc/passwd', 'utf8')", "require"),
        ("async () => (await import('fs')).readFileSync('/etc/passwd')", "import"),
        ("() => new Promise(done => setTimeout(done, 1))", "setTimeout"),
        ("() => fetch('http://127.0.0.1/')", "fetch"),
        ("() => Buffer.from('a')", "Buffer"),
    ],
)
def test_what_node_has_is_not_there_and_the_error_names_it(engine, code, name):
    answer = engine.evaluate(ask(code))
    assert answer.fault is Fault.HOST
    assert answer.error == (
        f"Function combinator at AST node root[0] uses `{name}`, which inline functions do not have here; "
        "move that code into an action"
    )


STOPPED = "Function combinator at AST node root[0] was stopped after 0.3 s; make it do less at once"
PENDING = "Function combinator at AST node root[0] returned a promise that nothing settles"
TOO_LARGE = "Function combinator at AST node root[0] needed more than 32 MB of memory"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("() => { for (;;); }", STOPPED),
        ("() => { for (;;) { try { for (;;); } catch {} } }", STOPPED),
        ("async () => { for (;;) await 0 }", STOPPED),
        ("() => /^(a+)+$/.test('a'.repeat(40) + 'b')", STOPPED),
        ("() => new Array(3e8).fill(0)", TOO_LARGE),
        ("() => 'x'.repeat(1e9)", TOO_LARGE),
        ("() => new Promise(() => {})", PENDING),
        ("() => 'x'.repeat(2e6)", "Function combinator at AST node root[0] returned more than 1 MB"),
        ("function f() { return f() + 1 }", THREW),
    ],
    ids=["loop", "stubborn loop", "loop of awaits", "regular expression", "big array", "big text", "pending",
         "answer", "recursion"],
)  # fmt: skip
def test_a_function_ends_at_its_bounds(evaluate, code, text):
    assert evaluate(code) == (text, {})


def test_variables_count_for_the_bound_of_the_answer(evaluate):
    assert evaluate("() => { x = 'x'.repeat(2e6) }", x="")[0].endswith("returned more than 1 MB")


def test_they_count_however_a_function_ends(evaluate):
    assert evaluate("() => { x = 'x'.repeat(2e6); throw 1 }", x="")[0].endswith("returned more than 1 MB")


def test_the_console_and_what_was_thrown_are_logged(engine):
    answer = engine.evaluate(ask("() => { console.log('got', {a: 1}, undefined); throw new TypeError('wrong') }"))
    assert answer.log.startswith('got {"a":1} undefined\nTypeError: wrong\n')


def test_the_log_is_bounded(engine):
    answer = engine.evaluate(ask("() => { for (let i = 0; i < 100; i++) console.log('x'.repeat(1000)); return 1 }"))
    assert LOG_CHARS <= len(answer.log) <= LOG_CHARS + 1
    assert answer.result == b"1"


@pytest.mark.parametrize(
    "code",
    [
        "() => { console.log('\\ud800') }",
        f"() => {{ console.log('{'x' * (LOG_CHARS - 1)}\U0001f600') }}",
        "() => { throw new Error('\\udc00') }",
        "() => ({get a() { throw {error: '\\ud800'} }})",
    ],
)
def test_half_a_character_in_what_is_told_ends_no_process(engine, code):
    assert "\ufffd" in repr(engine.evaluate(ask(code)))


def test_half_a_character_is_replaced_however_deep_the_value_is(engine):
    nested = "JSON.parse('['.repeat(2000) + ']'.repeat(2000))"
    answer = engine.evaluate(ask(f"() => ['\\ud800', '\\\\ud800', {nested}]"))
    assert answer.result.startswith('["\ufffd","\\\\ud800",[['.encode())


@pytest.mark.parametrize("code", ["", "\ud800", "\0", "}", ")", "(", "`", "/*", "\\u{110000}", "a=>{'\\"])
def test_no_text_is_more_than_an_error(engine, code):
    assert engine.evaluate(ask(code)).fault is Fault.THREW


LEAVING = [
    "() => { leaked = 1 }",
    "() => { globalThis.leaked = 1 }",
    "() => { Object.defineProperty(globalThis, 'leaked', {value: 1}) }",
    "() => { (0, eval)('var leaked = 1') }",
    "() => { Math = 1 }",
    "() => { JSON = null; undefined; Object = 1 }",
    "() => { console = 1; Array = 1 }",
    "() => { JSON.stringify = () => 'bad'; Object.prototype.then = 1; Reflect.apply = 1 }",
    "async () => { await null; leaked = 1 }",
    "() => { Promise.resolve().then(() => { leaked = 1 }) }",
    "() => { Promise.resolve().then(() => { for (;;); }) }",
    "() => { const again = () => Promise.resolve().then(again); again() }",
    "() => { leaked = 1; throw 1 }",
    "() => { leaked = 1; return new Promise(() => {}) }",
]


@pytest.mark.parametrize("code", LEAVING)
def test_functions_of_one_program_find_no_globals_of_each_other(engine, code):
    look = "p => [typeof leaked, typeof Math, typeof Array, typeof console, p.k]"
    engine.evaluate(replace(ask(code), program="flow"))
    answer = engine.evaluate(replace(ask(look, {"k": 1}), program="flow"))
    assert (answer.fault, json.loads(answer.result)) == (None, ["undefined", "object", "function", "object", 1])


def test_functions_of_one_program_meet_in_a_context_and_those_of_others_do_not(engine):
    engine.evaluate(replace(ask("() => { Array.prototype.mark = 1 }"), program="marked"))
    look = ask("() => [].mark ?? 0")
    found = [engine.evaluate(replace(look, program=program)).result for program in ("marked", "other", "")]
    elsewhere = engine.evaluate(replace(look, namespace="other", program="marked")).result
    assert (found, elsewhere) == ([b"1", b"0", b"0"], b"0")


def test_the_clock_starts_anew_for_each_function_of_a_program(engine):
    busy = "() => { const end = Date.now() + 120; while (Date.now() < end); return 1 }"
    answers = [engine.evaluate(replace(ask(busy), program="busy")) for _ in range(4)]
    assert [answer.result for answer in answers] == [b"1"] * 4


def test_what_one_function_of_a_program_holds_does_not_fail_another(engine):
    hold = "() => { Array.prototype.held = new Uint8Array(20e6) }"
    engine.evaluate(replace(ask(hold), program="holds"))
    take = "() => new Uint8Array(20e6).length"
    assert engine.evaluate(replace(ask(take), program="holds")).result == b"20000000"


def test_a_context_serves_so_many_calls_and_no_more(engine):
    once = replace(ask("() => { Array.prototype.times = ([].times ?? 0) + 1; return [].times }"), program="many")
    times = [int(engine.evaluate(once).result) for _ in range(USES + 1)]
    assert times == [*range(1, USES + 1), 1]


def test_so_many_programs_are_kept_and_no_more(engine):
    mark, look = ask("() => { Array.prototype.mark = 1 }"), ask("() => [].mark ?? 0")
    names = [f"p{number}" for number in range(KEPT + 1)]
    for name in names:
        engine.evaluate(replace(mark, program=name))
    assert engine.evaluate(replace(look, program=names[-1])).result == b"1"
    assert engine.evaluate(replace(look, program=names[0])).result == b"0"


def test_one_of_many_texts_in_a_program_means_what_it_says(engine):
    for number in range(200):
        answer = engine.evaluate(replace(ask(f"() => {number}"), program="texts"))
        assert answer.result == str(number).encode()
