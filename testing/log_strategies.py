"""Any log, and any way in which it may arrive."""

from hypothesis import strategies as st

from testing.kubelet_log import NANOSECONDS, KubeletLog

T0 = 1_764_021_600 * NANOSECONDS
"""When the logs begin."""

_texts = st.binary(max_size=12) | st.text("aé€😀", max_size=5).map(str.encode)


@st.composite
def logs(draw: st.DrawFn) -> KubeletLog:
    """Any log: several lines of one instant, lines in several parts, times a little out of order.

    The parts of one line come through one pipe, so their times are in order; only lines of two streams are not.
    """
    log, now, begun = KubeletLog(), T0, T0
    for _ in range(draw(st.integers(0, 12))):
        now += draw(st.sampled_from([0, 0, 1, 400_000_000, NANOSECONDS, 90 * NANOSECONDS]))
        text = draw(_texts).replace(b"\n", b"")
        earlier = draw(st.sampled_from([0, 0, 1, 900_000_000]))
        is_part = draw(st.sampled_from([False, False, True]))
        moment = max(begun, now - earlier)
        log.write(moment, text if is_part and text else text + b"\n")
        begun = moment if is_part and text else T0
    return log


@st.composite
def pieces(draw: st.DrawFn, raw: bytes) -> list[bytes]:
    """The same bytes, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
