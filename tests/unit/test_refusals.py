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
