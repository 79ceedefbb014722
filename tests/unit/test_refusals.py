"""What git and servers say, word for word, and what is made of it."""

from __future__ import annotations

import pytest

from cdk8s_publish.errors import LeaseLostError, RemoteError, TransientRemoteError
from cdk8s_publish.git.errors import explain

UNAVAILABLE = "fatal: unable to access 'https://example.com/{}/': The requested URL returned error: 503"
CUT = "error: RPC failed; curl 56 GnuTLS recv error (-110): The TLS connection was non-properly terminated."
UNTRUSTED = "fatal: unable to access 'https://example.com/a.git/': server certificate verification failed. CAfile: none"
IN_THE_WAY = (
    "! 1:refs/heads/a [remote rejected] (failed to update ref)\n"
    "error: cannot lock ref 'refs/heads/a': 'refs/heads/a/b' exists; cannot create 'refs/heads/a'"
)
NOT_ATOMIC = "fatal: the receiving end does not support --atomic push\nsend-pack: unexpected disconnect"
LOCKED = (
    "error: cannot lock ref 'refs/heads/a': Unable to create '/srv/a.git/refs/heads/a.lock': File exists.\n\n"
    "Another git process seems to be running in this repository"
)
CLEAN_UPS = {
    "migration": (
        "!\t1:refs/heads/a\t[remote rejected] (unable to migrate objects to permanent storage)\n"
        "error: unable to write file ./objects/68/28: No such file or directory\n"
        "fatal: not a git repository: '.'\nerror: failed to push some refs to '/srv/a.git'"
    ),
    "connectivity": (
        "!\t1:refs/heads/a\t[remote rejected] (missing necessary objects)\n"
        "remote: fatal: bad object 2e1eda9a796e12b9344fbe53a805484ae5f0a883        \n"
        "remote: fatal: not a git repository: '.'        "
    ),
    "unpacking": (
        "!\t1:refs/heads/a\t[remote rejected] (unpacker error)\n"
        "remote: error: unable to create temporary file: No such file or directory        \n"
        "remote: fatal: failed to write object        \nerror: remote unpack failed: unpack-objects abnormal exit"
    ),
    "ref": (
        "!\t1:refs/heads/a\t[remote rejected] (bad pack)\n"
        "error: unpack should have generated 2e1eda9a796e12b9344fbe53a805484ae5f0a883, but I can't find it!"
    ),
    "reading": (
        "fatal: git upload-pack: not our ref 2e1eda9a796e12b9344fbe53a805484ae5f0a883\n"
        "fatal: remote error: upload-pack: not our ref 2e1eda9a796e12b9344fbe53a805484ae5f0a883"
    ),
}
"""What git 2.39 said while `git gc --prune=now` ran beside ten pushes."""
MOVED = "error: cannot lock ref 'refs/heads/a': is at {} but expected {}".format("1" * 40, "2" * 40)


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (UNAVAILABLE.format("redirector.git"), TransientRemoteError),
        (UNAVAILABLE.format("protected branch"), TransientRemoteError),
        (CUT, TransientRemoteError),
        (UNTRUSTED, RemoteError),
        (IN_THE_WAY, RemoteError),
        (MOVED, LeaseLostError),
        (LOCKED, LeaseLostError),
        (NOT_ATOMIC, RemoteError),
    ],
)
def test_explain__finds_the_cause_in_what_is_said_and_not_in_names(output: str, error: type[RemoteError]) -> None:
    assert type(explain("Publishing", output)) is error


def test_refusal__of_a_lock_that_is_held_says_so() -> None:
    error = explain("Publishing", LOCKED)
    assert str(error) == "Publishing failed: another process holds the lock of the branch on the server."
    assert "crashed" in error.hint


@pytest.mark.parametrize("words", CLEAN_UPS.values(), ids=CLEAN_UPS)
def test_refusal__by_a_server_that_cleans_up_is_passing__d10(words: str) -> None:
    error = explain("Publishing", words)
    assert type(error) is TransientRemoteError
    assert "removed objects" in str(error)
    assert "git gc" in error.hint


@pytest.mark.parametrize(
    "words",
    [
        "fatal: '/srv/a.git' does not appear to be a git repository",
        "fatal: repository 'https://example.com/a.git/' not found",
        "remote: fatal: Unable to create temporary file '/srv/a': Permission denied\nerror: remote unpack failed",
        "remote: error: file write error: No space left on device\n! [remote rejected] (unpacker error)",
    ],
)
def test_refusal__that_stays_is_not_called_passing__d10(words: str) -> None:
    assert not isinstance(explain("Publishing", words), TransientRemoteError)
