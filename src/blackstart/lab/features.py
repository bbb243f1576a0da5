"""What a native lab can have besides regions that serve: the options of `lab up`. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Features:
    """What each is, where the name does not say it.

    `data`: replicated stores; with `semi_sync` their database acknowledges
    only what its replica has, with `multi_active` it takes writes in both
    regions. `backup`: Velero and its bucket. `global_metrics`: Thanos and a
    Prometheus that federates.
    """

    mesh: bool = False
    data: bool = False
    semi_sync: bool = False
    multi_active: bool = False
    backup: bool = False
    global_metrics: bool = False

    @property
    def options(self) -> str:
        """As on the command line, with a space before each: ` --mesh --data`."""
        return "".join(f" --{name.replace('_', '-')}" for name, yes in asdict(self).items() if yes)

    @property
    def built(self) -> Features:
        """Of these, what has programs that are built for it."""
        return Features(mesh=self.mesh, backup=self.backup, global_metrics=self.global_metrics)

    def __str__(self) -> str:
        kind = "semi-synchronous " if self.semi_sync else "multi-active " if self.multi_active else ""
        found = [
            "a mesh" if self.mesh else "no mesh",
            f"{kind}stores" if self.data else "no stores",
            *(["backups"] if self.backup else []),
            *(["global metrics"] if self.global_metrics else []),
        ]
        return f"{', '.join(found[:-1])} and {found[-1]}"


PLAIN = Features()
"""None of them."""
