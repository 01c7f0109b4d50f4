from hypothesis import given
from hypothesis import strategies as st

from replican.decisions.delta import FETCHED, Piece, Range, plan_delta, ranges_of
from replican.values.blocks import LEAST, BlockList, list_blocks


def a_list(names: str) -> BlockList:
    """A block for each letter; equal letters are equal blocks."""
    return list_blocks((LEAST + ord(name), name.encode() * 16) for name in names)


def offset(names: str) -> int:
    return a_list(names).size


NAMES = st.text("abcdefgh", max_size=30)


def test_all_is_missing_where_nothing_is_here() -> None:
    wanted = a_list("abc")
    plan = plan_delta(wanted, [])
    assert plan.missing == [Range(0, wanted.size)]
    assert (plan.missing_size, plan.used) == (wanted.size, frozenset())


def test_ranges_are_as_large_as_they_can_be() -> None:
    plan = plan_delta(a_list("xyabzcq"), [a_list("abc")])
    assert plan.missing == [
        Range(0, offset("xy")),
        Range(offset("xyab"), offset("z")),
        Range(offset("xyabzc"), offset("q")),
    ]
    assert plan.used == {0}


def test_a_run_stays_with_its_file() -> None:
    """That of the second file, though the first has some of it."""
    plan = plan_delta(a_list("yabcd"), [a_list("bxd"), a_list("abcd")])
    assert [(piece.basis, piece.source) for piece in plan.pieces] == [
        (FETCHED, 0),
        (1, 0),
        (1, offset("a")),
        (1, offset("ab")),
        (1, offset("abc")),
    ]


def test_blocks_in_place_stay() -> None:
    wanted = a_list("abcd")
    plan = plan_delta(wanted, [a_list("xab")], frozenset([0, offset("abc")]))
    assert [(piece.basis, piece.source) for piece in plan.pieces] == [
        (1, 0),
        (0, offset("xa")),
        (FETCHED, 0),
        (1, offset("abc")),
    ]


def test_equal_hashes_of_other_lengths_are_not_believed() -> None:
    plan = plan_delta(list_blocks([(LEAST, b"a" * 16)]), [list_blocks([(LEAST + 1, b"a" * 16)])])
    assert plan.missing == [Range(0, LEAST)]


@given(NAMES, st.lists(NAMES, max_size=3), st.sets(st.integers(0, 29)), st.booleans())
def test_each_block_comes_from_where_it_is(names: str, bases: list[str], lying: set[int], short: bool) -> None:
    wanted = a_list(names).shortened() if short else a_list(names)
    blocks = list(wanted)
    in_place = frozenset(blocks[at].offset for at in lying if at < len(blocks))
    lists = [a_list(each) for each in bases]
    plan = plan_delta(wanted, lists, in_place)
    assert [piece.block for piece in plan.pieces] == blocks
    there = [{(block.offset, block.length): block.hash for block in each} for each in lists]
    for (block, basis, source), name in zip(plan.pieces, names, strict=True):
        if basis == len(bases):
            assert block.offset == source
            assert block.offset in in_place
        elif basis == FETCHED:
            assert all(name not in each for each in bases)
            assert block.offset not in in_place
        else:
            assert there[basis][source, block.length].startswith(block.hash)
    fetched = [piece.block for piece in plan.pieces if piece.basis == FETCHED]
    assert plan.missing == ranges_of(fetched)
    assert plan.missing_size == sum(block.length for block in fetched)
    assert all(
        one.offset + one.length < other.offset for one, other in zip(plan.missing, plan.missing[1:], strict=False)
    )
    assert plan.used == {piece.basis for piece in plan.pieces} - {FETCHED}


def test_the_same_block_again_and_again() -> None:
    plan = plan_delta(a_list("aaaa"), [a_list("xa")])
    assert plan.pieces == [Piece(block, 0, offset("x")) for block in a_list("aaaa")]
