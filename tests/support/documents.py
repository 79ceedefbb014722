"""YAML files with what kustomize makes of each: the table that our parser and the real kustomize are both held to."""

from __future__ import annotations

CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
OTHER = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n"
LIST = b"apiVersion: v1\nkind: List\nitems:\n"
ITEM = b"- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n"
NOT_TYPED = b"data:\n  yes: x\n  y: x\n  1:30: x\n  '1': x\n  =: x\n"

READ: dict[str, tuple[bytes, list[str]]] = {
    "one": (CONFIG, ["ConfigMap a"]),
    "two": (CONFIG + b"---\n" + OTHER, ["ConfigMap a", "ConfigMap b"]),
    "namespace and group": (
        b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: n}\n",
        ["Deployment.apps n/a"],
    ),
    "json": (b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}', ["ConfigMap a"]),
    "separator first": (b"---\n" + CONFIG, ["ConfigMap a"]),
    "two separators first": (b"---\n---\n" + CONFIG, ["ConfigMap a"]),
    "separator last": (CONFIG + b"---\n", ["ConfigMap a"]),
    "separator last without newline": (CONFIG + b"---", ["ConfigMap a"]),
    "separators in a row": (CONFIG + b"---\n---\n---\n" + OTHER, ["ConfigMap a", "ConfigMap b"]),
    "separator with spaces": (CONFIG + b"---  \t\n" + OTHER, ["ConfigMap a", "ConfigMap b"]),
    "separator with a comment": (b"--- # x\n" + CONFIG + b"--- # y\n" + OTHER, ["ConfigMap a", "ConfigMap b"]),
    "separator in a block": (CONFIG + b"data:\n  a: |\n    x\n    ---\n    y\n", ["ConfigMap a"]),
    "windows line ends": ((CONFIG + b"---\n" + OTHER).replace(b"\n", b"\r\n"), ["ConfigMap a", "ConfigMap b"]),
    "carriage returns only": (CONFIG.replace(b"\n", b"\r"), ["ConfigMap a"]),
    "byte order mark": (b"\xef\xbb\xbf" + CONFIG, ["ConfigMap a"]),
    "end marker": (CONFIG + b"...\n---\n" + OTHER + b"...\n", ["ConfigMap a", "ConfigMap b"]),
    "comments around": (b"# a\n" + CONFIG + b"# b\n---\n# c\n---\n" + OTHER, ["ConfigMap a", "ConfigMap b"]),
    "nothing": (b"", []),
    "only comments": (b"# a\n---\n# b\n", []),
    "empty values": (b"null\n---\n~\n---\n{}\n---\n[]\n", []),
    "anchors": (b"apiVersion: v1\nkind: &k ConfigMap\nmetadata: {name: *k}\n", ["ConfigMap ConfigMap"]),
    "merge key": (CONFIG.replace(b"  name: a", b"  <<: {name: a}"), ["ConfigMap a"]),
    "words that YAML 1.1 calls booleans": (b"apiVersion: v1\nkind: yes\nmetadata: {name: no}\n", ["yes no"]),
    "quoted number": (CONFIG.replace(b"name: a", b"name: '1'"), ["ConfigMap 1"]),
    "escaped name": (CONFIG.replace(b"name: a", rb'name: "\x61"'), ["ConfigMap a"]),
    "keys that look typed but are not": (
        CONFIG + NOT_TYPED,
        ["ConfigMap a"],
    ),
    "unknown tags": (CONFIG + b"data: {a: !!binary aGk=, b: !foo x}\n", ["ConfigMap a"]),
    "tab after a colon": (CONFIG + b"data:\n  a:\tb\n", ["ConfigMap a"]),
    "next line character": (CONFIG + b'data: {a: "x\xc2\x85y"}\n', ["ConfigMap a"]),
    "emoji": (CONFIG + b'data: {a: "\xf0\x9f\x98\x80"}\n', ["ConfigMap a"]),
    "100 levels": (CONFIG + b"data: " + b"[" * 100 + b"]" * 100 + b"\n", ["ConfigMap a"]),
    "text that looks infinite": (CONFIG + b"data: {a: '.inf', b: !!str .nan, c: x.inf, d: .info}\n", ["ConfigMap a"]),
    "list": (
        LIST + ITEM + ITEM.replace(b"name: a", b"name: b"),
        ["ConfigMap a", "ConfigMap b"],
    ),
    "list of one kind": (
        b"apiVersion: v1\nkind: ConfigMapList\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n",
        ["ConfigMap a"],
    ),
    "list with shared parts": (
        LIST + b"- &x {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {<<: *x, metadata: {name: b}}\n",
        ["ConfigMap a", "ConfigMap b"],
    ),
    "empty list": (b"apiVersion: v1\nkind: List\nitems: []\n", []),
    "kind that ends in List": (b"apiVersion: v1\nkind: AllowList\nmetadata: {name: a}\n", ["AllowList a"]),
}
"""Files that kustomize reads, and the resources in them."""

