"""Mounted certificates and keys for connectors of openmetadata-ingestion, which expect their text."""

import functools
from pathlib import Path
from typing import Any


def use_certificate_files(manager: Any) -> None:
    """Allow the path of a file in a connection where the library's SSLManager expects a certificate or key.

    SSLManager writes each text to a file and passes its path to the driver. No such text starts with a slash: one that
    does is a path, which is passed to the driver as it is. So the next run uses a renewed Secret, and connections
    contain no keys.
    """
    write = manager.create_temp_file

    @functools.wraps(write)
    def create_temp_file(self: Any, content: Any) -> Any:
        path = content.get_secret_value()
        if not path.startswith("/"):
            return write(self, content)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"sslConfig names the file {path}, which is not in the pod: mount it with podTemplate, or set the text"
            )
        return path

    manager.create_temp_file = create_temp_file
