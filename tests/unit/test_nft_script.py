import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from blackstart.fleet import drops, nft
from blackstart.fleet.drops import Drop, from_server, of_ends, to_networks, to_processes
from blackstart.fleet.model import Fleet, LinkEnd, Place

WAN = LinkEnd(place="us", interface="to-eu")
EDGE = LinkEnd(place="us", interface="to-edge")
BY_SOURCE = LinkEnd(place="us", sources=["10.0.0.1", "10.1.0.0/16"])


def test_a_name_that_nft_takes() -> None:
    assert drops.table_name("run.1-a/sever-1") == "bs_fault_run_1_a_sever_1"


def test_both_interfaces_of_a_place_go_into_one_table() -> None:
    assert drops.cut_script("bs_fault_x", of_ends([WAN, EDGE]), 10) == (
        "table inet bs_fault_x {\n}\n"
        "delete table inet bs_fault_x\n"
        "table inet bs_fault_x {\n"
        "  set cut_interfaces {\n    type ifname\n    flags timeout\n  }\n"
        "  set tried {\n    type ipv4_addr . ipv4_addr . inet_service\n    size 65535\n"
        "    flags dynamic,timeout\n    timeout 86400s\n    counter\n  }\n"
        "  set seen {\n    type ipv4_addr . inet_service . ipv4_addr . inet_service\n    size 65535\n"
        "    flags dynamic,timeout\n    timeout 120s\n  }\n"
        "  chain drop_in {\n"
        "    type filter hook prerouting priority -400; policy accept;\n"
        "    iifname @cut_interfaces tcp flags & (fin | syn | rst | ack) == syn"
        " ip saddr . tcp sport . ip daddr . tcp dport != @seen update @tried { ip saddr . ip daddr . tcp dport }\n"
        "    iifname @cut_interfaces tcp flags & (fin | syn | rst | ack) == syn"
        " update @seen { ip saddr . tcp sport . ip daddr . tcp dport }\n"
        "    iifname @cut_interfaces counter drop\n"
        "  }\n"
        "}\n"
        'add element inet bs_fault_x cut_interfaces { "to-eu" timeout 10000ms, "to-edge" timeout 10000ms }\n'
    )


def test_sources_are_addresses_or_networks() -> None:
    script = drops.cut_script("bs_fault_x", of_ends([BY_SOURCE]), 1)
    assert "flags interval,timeout" in script
    assert "ip saddr @cut_sources counter drop" in script
    assert "{ 10.0.0.1 timeout 1000ms, 10.1.0.0/16 timeout 1000ms }" in script


def test_renewing_deletes_first() -> None:
    """An add before the delete would revive a cut that has healed."""
    lines = drops.renew_script("bs_fault_x", of_ends([WAN]), 10).splitlines()
    assert lines == [
        'delete element inet bs_fault_x cut_interfaces { "to-eu" }',
        'add element inet bs_fault_x cut_interfaces { "to-eu" timeout 10000ms }',
    ]


def test_healing_does_not_mind_that_nothing_is_there() -> None:
    assert drops.heal_script("bs_fault_x") == "table inet bs_fault_x {\n}\ndelete table inet bs_fault_x\n"


def test_what_one_user_sends_is_dropped_on_its_way_out() -> None:
    script = drops.cut_script("bs_fault_x", [to_networks(["198.19.1.0/24"], 1337)], 1)
    assert "type filter hook output priority -400" in script
    assert "meta skuid 1337 ip daddr @cut_networks counter drop" in script
    assert "{ 198.19.1.0/24 timeout 1000ms }" in script


