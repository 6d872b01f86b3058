"""Download of one published file: mirrors, resume, checksum; the standard library's HTTP client alone."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request

from eventsnn import disk
from eventsnn.errors import DataError

_BLOCK = 1 << 18
_TIMEOUT_S = 30
_NETWORK = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


class _Lost(Exception):
    """The network failed while a file was coming; what came is kept."""


def _checksum(path, algorithm):
    sha = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def download(item, folder, progress=None):
    """Bring `item` (a Download) into `folder`, unless it is there and good.

    Raises
    ------
    DataError
        No mirror answers, or none has the published content.
    RunError
        The disk is full or the folder cannot be written.
    """
    path, part = folder / item.file, folder / f"{item.file}.part"
    algorithm, _, wanted = item.checksum.partition(":")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and _checksum(path, algorithm) == wanted:
            return path
        problems = []
        for url in item.urls:
            # a part of other content (an earlier mirror's error page, say) is worth one fresh start
            for _ in range(2):
                resumed = part.exists()
                try:
                    _fetch(url, part, item.file, progress)
                except _Lost as error:
                    problems.append(f"{url}: {error}")
                    break
                if _checksum(part, algorithm) == wanted:
                    disk.replace(part, path)
                    return path
                part.unlink()
                problems.append(f"{url}: came with a wrong {algorithm}, discarded")
                if not resumed:
                    break
    except OSError as error:
        raise disk.disk_error(path, error) from error
    raise DataError(
        f"{item.file} could not be downloaded: {'; '.join(problems)}. Try again later (it resumes), or put the "
        f"file into {folder} by hand ({algorithm} {wanted})"
    )


def _fetch(url, part, name, progress):
    """Append to `part` what is missing of `url`; start anew where the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "eventsnn"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is here already, or none of it is good: the checksum decides
        raise _Lost(f"HTTP {error.code} {error.reason}") from None
    except (*_NETWORK, ValueError) as error:
        raise _Lost(str(getattr(error, "reason", error))) from None
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            raise _Lost("the server sent another range than was asked for")
        have = have if resumed else 0
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        with open(part, "ab" if resumed else "wb") as stream:
            while block := _block(answer):
                stream.write(block)
                have += len(block)
                if progress is not None:
                    progress(name, have, total)
            stream.flush()
            os.fsync(stream.fileno())
    if total is not None and have < total:
        raise _Lost(f"the connection ended after {have} of {total} bytes")


def _block(answer):
    try:
        return answer.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(str(error) or type(error).__name__) from None
