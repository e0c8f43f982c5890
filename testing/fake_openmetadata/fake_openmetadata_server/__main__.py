"""Run the fake OpenMetadata server: `python -m fake_openmetadata_server --port 8585`.

Environment: DOUBLE_TOKEN, the only bearer token accepted (empty or absent: any); DOUBLE_VERSION, the
version it pretends to be (2.0.6).
"""

import argparse
import os
import signal
import sys

from . import schemas
from .app import Double
from .kinds import INGESTION_PIPELINES, KINDS
from .server import DoubleServer

LOADED_AT_START = ("services/databaseServices", "databases", "databaseSchemas", "tables", "storedProcedures")


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake OpenMetadata server")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8585)
    arguments = parser.parse_args()
    for path in LOADED_AT_START:
        schemas.model(KINDS[path].create)
        schemas.model(KINDS[path].entity)
    schemas.model(INGESTION_PIPELINES.entity)
    fake_server = Double(token=os.environ.get("DOUBLE_TOKEN", ""), version=os.environ.get("DOUBLE_VERSION", "2.0.6"))
    server = DoubleServer((arguments.host, arguments.port), fake_server)
    # As process 1 of a container it would otherwise ignore SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"fake OpenMetadata server on {arguments.host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
