"""What a cluster must remember between two commands."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testcluster.binaries import Binaries
from testcluster.locations import Layout
from testcluster.node import network
from testcluster.node.network import Network


@dataclass(frozen=True)
class State:
    """The machine's boot, the network that was chosen, and the programs in use."""

    boot: str
    network: Network
    binaries: Binaries

    def write(self, layout: Layout) -> None:
        content = {
            "boot": self.boot,
            "network": self.network.to_json(),
            "binaries": {name: str(path) for name, path in vars(self.binaries).items()},
        }
        _file(layout).write_text(json.dumps(content, indent=2))

    @classmethod
    def read(cls, layout: Layout) -> Self | None:
        """None without a cluster, or when its creation did not get far."""
        try:
            content = json.loads(_file(layout).read_text())
        except (FileNotFoundError, ValueError):
            return None
        folders = {name: Path(path) for name, path in content["binaries"].items()}
        return cls(content["boot"], Network.from_json(content["network"]), Binaries(**folders))

    def is_usable(self) -> bool:
        """False after a reboot, which took the namespace and all processes."""
        return (
            self.boot == current_boot()
            and network.exists(self.network)
            and all(path.is_dir() for path in vars(self.binaries).values())
        )


def current_boot() -> str:
    """Names the time since the machine was last started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _file(layout: Layout) -> Path:
    return layout.root / "state.json"
