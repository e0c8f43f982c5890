from pathlib import Path

import pytest

from ingestion_runner.workflow.certificates import use_certificate_files


class Text:
    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        return self._value


def manager() -> type:
    """As the library's: it writes what it is given into a new file and returns its path."""

    class Manager:
        def create_temp_file(self, content: Text) -> str:
            return f"a file with {content.get_secret_value()}"

    use_certificate_files(Manager)
    return Manager


def test_a_file_that_is_named_is_used_itself(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.crt"
    certificate.write_text("-----BEGIN CERTIFICATE-----")

    assert manager()().create_temp_file(Text(str(certificate))) == str(certificate)


def test_a_text_is_left_to_the_library() -> None:
    text = "-----BEGIN CERTIFICATE-----\nMIIB\n"

    assert manager()().create_temp_file(Text(text)) == f"a file with {text}"


def test_a_file_that_is_not_there_is_named_with_the_fix() -> None:
    with pytest.raises(FileNotFoundError, match=r"/certs/ca.crt, which is not in the pod: mount it with podTemplate"):
        manager()().create_temp_file(Text("/certs/ca.crt"))
