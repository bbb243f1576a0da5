"""The bucket, read from a real S3 server and from servers that misbehave."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, black_hole, fleet, free_address, http

from blackstart.fleet import s3
from blackstart.fleet.backups import Bucket
from blackstart.fleet.model import Fleet
from blackstart.lab.parts import find_rclone
from blackstart.schema.secret import SecretError

ACCESS, SECRET = "the-access-key", "the-secret-key"


def with_bucket(address: str, folder: Path, **keys: Any) -> Fleet:
    (folder / "access").write_text(ACCESS)
    (folder / "secret").write_text(SECRET)
    files = {f"{name}_key": f"${{file:{folder / name}}}" for name in ("access", "secret")}
    return fleet(backups={"url": f"http://{address}", "place": "here", "bucket": "b", **files, **keys})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """host:port of a real server, and the folder of its bucket."""
    folder, address = tmp_path_factory.mktemp("s3"), free_address()
    (folder / "b/dr/backups/one").mkdir(parents=True)
    argv = [str(find_rclone()), "serve", "s3", "--addr", address, "--vfs-cache-mode", "off", "--dir-cache-time", "0s"]
    env = {"RCLONE_AUTH_KEY": f'"{ACCESS},{SECRET}"', "RCLONE_CONFIG": "/dev/null", "HOME": str(folder)}
    process = subprocess.Popen([*argv, str(folder)], env=env, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                s3.size(with_bucket(address, folder), "x")
                break
            except s3.S3Error:
                assert time.monotonic() < end
                time.sleep(0.05)
        yield address, folder / "b"
    finally:
        process.kill()
        process.wait()


def test_an_object_with_and_without_a_prefix(server: tuple[str, Path], tmp_path: Path) -> None:
    address, bucket = server
    (bucket / "dr/backups/one/one.tar.gz").write_bytes(b"12345")
    found = with_bucket(address, tmp_path, prefix="dr/")
    assert (s3.size(found, "backups/one/one.tar.gz"), s3.read(found, "backups/one/one.tar.gz")) == (5, b"12345")
    assert s3.size(with_bucket(address, tmp_path), "dr/backups/one/one.tar.gz") == 5
    assert s3.size(with_bucket(address, tmp_path), "backups/one/one.tar.gz") is None


def test_no_object_and_no_bucket_are_none(server: tuple[str, Path], tmp_path: Path) -> None:
    found = with_bucket(server[0], tmp_path)
    assert (s3.size(found, "backups/none"), s3.read(found, "backups/none")) == (None, None)
    assert s3.size(with_bucket(server[0], tmp_path, bucket="other"), "x") is None


def test_keys_that_are_refused_or_not_there(server: tuple[str, Path], tmp_path: Path) -> None:
    found = with_bucket(server[0], tmp_path)
    (tmp_path / "secret").write_text("another")
    with pytest.raises(s3.S3Error, match="403") as caught:
        s3.read(found, "x")
    assert caught.value.kind == "unauthorised"
    assert "another" not in str(caught.value)
    assert ACCESS not in str(caught.value)
    (tmp_path / "secret").unlink()
    with pytest.raises(SecretError):
        s3.size(found, "x")


def test_a_fleet_without_a_bucket() -> None:
    with pytest.raises(s3.S3Error, match="no `backups`"):
        s3.size(fleet(), "x")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http(b"<Error><Code>SlowDown</Code></Error>", "503 Slow Down"), "refused"),
        (http(b"<Error><Code>Denied</Code><Key>the-access-key</Key></Error>", "403 Forbidden"), "unauthorised"),
        (http(b"", "301 Moved", "Location: http://127.0.0.1:1/\r\n"), "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "refused"),
        (b"", "refused"),
        (None, "timeout"),
    ],
)
def test_servers_that_misbehave(answer: bytes | None, kind: str, tmp_path: Path) -> None:
    deadline = 0.5 if kind == "timeout" else 5.0
    with Server(lambda _: answer, close=answer is not None) as server, pytest.raises(s3.S3Error) as caught:
        s3.read(with_bucket(server.address, tmp_path), "x", deadline)
    assert caught.value.kind == kind, caught.value
    for secret in (ACCESS, SECRET):
        assert secret not in str(caught.value)


def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(s3.S3Error) as caught:
        s3.size(with_bucket(free_address(), tmp_path), "x")
    assert caught.value.kind == "refused"
    with black_hole() as hole, pytest.raises(s3.S3Error) as caught:
        s3.size(with_bucket(hole, tmp_path), "x", 0.5)
    assert caught.value.kind == "timeout"


def test_an_answer_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "MOST", 1000)
    with Server(lambda _: http(b" " * 100_000)) as server, pytest.raises(s3.S3Error, match="longer") as caught:
        s3.read(with_bucket(server.address, tmp_path), "x")
    assert caught.value.kind == "malformed"


def bucket_of(found: Fleet) -> Bucket:
    assert found.backups is not None
    return found.backups


def whole(found: Fleet, key: str, deadline: float = 5.0) -> bytes:
    with s3.opened(found, bucket_of(found), key, deadline) as chunks:
        return b"".join(chunks)


def test_a_list_of_objects(server: tuple[str, Path], tmp_path: Path) -> None:
    address, bucket = server
    (bucket / "dr/orders & co").mkdir()
    for number in range(3):
        (bucket / f"dr/orders & co/shop-{number}.sql").write_bytes(b"x" * number)
    (bucket / "dr/other.sql").write_bytes(b"")
    found = with_bucket(address, tmp_path, prefix="dr")
    there = s3.listing(found, bucket_of(found), "orders & co/shop-")
    assert [(each.key, each.size) for each in there] == [(f"orders & co/shop-{n}.sql", n) for n in range(3)]
    assert all(abs((datetime.now(UTC) - each.written).total_seconds()) < 60 for each in there)
    assert s3.listing(found, bucket_of(found), "none") == []
    assert whole(found, there[2].key) == b"xx"
    with pytest.raises(s3.S3Error, match="there is no x"):
        whole(found, "x")


def test_a_list_of_several_pages(server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, bucket = server
    (bucket / "many").mkdir()
    for number in range(5):
        (bucket / f"many/{number}").write_bytes(b"")
    monkeypatch.setattr(s3, "_PAGE", 2)
    found = with_bucket(address, tmp_path)
    assert [each.key for each in s3.listing(found, bucket_of(found), "many/")] == [f"many/{n}" for n in range(5)]
    monkeypatch.setattr(s3, "MOST_KEYS", 3)
    with pytest.raises(s3.S3Error, match="name a longer prefix"):
        s3.listing(found, bucket_of(found), "many/")


def a_list(*objects: str, more: str = "false") -> bytes:
    return f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{''.join(objects)}</ListBucketResult>".encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<Error/>",
        b"<ListBucketResult>",
        a_list("<Contents><Key>a</Key></Contents>"),
        a_list("<Contents><Key>a</Key><LastModified>soon</LastModified><Size>1</Size></Contents>"),
        a_list(more="true"),
        b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult>&c;</ListBucketResult>',
    ],
)
def test_a_list_that_is_none(body: bytes, tmp_path: Path) -> None:
    with Server(lambda _: http(body)) as server:
        found = with_bucket(server.address, tmp_path)
        with pytest.raises(s3.S3Error) as caught:
            s3.listing(found, bucket_of(found), "")
    assert caught.value.kind == "malformed"


def test_an_object_that_does_not_end_in_time(tmp_path: Path) -> None:
    def slow(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 100_000

    with Server(slow, close=False) as server:
        found = with_bucket(server.address, tmp_path)
        with pytest.raises(s3.S3Error) as caught:
            whole(found, "x", 0.5)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3.eu-central-1.amazonaws.com", "eu-central-1"),
        ("s3-us-west-2.amazonaws.com", "us-west-2"),
        ("s3.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("s3.amazonaws.com", "us-east-1"),
        ("minio.example.com:9000", "us-east-1"),
    ],
)
def test_amazon_wants_its_region_signed(host: str, region: str, tmp_path: Path) -> None:
    found = with_bucket(host, tmp_path).backups
    assert found is not None
    assert s3._region(found) == region
