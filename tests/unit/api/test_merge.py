from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm_api.merge import merge, without_nulls

SCALARS = st.one_of(st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=3))
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), st.one_of(SCALARS, inner), max_size=3),
    max_leaves=8,
)


def test_maps_merge_deep_lists_replace_null_removes():
    layers = [
        {"guest": {"trim": True, "serialConsole": False}, "tolerations": [{"key": "a"}]},
        {"guest": {"serialConsole": True, "trim": None}, "tolerations": []},
    ]
    assert merge(layers) == {"guest": {"serialConsole": True}, "tolerations": []}


def test_null_removes_only_what_lower_layers_set():
    assert merge([{"a": None}, {"a": 1}]) == {"a": 1}
    assert merge([{"a": 1}, {"a": None}, {"a": {"b": 2}}]) == {"a": {"b": 2}}


def test_a_map_replaces_a_scalar():
    assert merge([{"a": 1}, {"a": {"b": 1, "c": None}}]) == {"a": {"b": 1}}


@given(st.lists(OBJECTS, max_size=4))
def test_merging_leaves_its_arguments_alone_and_is_idempotent(layers):
    before = repr(layers)
    merged = merge(layers)
    assert repr(layers) == before
    assert merge([merged, merged]) == merged


@given(OBJECTS, OBJECTS, OBJECTS)
def test_merging_in_steps_is_merging_at_once(first, second, third):
    assert merge([merge([first, second]), third]) == merge([first, second, third])


def test_without_nulls_is_deep():
    assert without_nulls({"a": None, "b": {"c": None, "d": 1}}) == {"b": {"d": 1}}
