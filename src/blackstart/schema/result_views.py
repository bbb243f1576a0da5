"""What result.json says of views: what they claimed second by second, and what was so."""

from __future__ import annotations

from typing import Literal

from blackstart.schema.base import Model

Claim = Literal["right", "wrong", "unknown", "silent"]
"""What was said in a second: `unknown` without a truth to compare with, `silent` where nothing was said."""


class Stretch(Model):
    """Seconds in a row in which nothing changed, from `start_s` to `end_s` after T0 (negative: before).

    `true`: what was so; None: nobody could tell. `claimed`: what the view
    said, or `no_data`, why it said nothing. `plain`: what a plain query got.
    """

    start_s: int
    end_s: int
    true: float | None
    claimed: float | None
    no_data: str | None
    plain: float | None
    view: Claim
    plain_view: Claim


class ViewResult(Model):
    """What a view claimed second by second, and what was so; an `honest` objective asks for it.

    `key`: of the probe's readings, empty for all regions as one. Seconds of
    the `watched` ones in which the view was wrong, claimed something that
    nobody could check, or said nothing; the same of a plain query.
    """

    service: str
    probe: str
    truth: str
    key: str
    watched_s: int
    wrong_s: int
    unknown_s: int
    silent_s: int
    plain_wrong_s: int
    plain_unknown_s: int
    plain_silent_s: int
    stretches: list[Stretch]
