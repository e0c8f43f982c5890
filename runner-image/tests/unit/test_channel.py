import os

from ingestion_runner.channel import ChannelReader, ChannelWriter
from ingestion_runner.masking import MASK, Masker
from ingestion_runner.outcomes import Outcome, Reason


def test_channel_carries_secrets_and_outcome_in_any_chunks() -> None:
    read_end, write_end = os.pipe()
    writer = ChannelWriter(write_end)
    writer.send_secrets(["hunter2hunter"])
    writer.send_outcome(Outcome.failed(Reason.WORKFLOW_FAILED, "hunter2hunter was refused"))
    os.close(write_end)
    with os.fdopen(read_end, "rb") as sent:
        data = sent.read()
    reader = ChannelReader(Masker())

    for position in range(len(data)):
        reader.feed(data[position : position + 1])

    assert reader.outcome == Outcome.failed(Reason.WORKFLOW_FAILED, f"{MASK} was refused")


def test_channel_drops_what_is_not_a_message() -> None:
    reader = ChannelReader(Masker())

    reader.feed(b'garbage\n[]\n1\n{"outcome": {"state": "odd"}}\n{"secrets": 3}\n')

    assert reader.outcome is None


def test_channel_does_not_reach_the_childs_own_children() -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)

    ChannelWriter(write_end)

    assert not os.get_inheritable(write_end)
    os.close(read_end)
    os.close(write_end)
