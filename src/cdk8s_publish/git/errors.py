"""What git, GitHub and GitLab say when they refuse, as errors that name cause, evidence and next step.

The texts are those of git 2.39, of GitHub's and of GitLab's receive hooks; they are matched in the order of the table,
so a more telling cause stands before a vaguer one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cdk8s_publish.errors import (
    CredentialError,
    LeaseLostError,
    RateLimitError,
    RemoteError,
    TransientRemoteError,
)

EVIDENCE_LINES = 12


class _Refusal(NamedTuple):
    pattern: str
    error: type[RemoteError]
    sentence: str
    hint: str = ""


_REFUSALS = (
    _Refusal(
        r"does not support --atomic",
        RemoteError,
        "the server can't move a branch and its notes together (atomic push)",
        "Publish to a server that can: every current version of GitHub, GitLab, Gitea and git itself does.",
    ),
    _Refusal(
        r"mismatched algorithms|the receiving end does not support this repository's hash algorithm",
        RemoteError,
        "the repository has SHA-256 object ids, which can't be published to yet",
        "Set `repository` to one with SHA-1 ids.",
    ),
    _Refusal(
        r"exists; cannot create",  # what stands in the way are whole names: `a` can't be a branch beside `a/b`
        RemoteError,
        "another branch or tag of the repository is in the way of this name",
        "Choose another `branch`: git keeps `a` and `a/b` in one place, so there can be only one of them.",
    ),
    _Refusal(
        r"unable to create .*file exists",
        LeaseLostError,
        "another process holds the lock of the branch on the server",
        "If no other push is under way, one that crashed has left the lock file that the lines above name: its "
        "administrator may remove it.",
    ),
    _Refusal(
        r"stale info|\bfetch first\b|cannot lock ref|is at [0-9a-f]+ but expected|incorrect old value provided"
        r"|reference already exists|remote ref updated since checkout|failed to update ref",
        LeaseLostError,
        "the branch moved while this run was publishing",
    ),
    _Refusal(
        r"denying non-fast-forward|\(non-fast-forward\)|not allowed to force push|cannot force-push|force pushes? "
        r"(is|are) not allowed",
        RemoteError,
        "the server refuses to replace a branch's history",
        "Set `history: keep`, or allow force pushes for this branch.",
    ),
    _Refusal(
        r"GH006|GH013|protected branch|push declined due to repository rule|you are not allowed to push code to "
        r"protected",
        RemoteError,
        "the branch is protected by a rule of the server",
        "Let this token's identity bypass the protection of the target branch, or choose another `branch`.",
    ),
    _Refusal(
        r"not allowed to push code to this project",  # GitLab says so before its hook declines
        CredentialError,
        "the credential may not push to this project",
    ),
    _Refusal(
        r"pre-receive hook declined|update hook declined|\bhook declined\b",
        RemoteError,
        "a hook of the server declined the push",
        "The server's own words are above; its administrator set that rule.",
    ),
    _Refusal(
        r"no space left on device|disk quota exceeded",
        RemoteError,
        "there is no space left on the disk",
    ),
    _Refusal(
        # What its programs say in the repository that they stand in, of which the clean-up takes the objects away.
        r"missing necessary objects|unable to migrate objects|missing (blob|tree|commit) object|\bbad (tree )?object "
        r"[0-9a-f]|unpack should have generated|not a git repository: ''|unable to (write|create temporary) file.*: No "
        r"such file|\bnot our ref\b|\(bad pack\)|could not read [0-9a-f]{40}",
        TransientRemoteError,
        "the server removed objects while it was asked",
        "A clean-up of the server (`git gc --prune=now`) does that; run the job again when it has ended.",
    ),
    _Refusal(
        r"file too large|file size limit exceeded",
        RemoteError,
        "the server sends more than is fetched to compare commits",
        "It can't leave folders and files out: its administrator may set `uploadpack.allowFilter`.",
    ),
    _Refusal(
        r"SSL certificate problem|server certificate verification failed|unable to get local issuer"
        r"|certificate verify failed",
        RemoteError,
        "the server's certificate is not trusted",
        "Give git your CA: `git config --global http.sslCAInfo <file>` or the variable GIT_SSL_CAINFO.",
    ),
    _Refusal(
        r"host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|no .* host key is known",
        RemoteError,
        "the SSH server's host key is not the one that is trusted",
        "Compare the key with the one the server's operator publishes, then set `ssh-known-hosts`.",
    ),
    _Refusal(
        r"could not resolve host",
        TransientRemoteError,
        "the remote's host name can't be resolved",
        "Check the `repository` input and the runner's DNS.",
    ),
    _Refusal(
        r"returned error: 30\d|unable to update url base from redirection|redirect",
        RemoteError,
        "the remote answered with a redirect, which is not followed with a credential",
        "Use the repository's current URL; a redirect to a login page means the URL or the token is wrong.",
    ),
    _Refusal(
        r"returned error: 429",
        RateLimitError,
        "the server asks us to slow down (429)",
    ),
    _Refusal(
        r"authentication failed|could not read (username|password)|returned error: 40[13]|permission denied"
        r"|permission to .* denied|write access to repository not granted|not allowed to (push|upload)|access denied"
        r"|read[- ]only|terminal prompts disabled|HTTP Basic: Access denied|You are not allowed",
        CredentialError,
        "the remote refused the credential",
    ),
    _Refusal(
        r"repository .*not found|returned error: 404|does not appear to be a git repository"
        r"|project you were looking for|no such file or directory|not a git repository",
        CredentialError,
        "the remote repository was not found, or the credential may not see it",
    ),
    _Refusal(
        r"returned error: 5\d\d|connection (reset|refused|timed out|closed)|failed to connect|couldn't connect"
        r"|empty reply|unexpected disconnect|early EOF|RPC failed|hung up|timed out|operation too slow"
        r"|transfer closed|unpack failed|unpacker error|unexpected EOF|gnutls|TLS connect|send failure|recv failure"
        r"|internal server error|expected flush|protocol error|bad line length|invalid server response",
        TransientRemoteError,
        "the connection to the remote failed",
        "This is often passing; run the job again when the server answers.",
    ),
)


def explain(doing: str, output: str) -> RemoteError:
    """Turn what git printed into the error that fits it.

    Args:
        doing: What was attempted, as the beginning of a sentence: "Reading branch x of <url>".
        output: Everything git printed, standard output and standard error.

    """
    evidence = "\n".join(output.strip().splitlines()[-EVIDENCE_LINES:])
    # The name of a repository or a branch may contain any of the words that are looked for.
    words = re.sub(r"'[^'\n]*'|\S+://\S+", "''", output)
    for refusal in _REFUSALS:
        if re.search(refusal.pattern, words, re.IGNORECASE):
            message = f"{doing} failed: {refusal.sentence}."
            return refusal.error(message, evidence=evidence, hint=refusal.hint)
    return RemoteError(f"{doing} failed.", evidence=evidence, hint="The lines above are git's own words.")