@pytest.mark.parametrize(
    "found",
    [
        of_ends([WAN]),
        of_ends([BY_SOURCE]),
        of_ends([WAN, EDGE, BY_SOURCE]),
        [to_networks(["198.19.1.0/24"], 1337)],
        [from_server("198.18.16.2:6443")],
        [to_processes(["198.18.16.2:3306", "198.18.16.6:3306"])],
    ],
)
def test_nft_itself_takes_the_scripts(found: list[Drop]) -> None:
    """In a namespace of its own that ends with the process; skipped where users may not make one."""
    scripts = [
        drops.cut_script("bs_fault_x", found, 60),
        drops.cut_script("bs_fault_x", found, 60),
        drops.renew_script("bs_fault_x", found, 60),
        drops.heal_script("bs_fault_x"),
        drops.heal_script("bs_fault_x"),
    ]
    shell = "PATH=$PATH:/usr/sbin\n" + "".join(f"nft -f - <<'END'\n{script}END\n" for script in scripts)
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", shell]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare" in done.stderr or "not found" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.stderr == ""
    assert done.returncode == 0


def _fleet(netns: Path | None) -> Any:
    return type("F", (), {"places": {"us": Place(netns=netns)}})()


def _link(*ends: LinkEnd) -> Any:
    return type("L", (), {"ends": ends})()


def _answer(monkeypatch: pytest.MonkeyPatch, code: int, stdout: str = "", stderr: str = "") -> list[list[str]]:
    calls: list[list[str]] = []

    def run(argv: list[str], **_: object) -> Any:
        calls.append(argv)
        return subprocess.CompletedProcess(argv, code, stdout, stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_it_runs_inside_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = _answer(monkeypatch, 0)
    fleet: Fleet = _fleet(tmp_path)
    nft.cut(fleet, nft.of_links([_link(WAN), _link(EDGE)]), "f", 1)
    assert calls == [["nsenter", f"--net={tmp_path}", "nft", "-f", "-"]]


@pytest.mark.parametrize("words", ["No such file or directory", "element does not exist"])
def test_a_late_runner_learns_that_the_cut_has_expired(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    _answer(monkeypatch, 1, stderr=f"-:1:1-9: Error: {words}")
    with pytest.raises(nft.Expired, match="expired at us"):
        nft.renew(_fleet(None), nft.of_links([_link(WAN)]), "f", 1)


def test_what_nft_said_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, 1, stderr="Operation not permitted")
    with pytest.raises(nft.NftError, match="exit 1: Operation not permitted"):
        nft.heal(_fleet(None), ["us"], "f")


def test_a_namespace_that_is_gone_took_its_drops_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = _answer(monkeypatch, 1)
    nft.heal(_fleet(tmp_path / "gone"), ["us"], "f")
    assert calls == []


@pytest.mark.parametrize(("elements", "cut"), [({"elem": [{"elem": {"val": "to-eu"}}]}, True), ({}, False)])
def test_an_expired_cut_is_no_cut(monkeypatch: pytest.MonkeyPatch, elements: dict[str, Any], cut: bool) -> None:
    listed: list[Any] = [{"table": {"name": "bs_fault_f"}}, {"set": {"name": "cut_interfaces", **elements}}]
    _answer(monkeypatch, 0, json.dumps({"nftables": listed}))
    assert nft.is_cut(Place(), "f") is cut
    assert nft.tables(Place()) == ["bs_fault_f"]
    assert nft.is_cut(Place(), "another") is False


def test_no_answer_is_not_an_empty_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, 0, "")
    with pytest.raises(nft.NftError, match="no listing"):
        nft.tables(Place())


def test_a_table_that_goes_while_it_is_looked_at_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = {"nftables": [{"set": {"name": "cut_interfaces"}}]}

    def going(place: Place, *arguments: str, script: str = "", deadline: float = 0.0) -> str:
        if arguments[2] == "table":
            return json.dumps(listing)
        raise nft.NftError("nft: exit 1: Error: No such file or directory; did you mean set")

    monkeypatch.setattr(nft, "_nft", going)
    assert not nft.drops(Place(), "bs_fault_x")

    def refused(place: Place, *arguments: str, script: str = "", deadline: float = 0.0) -> str:
        raise nft.NftError("nft: exit 1: Operation not permitted")

    monkeypatch.setattr(nft, "_nft", refused)
    with pytest.raises(nft.NftError, match="not permitted"):
        nft.drops(Place(), "bs_fault_x")
