"""Events of the operator's own writes are no news, and everybody else's are."""

from ingestion_operator.own_writes import OwnWrites


def body(version: str, uid: str = "one") -> dict[str, dict[str, str]]:
    return {"metadata": {"uid": uid, "resourceVersion": version}}


def test_what_was_written_is_known_once() -> None:
    writes = OwnWrites()
    writes.note(body("7"))
    assert [writes.knows(body("7")), writes.knows(body("7"))] == [True, False]


def test_what_somebody_else_made_of_it_is_news() -> None:
    writes = OwnWrites()
    writes.note(body("7"))
    assert not writes.knows(body("8"))
    assert not writes.knows(body("7", uid="another"))


def test_an_earlier_version_is_news_once_it_was_written_again() -> None:
    writes = OwnWrites()
    writes.note(body("7"))
    writes.note(body("9"))
    assert [writes.knows(body("7")), writes.knows(body("9"))] == [False, True]