REFUSED: dict[str, tuple[bytes, str]] = {
    "unclosed flow": (CONFIG + b"data: {\n", "file.yaml, line 6: while parsing a flow node"),
    "colon in a plain value": (CONFIG + b"data:\n  a: b: c\n", "line 6: mapping values are not allowed"),
    "tab as indentation": (CONFIG + b"data:\n\ta: b\n", "line 6: while scanning for the next token"),
    "not UTF-8": (CONFIG + b'data: {a: "\xe9"}\n', "line 5: byte 0xe9 is not UTF-8"),
    "surrogate": (CONFIG + b'data: {a: "\xed\xa0\x80"}\n', "line 5: byte 0xed is not UTF-8"),
    "control character": (CONFIG + b'data: {a: "\x01"}\n', "line 5: character 0x0001: control characters"),
    "delete character": (CONFIG + b'data: {a: "\x7f"}\n', "line 5: character 0x007f: control characters"),
    "flaw in a later document": (CONFIG + b"---\n" + OTHER + b"data: [\n", "line 11: while parsing a flow node"),
    "content behind a separator": (CONFIG + b"--- {a: b}\n", "line 5: text after the dashes"),
    "four dashes": (CONFIG + b"----\n" + OTHER, "line 5: text after the dashes"),
    "directive": (b"%YAML 1.1\n---\n" + CONFIG, "did not find expected <document start>"),
    "key twice": (CONFIG + b"data:\n  a: b\n  a: c\n", "line 7: the key 'a' is already defined"),
    "key twice, quoted": (CONFIG + b"data:\n  a: b\n  'a': c\n", "line 7: the key 'a' is already defined"),
    "top-level key twice": (CONFIG + b"kind: Secret\n", "line 5: the key 'kind' is already defined"),
    "number as key": (CONFIG + b"data: {1: x}\n", "line 5: a key that is not a string"),
    "octal number as key": (CONFIG + b"data: {0o10: x}\n", "line 5: a key that is not a string"),
    "float as key": (CONFIG + b"data: {1.5: x}\n", "line 5: a key that is not a string"),
    "boolean as key": (CONFIG + b"data: {true: x}\n", "line 5: a key that is not a string"),
    "null as key": (CONFIG + b"data: {~: x}\n", "line 5: a key that is not a string"),
    "date as key": (CONFIG + b"data: {2001-01-01: x}\n", "line 5: a key that is not a string"),
    "list as key": (CONFIG + b"data:\n  ? [a]\n  : x\n", "line 6: a key that is not a string"),
    "infinity": (CONFIG + b"data: {a: .inf}\n", "line 5: `.inf` is a number that JSON does not have"),
    "negative infinity": (CONFIG + b"data:\n  a: [b, -.INF]\n", "line 6: `-.INF` is a number"),
    "not a number": (CONFIG + b"data:\n  a:\n    b: .NaN\n", "line 7: `.NaN` is a number"),
    "annotations that are a list": (
        CONFIG + b"  annotations: [a]\n",
        "line 5: not a Kubernetes object: its annotations",
    ),
    "20,000 levels": (CONFIG + b"data: " + b"[" * 20_000 + b"]" * 20_000, "nested deeper than 1,000 levels"),
    "a word": (b"hello\n", "line 1: not a Kubernetes object: it needs a string for apiVersion, kind, metadata.name"),
    "a list of numbers": (b"[1, 2]\n", "not a Kubernetes object"),
    "no kind": (b"apiVersion: v1\nmetadata: {name: a}\n", "it needs a string for kind"),
    "no name": (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "it needs a string for metadata.name"),
    "empty name": (CONFIG.replace(b" a\n", b" ''\n"), "it needs a string for metadata.name"),
    "generated name": (CONFIG.replace(b"name", b"generateName"), "it needs a string for metadata.name"),
    "list item without kind": (
        b"apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n",
        "it needs a string for apiVersion, kind",
    ),
}
"""Files that kustomize refuses, and what we say about them."""

STRICTER: dict[str, tuple[bytes, str]] = {
    "no apiVersion": (b"kind: ConfigMap\nmetadata: {name: a}\n", "it needs a string for apiVersion"),
    "two slashes in the version": (CONFIG.replace(b"v1", b"a/b/c"), "apiVersion 'a/b/c' has more than one slash"),
    "number as name": (CONFIG.replace(b"name: a", b"name: 1"), "it needs a string for metadata.name"),
    "second document behind an end marker": (CONFIG + b"...\n" + OTHER, "line 6: did not find expected"),
    "JSON documents without separator": (
        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}\n{}\n',
        "line 2: did not find expected <document start>",
    ),
    "UTF-16": (CONFIG.decode().encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    "anchor defined twice": (CONFIG + b"a: &x [1]\nb: &x [2]\n", "line 6: found duplicate anchor"),
}
"""Files that kustomize reads, at least in part, and that we refuse: the API server would, or some would be lost."""


def laughs(levels: int) -> bytes:
    """Return a small document whose aliases stand for `9 ** levels` values."""
    lines = [CONFIG.decode(), "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, levels)]
    return "".join(lines).encode()
