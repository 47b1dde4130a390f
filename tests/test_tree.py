"""Pytrees: order, None, registration, key paths, prefixes and their errors."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, namedtuple

import pytest

import fx
from fx import tree_util as tu

Point = namedtuple("Point", "x y")


def test_dict_keys_are_sorted_and_none_has_no_leaves():
    tree = {"b": 2, "a": (1, None, [3])}
    leaves, treedef = tu.tree_flatten(tree)
    assert leaves == [1, 3, 2]
    assert treedef.num_leaves == 3
    assert tu.tree_unflatten(treedef, leaves) == tree


@pytest.mark.parametrize(
    "tree",
    [1, None, (), [], {}, (1, (2, 3)), {"a": {"b": 1}}, Point(1, [2]), OrderedDict(b=1, a=2),
     defaultdict(list, {"k": 1})],
)  # fmt: skip
def test_round_trip(tree):
    leaves, treedef = tu.tree_flatten(tree)
    again = treedef.unflatten(leaves)
    assert again == tree and type(again) is type(tree)
    assert hash(treedef) == hash(tu.tree_structure(again))


def test_map_takes_a_prefix():
    assert fx.tree.map(lambda x, y: (x, y), {"a": 1}, {"a": [2, 3]}) == {"a": (1, [2, 3])}
    with pytest.raises(ValueError):
        fx.tree.map(lambda x, y: x, {"a": 1}, {"b": 1})


def test_reduce_all_transpose():
    assert fx.tree.reduce(lambda x, y: x + y, [1, (2, 3)]) == 6
    assert fx.tree.reduce(lambda x, y: x + y, [], 5) == 5
    assert fx.tree.reduce_associative(lambda x, y: x + y, list(range(10))) == 45
    assert fx.tree.all([True, {"a": 1}]) and not fx.tree.all([0, 1])
    outer, inner = tu.tree_structure([0, 0]), tu.tree_structure({"a": 0, "b": 0})
    turned = tu.tree_transpose(outer, inner, [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    assert turned == {"a": [1, 3], "b": [2, 4]}
    assert fx.tree.broadcast({"a": 1, "b": 2}, {"a": [0, 0], "b": 0}) == {"a": [1, 1], "b": 2}


def test_key_paths_read_like_python():
    tree = {"a": [{"b": 1}], "p": Point(2, 3)}
    paths = [tu.keystr(p) for p, _ in tu.tree_leaves_with_path(tree)]
    assert paths == ["['a'][0]['b']", "['p'].x", "['p'].y"]
    assert tu.keystr((tu.DictKey("a"), tu.SequenceKey(0)), simple=True, separator="/") == "a/0"
    assert fx.tree.map_with_path(lambda p, x: tu.keystr(p), (1, 2)) == ("[0]", "[1]")


def test_registered_class():
    @tu.register_pytree_node_class
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

        def tree_flatten(self):
            return (self.a,), self.b

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children, aux)

    doubled = tu.tree_map(lambda x: 2 * x, Pair(3, "name"))
    assert (doubled.a, doubled.b) == (6, "name")
    assert tu.tree_structure(Pair(1, "x")) != tu.tree_structure(Pair(1, "y"))
    assert tu.keystr(tu.tree_leaves_with_path(Pair(1, 2))[0][0]) == "[<flat index 0>]"


def test_registered_dataclass():
    @tu.register_dataclass
    @dataclasses.dataclass
    class Layer:
        w: float
        b: float
        name: str = fx.tree.static(default="layer")

    layer = Layer(1.0, 2.0, "out")
    assert tu.tree_leaves(layer) == [1.0, 2.0]
    assert tu.tree_map(lambda x: -x, layer) == Layer(-1.0, -2.0, "out")
    assert [tu.keystr(p) for p, _ in tu.tree_leaves_with_path(layer)] == [".w", ".b"]
    gradient = fx.grad(lambda m: m.w * m.b)(layer)
    assert (float(gradient.w), float(gradient.b), gradient.name) == (2.0, 1.0, "out")
    assert float(fx.jit(lambda m: m.w + m.b)(layer)) == 3.0


def test_dataclass_fields_must_be_complete():
    @dataclasses.dataclass
    class Both:
        a: int
        b: int

    with pytest.raises(ValueError, match="missing \\['b'\\]"):
        tu.register_dataclass(Both, ["a"], [])


def test_static_values_belong_to_the_structure():
    @tu.register_static
    @dataclasses.dataclass(frozen=True)
    class Mode:
        name: str

    assert tu.tree_leaves((Mode("a"), 1)) == [1]
    assert tu.tree_structure(Mode("a")) != tu.tree_structure(Mode("b"))


def test_partial_is_a_tree():
    p = tu.Partial(lambda x, y: x * y, 3.0)
    assert tu.tree_leaves(p) == [3.0]
    assert float(fx.jit(lambda p, y: p(y))(p, 4.0)) == 12.0


def test_prefix_errors_name_the_path():
    with pytest.raises(ValueError, match=r"vmap in_axes\[0\]\['a'\]"):
        tu.prefix_leaves(({"a": (0, 0)},), ({"a": [1, 2]},), "vmap in_axes")
    with pytest.raises(ValueError, match=r"of length 2.*of length 3"):
        tu.prefix_leaves((0, 0), (1, 2, 3), "in_axes")
    assert tu.prefix_leaves((0, None), ([1, 2], {"a": 3}), none_is_leaf=True) == [0, 0, None]


def test_none_and_leaves_are_leaf_structures():
    found = [tu.treedef_is_leaf(tu.tree_structure(t)) for t in (1, None, (), [1], [None])]
    assert found == [True, True, True, False, False]


def test_keys_of_paths_are_leaves():
    """Of the kind that they are: a position is no key of a dict."""
    paths = [path for path, _ in tu.tree_leaves_with_path({"a": [1, 2]})]
    assert tu.tree_leaves(paths[0]) == list(paths[0]) == [tu.DictKey("a"), tu.SequenceKey(0)]
    assert tu.DictKey(0) != tu.SequenceKey(0) and hash(tu.DictKey(0)) == hash(tu.DictKey(0))
    assert tu.keystr(paths[1], simple=True, separator="/") == "a/1"
