"""Nodes to the text that an extension gets: as written, or JSON for lists and mappings."""

import json
import re

from containerdeploy.document.nodes import ListNode, MappingNode, Node, Scalar

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def as_text(node: Node) -> str:
    """Return a parameter's value as text.

    Booleans are `True` and `False`, null is `None`, any other scalar is verbatim; a list or a
    mapping is JSON, in which numbers keep the digits that the author wrote.
    """
    if not isinstance(node, Scalar):
        return _json(node)
    if node.is_null:
        return "None"
    boolean = node.boolean
    return node.text if boolean is None else str(boolean)


def _json(node: Node) -> str:
    match node:
        case Scalar():
            return _json_scalar(node)
        case ListNode():
            return f"[{', '.join(map(_json, node.items))}]"
        case MappingNode():
            pairs = (
                f"{_quoted(name)}: {_json(entry.value)}" for name, entry in node.entries.items()
            )
            return f"{{{', '.join(pairs)}}}"


def _json_scalar(node: Scalar) -> str:
    if node.is_null:
        return "null"
    if node.boolean is not None:
        return "true" if node.boolean else "false"
    if node.is_plain and _JSON_NUMBER.fullmatch(node.text):
        return node.text
    return _quoted(node.text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
