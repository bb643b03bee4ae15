"""Who is to blame, on graphs drawn by hand and at random."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.consistency.origins.localize import localize, with_one_cause
from harness.consistency.origins.origins import fed_right, reaches, roles, sequence_origin, settle
from harness.records import Fingerprint, Graph, Layer, Op

WORDS = {"e": "exact", "w": "within", "d": "differs", "n": "not_compared"}


def chain(*edges: str) -> Graph:
    """`a>b` is op b with input a; `a+c>b` has two. Inputs are names that no op makes."""
    ops = []
    for edge in edges:
        left, right = edge.split(">")
        ops.append(Op(right.upper(), "Conv", tuple(left.split("+")), (right,)))
    made = {o.outputs[0] for o in ops}
    read = [n for o in ops for n in o.inputs]
    return Graph(tuple(ops), tuple(dict.fromkeys(n for n in read if n not in made)), (ops[-1].outputs[0],))


def rows(words: str) -> list[Layer]:
    """`a=e b=d`: rows a exact, b differs."""
    pairs = [item.split("=") for item in words.split()]
    return [Layer(i, name, name.upper(), "Conv", WORDS[word]) for i, (name, word) in enumerate(pairs)]


def summary(graph: Graph, words: str) -> dict[str, tuple[str, tuple[str, ...], bool]]:
    return {o.op: (o.first, o.unseen, o.certain) for o in localize(graph, rows(words), None).origins}


def test_the_op_whose_inputs_are_equal_is_the_origin_and_what_follows_is_propagated() -> None:
    graph = chain("x>a", "a>b", "b>c")
    localization = localize(graph, rows("a=e b=d c=d"), None)
    assert [(o.op, o.certain) for o in localization.origins] == [("B", True)]
    assert [layer.role for layer in localization.layers] == ["", "origin", "propagated"]


def test_two_origins_on_two_branches_are_both_named() -> None:
    graph = chain("x>a", "x>b", "a+b>c")
    assert set(summary(graph, "a=d b=d c=d")) == {"A", "B"}


def test_an_op_behind_a_wrong_one_is_not_blamed_even_if_another_input_is_equal() -> None:
    graph = chain("x>a", "x>b", "a+b>c")
    assert set(summary(graph, "a=e b=d c=d")) == {"B"}


def test_ops_that_were_not_compared_widen_the_origin_to_an_interval() -> None:
    graph = chain("x>a", "a>b", "b>c", "c>d")
    assert summary(graph, "a=e b=n c=n d=d") == {"D": ("a", ("B", "C"), True)}


def test_an_op_is_known_to_have_read_right_values_only_where_all_that_it_read_was_compared() -> None:
    """A network input that was not dumped, or an unseen op, may be wrong in the way that shows here."""
    graph = chain("x>a", "a>b", "b>c", "a+c>d")
    assert localize(graph, rows("x=n a=d b=e c=d d=d"), None).fed_right == {"x", "c"}
    assert localize(graph, rows("x=w a=d b=n c=d d=d"), None).fed_right == {"x", "a"}
    states = {"x": "unknown", "a": "differs", "b": "differs", "c": "differs", "d": "differs"}
    assert fed_right(graph, reaches(graph, states), states, ("a", "b", "d")) == {"x", "b", "d"}


def test_two_intervals_that_share_an_unseen_op_are_one_cause() -> None:
    graph = chain("x>a", "a>s", "s>b", "s>c", "s>d", "a>e")
    localization = localize(graph, rows("a=e s=n b=d c=d e=d"), None)
    assert localization.shared == {"c": "S"}
    layers, origins = with_one_cause(localization, localization.layers, localization.origins)
    assert [origin.op for origin in origins] == ["B", "E"]
    assert {row.name: row.role for row in layers}["c"] == "propagated"
    assert any("c differs, too: S" in note for note in localization.notes)
    assert localize(graph, rows("a=e s=n b=d c=d d=e"), None).shared == {}  # d says that S is right


def test_intervals_whose_values_tell_their_cause_are_kept_apart() -> None:
    localization = localize(chain("x>s", "s>b", "s>c"), rows("s=n b=d c=d"), None)
    marks = [replace(o, fingerprint=Fingerprint("other_tensor", False, "exchanged")) for o in localization.origins]
    assert len(with_one_cause(localization, localization.layers, marks)[1]) == 2


def test_an_interval_stops_at_a_difference_that_was_seen() -> None:
    graph = chain("x>a", "a>b", "b>c")
    assert set(summary(graph, "a=d b=n c=d")) == {"A"}


def test_from_the_first_op_on_unseen_ops_reach_back_to_the_input() -> None:
    assert summary(chain("x>a", "a>b"), "a=n b=d") == {"B": ("x", ("A",), True)}


def test_an_op_whose_input_is_within_is_a_suspect_only() -> None:
    assert summary(chain("x>a", "a>b"), "a=w b=d") == {"B": ("", (), False)}


def test_a_wrong_network_input_is_the_origin() -> None:
    graph = chain("x>a", "a>b")
    localization = localize(graph, rows("x=d a=d b=d"), None)
    assert [(o.op_kind, o.tensor) for o in localization.origins] == [("input", "x")]


def test_an_input_that_nobody_saw_is_said_to_be_a_possible_cause() -> None:
    localization = localize(chain("x>a"), rows("a=d"), None)
    assert localization.origins[0].op == "A" and "did not dump its input x" in localization.notes[0]


def test_a_suspect_that_is_right_alone_is_cleared_and_so_is_what_grew_from_it() -> None:
    graph = chain("x>a", "a>b", "b>c")
    states = {"a": "within", "b": "differs", "c": "differs"}
    reached = reaches(graph, states)
    given_roles = roles(reached, states)
    assert given_roles == {"b": "suspect", "c": "propagated"}
    assert settle(reached, given_roles, {"b": True, "c": True}) == {"b": "cleared", "c": "cleared"}
    assert settle(reached, given_roles, {"b": False, "c": True}) == {"b": "origin", "c": "propagated"}
    assert settle(reached, given_roles, {"b": True, "c": False}) == {"b": "cleared", "c": "origin"}
    assert settle(reached, given_roles, {"b": True}) == {"b": "cleared", "c": "suspect"}
    assert settle(reached, given_roles, {}) == {"b": "suspect", "c": "propagated"}


def test_a_second_fault_behind_the_first_is_found_by_running_alone() -> None:
    graph = chain("x>a", "a>b", "b>c")
    states = dict.fromkeys("abc", "differs")
    reached = reaches(graph, states)
    assert settle(reached, roles(reached, states), {"b": True, "c": False}) == {
        "a": "origin",
        "b": "propagated",
        "c": "origin",
    }


def test_without_a_graph_the_first_difference_is_named_as_just_that() -> None:
    origin = sequence_origin(rows("a=e b=n c=d d=d"))
    assert [(o.tensor, o.how, o.certain, o.first) for o in origin] == [("c", "sequence", False, "a")]
    assert sequence_origin(rows("a=e b=w")) == ()


@st.composite
def networks(draw: st.DrawFn) -> tuple[Graph, dict[str, str], str, set[str]]:
    """A random network, one guilty op, what it spoils, and tensors that were not compared."""
    count = draw(st.integers(2, 12))
    ops = []
    for i in range(count):
        pool = ["x", *(f"t{j}" for j in range(i))]
        ops.append(
            Op(
                f"O{i}",
                "Conv",
                tuple(draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True))),
                (f"t{i}",),
            )
        )
    guilty = draw(st.integers(0, count - 1))
    spoiled = {f"t{guilty}"}
    for op in ops[guilty + 1 :]:
        if spoiled & set(op.inputs):
            spoiled.add(op.outputs[0])
    hidden = draw(st.sets(st.sampled_from([f"t{i}" for i in range(count)])))
    words = {f"t{i}": "n" if f"t{i}" in hidden else "d" if f"t{i}" in spoiled else "e" for i in range(count)}
    return Graph(tuple(ops), ("x",), (f"t{count - 1}",)), words, f"O{guilty}", spoiled - hidden


@given(networks())
def test_with_one_guilty_op_every_origin_is_it_or_an_interval_that_holds_it(
    network: tuple[Graph, dict[str, str], str, set[str]],
) -> None:
    graph, words, guilty, seen = network
    localization = localize(graph, [Layer(i, n, "", "", WORDS[w]) for i, (n, w) in enumerate(words.items())], None)
    assert bool(localization.origins) == bool(seen)
    for origin in localization.origins:
        assert origin.op == guilty or guilty in origin.unseen


@given(networks(), st.randoms())
def test_the_order_of_the_rows_never_changes_a_role(
    network: tuple[Graph, dict[str, str], str, set[str]], random: object
) -> None:
    graph, words, _, _ = network
    layers = [Layer(i, n, "", "", WORDS[w]) for i, (n, w) in enumerate(words.items())]
    shuffled = list(layers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = {layer.name: layer.role for layer in localize(graph, layers, None).layers}
    assert {layer.name: layer.role for layer in localize(graph, shuffled, None).layers} == first
