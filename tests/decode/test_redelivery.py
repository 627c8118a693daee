"""Redeliveries are recognised by id and bytes of an earlier epoch's tail, and by nothing less."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.redelivery import Redelivery


def test_dup_of_an_earlier_epoch_with_the_same_bytes_is_marked_once(publishes: Any) -> None:
    redelivery = Redelivery()
    first = publishes([("t/1", b"a"), ("t/2", b"b"), ("t/3", b"c")], ids=[1, 2, 3])
    assert not redelivery.mark(first, epoch=1).any()
    again = publishes([("t/2", b"b"), ("t/3", b"x"), ("t/9", b"n")], ids=[2, 3, 9], duplicate=[0, 1, 2])
    assert redelivery.mark(again, epoch=2).tolist() == [True, False, False]
    assert redelivery.mark(again, epoch=2).tolist() == [False, False, False]
    assert redelivery.mark(again, epoch=3).tolist() == [True, True, True]


def test_without_dup_flag_or_new_epoch_nothing_is_marked(publishes: Any) -> None:
    redelivery = Redelivery()
    block = publishes([("t", b"a")], ids=[1])
    flagged = publishes([("t", b"a")], ids=[1], duplicate=[0])
    redelivery.mark(block, epoch=1)
    assert not redelivery.mark(flagged, epoch=1).any()
    assert not redelivery.mark(block, epoch=2).any()


def test_message_survives_an_epoch_that_brought_nothing_of_it(publishes: Any) -> None:
    redelivery = Redelivery()
    redelivery.mark(publishes([("t", b"a"), ("t", b"b")], ids=[1, 2]), epoch=1)
    redelivery.mark(publishes([("t", b"a")], ids=[1], duplicate=[0]), epoch=2)
    assert redelivery.mark(publishes([("t", b"b")], ids=[2], duplicate=[0]), epoch=3).all()


def test_replays_and_qos_0_are_left_alone(publishes: Any) -> None:
    redelivery = Redelivery()
    redelivery.mark(publishes([("t", b"a"), ("t", b"q")], ids=[1, 0]), epoch=1)
    replayed = publishes([("t", b"a")], ids=[1], duplicate=[0], replayed=True)
    assert not redelivery.mark(replayed, epoch=9).any()
    assert redelivery.mark(publishes([("t", b"a")], ids=[1], duplicate=[0]), epoch=2).all()
    assert not redelivery.mark(publishes([("t", b"q")], ids=[0], duplicate=[0]), epoch=3).any()


MESSAGES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([b"a", b"b"]), st.booleans()), max_size=12)


@given(st.lists(MESSAGES, min_size=1, max_size=4), st.integers(1, 8), st.data())
def test_cutting_into_other_blocks_changes_nothing(
    publishes: Any, epochs: list[list[tuple[int, bytes, bool]]], tail: int, data: st.DataObject
) -> None:
    one, cut_up = Redelivery(tail), Redelivery(tail)
    for epoch, messages in enumerate(epochs):
        size = data.draw(st.integers(1, 5))
        pieces = [messages[k : k + size] for k in range(0, len(messages), size)]
        marks = [cut_up.mark(_block(publishes, piece), epoch) for piece in pieces]
        whole = one.mark(_block(publishes, messages), epoch)
        assert whole.tolist() == np.concatenate([*marks, np.empty(0, np.bool_)]).astype(bool).tolist()


def _block(publishes: Any, messages: list[tuple[int, bytes, bool]]) -> Any:
    return publishes(
        [("t", payload) for _, payload, _ in messages],
        ids=[packet_id for packet_id, _, _ in messages],
        duplicate=[k for k, message in enumerate(messages) if message[2]],
    )
