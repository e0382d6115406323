"""Memory: what outlives a call, private to this agent of this tenant. The contract stands in `memory.wit`."""

import json

from .host import Error, interface

PAGE = 1_000
"""How many items a listing reads at once."""

TRIES = 8
"""How often `update_json` tries again when somebody else was faster."""


def get(key):
    """The item at `key` (`value` in bytes, `version`, times), or None when it is absent or expired."""
    return _memory().get(key)


def put(key, value, ttl_ms=None):
    """Stores bytes, whatever stood there, and returns the new version."""
    return _memory().put(key, value, ttl_ms)


def compare_and_set(key, expected, value, ttl_ms=None):
    """Stores bytes only when the version is `expected` (None: the key is absent); raises `conflict` otherwise."""
    return _memory().compare_and_set(key, expected, value, ttl_ms)


def delete(key):
    """Removes the item and says whether there was one."""
    return _memory().delete(key)


def get_json(key, default=None):
    """The JSON value at `key`."""
    item = get(key)
    return default if item is None else json.loads(item.value)


def put_json(key, value, ttl_ms=None):
    """Stores a JSON value and returns the new version."""
    return put(key, json.dumps(value, ensure_ascii=False).encode(), ttl_ms)


def update_json(key, change, ttl_ms=None):
    """Stores what `change` makes of the JSON value at `key` (None when there is none), and returns it.

    `change` is asked again when another call changed the value meanwhile.
    """
    for left in reversed(range(TRIES)):
        item = get(key)
        value = change(None if item is None else json.loads(item.value))
        try:
            version = None if item is None else item.version
            compare_and_set(key, version, json.dumps(value, ensure_ascii=False).encode(), ttl_ms)
            return value
        except Error as error:
            if error.kind != "conflict" or left == 0:
                raise


def items(prefix=""):
    """All items whose key begins with `prefix`, page by page, in the order of their keys."""
    cursor = None
    while True:
        page = _memory().list(prefix, cursor, PAGE)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _memory():
    return interface("memory")
