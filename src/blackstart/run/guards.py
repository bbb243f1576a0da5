"""When a drill must end early: a pure fold over what the streams and probes say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from blackstart.evidence.records import GuardTrip, Reading, Samples, Stream
from blackstart.schema.drill import Guard


@dataclass(frozen=True)
class Track:
    """What one guard knows of one stream or series: last sign of life, and since when it has been bad (seconds)."""

    seen: float
    bad_since: float | None = None


def look_at_samples(track: Track, guard: Guard, samples: Samples, now: float) -> Track:
    """The track after one batch that arrived `now`: at most a second, so a batch is good or bad as a whole."""
    bad = sum(samples.ok) / len(samples.ok) < guard.success
    return Track(now, (track.bad_since or samples.due[0]) if bad else None)


def look_at_reading(track: Track, guard: Guard, reading: Reading, now: float) -> Track:
    """The track after one reading; one without data is no sign of life."""
    if reading.value is None:
        return track
    bad = guard.bound is not None and not guard.bound.holds(reading.value)
    return Track(now, (track.bad_since or now) if bad else None)


def trip(track: Track, guard: Guard, key: str, now: float) -> GuardTrip | None:
    """The end of the drill, if `key` has been bad or silent for too long at `now`."""
    name = f"{guard.watch}: {key}"
    if track.bad_since is not None and track.seen - track.bad_since >= guard.sustained:
        want = str(guard.bound) if guard.bound else f"at least {guard.success:.0%} good"
        return GuardTrip(guard=name, blind=False, detail=f"not {want} for {track.seen - track.bad_since:.1f} s")
    if now - track.seen >= guard.blind:
        return GuardTrip(guard=name, blind=True, detail=f"no data for {now - track.seen:.1f} s")
    return None


class Guards:
    """All guards of a drill, watching from `now` on. What a probe says of a victim is not watched."""

    def __init__(
        self,
        guards: Iterable[Guard],
        streams: Iterable[Stream],
        survivors: Iterable[str],
        victims: Iterable[str],
        now: float,
    ) -> None:
        self._start = now
        self._victims = set(victims)
        self._guards = list(guards)
        self._streams = {stream.name: stream for stream in streams}
        self._survivors = set(survivors)
        self._tracks: list[dict[str, Track]] = [
            {key: Track(now) for key in self._watched(guard)} for guard in self._guards
        ]

    def see_samples(self, samples: Samples, now: float) -> None:
        """Take in one batch; samples from before the watch began do not count."""
        if not samples.due or samples.due[0] < self._start:
            return
        for guard, tracks in zip(self._guards, self._tracks, strict=True):
            if samples.stream in tracks:
                tracks[samples.stream] = look_at_samples(tracks[samples.stream], guard, samples, now)

    def see_reading(self, reading: Reading, now: float) -> None:
        """Take in one reading. Every series of a probe is watched from its first sight on."""
        for guard, tracks in zip(self._guards, self._tracks, strict=True):
            if guard.watch != reading.probe or reading.key in self._victims:
                continue
            key = f"{reading.probe}/{reading.key}" if reading.key else reading.probe
            tracks[key] = look_at_reading(tracks.get(key, Track(now)), guard, reading, now)
            if reading.key and reading.value is not None:
                # The probe as a whole lives as long as one of its series does.
                tracks[reading.probe] = replace(tracks[reading.probe], seen=now)

    def tripped(self, now: float) -> GuardTrip | None:
        """The first guard that trips at `now`, if any does."""
        for guard, tracks in zip(self._guards, self._tracks, strict=True):
            for key, track in tracks.items():
                if found := trip(track, guard, key, now):
                    return found
        return None

    def _watched(self, guard: Guard) -> list[str]:
        match guard.watch:
            case "survivors":
                chosen = [s for s in self._streams.values() if s.kind == "direct" and s.region in self._survivors]
            case "clients":
                chosen = [s for s in self._streams.values() if s.kind == "entry"]
            case probe:
                return [probe]
        return [stream.name for stream in chosen]
