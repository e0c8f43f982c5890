"""Certificates and keys in files that are mounted, for connectors of openmetadata-ingestion that take their text."""

import functools
from pathlib import Path
from typing import Any


def use_certificate_files(manager: Any) -> None:
    """Let a connection name a file where the library's SSLManager expects the text of a certificate or key.

    It writes each text into a file of its own, whose path the driver gets. No such text begins with a slash; one that
    does is a path, and the driver gets that. So a Secret that is renewed reaches the next run, and no key has to
    stand in a connection.
    """
    write = manager.create_temp_file

    @functools.wraps(write)
    def create_temp_file(self: Any, content: Any) -> Any:
        path = content.get_secret_value()
        if not path.startswith("/"):
            return write(self, content)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"sslConfig names the file {path}, which is not in the pod: mount it by podTemplate, or give the text"
            )
        return path

    manager.create_temp_file = create_temp_file
