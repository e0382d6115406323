"""Runs an agent's skills in plain Python, for quick tests. Import it before the agent.

The host's interfaces are a small stand-in with the memory of one agent and a clock that stands still. It does not know
the host's bounds, quotas, grants and expiry, nor schemas: `stuga test` does, on the real component.
"""

import dataclasses
import json
import sys
import types

NOW = 1_767_225_600_000
"""The time of all tests: 2026-01-01."""
KINDS = "NotFound Invalid Denied Conflict QuotaExceeded RateLimited Timeout Unavailable Internal".split()

memory, lines, parts, config = {}, [], [], {}
"""What the stand-in holds: items by key, lines of the log, parts that were emitted, configured values by name."""


def call(agent, skill, input, session=None):
    """Calls a skill with a JSON value and returns its answer, or raises the `stuga.Error` that a client would get."""
    import stuga

    context = stuga.Context("test", session, 30_000)
    return json.loads(json.dumps(agent.call(skill, json.loads(json.dumps(input)), context)))


def _record(name, *fields):
    return dataclasses.make_dataclass(name, fields)


class _Err(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


_Item = _record("Item", "key", "value", "version", "created_at", "updated_at", "expires_at")
_Page = _record("Page", "items", "next_cursor")
_Detail = _record("ErrorDetail", "message", "retry_after_ms", "context")
_errors = {f"Error_{kind}": _record(f"Error_{kind}", "value") for kind in KINDS}
_versions = iter(range(1, sys.maxsize))


def _put(key, value, ttl_ms):
    created = memory[key].created_at if key in memory else NOW
    expires = None if ttl_ms is None else NOW + ttl_ms
    memory[key] = _Item(key, value, next(_versions), created, NOW, expires)
    return memory[key].version


def _compare_and_set(key, expected, value, ttl_ms):
    found = memory[key].version if key in memory else None
    if found != expected:
        context = [("version", "absent" if found is None else str(found))]
        raise _Err(_errors["Error_Conflict"](_Detail("the item has another version", None, context)))
    return _put(key, value, ttl_ms)


def _list(prefix, cursor, limit):
    keys = sorted(key for key in memory if key.startswith(prefix) and (cursor is None or key > cursor))
    return _Page([memory[key] for key in keys[:limit]], keys[limit - 1] if len(keys) > limit else None)


def _module(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


_interfaces = {
    "memory": {
        "get": memory.get,
        "put": _put,
        "compare_and_set": _compare_and_set,
        "delete": lambda key: memory.pop(key, None) is not None,
        "list": _list,
    },
    "log": {"write": lambda level, message, fields: lines.append((level, message, dict(fields)))},
    "clock": {"now": lambda: NOW, "elapsed": lambda: 0},
    "random": {"bytes": bytes, "next_u64": lambda: 0},
    "output": {"emit": lambda part: parts.append(json.loads(part))},
    "config": {"get": lambda name: json.dumps(config[name]) if name in config else None},
}

_module("componentize_py_types", Err=_Err)
_module("wit_world", __path__=[])
_module("wit_world.imports", __path__=[], types=_module("wit_world.imports.types", ErrorDetail=_Detail, **_errors))
_module("wit_world.exports", __path__=[], agent=_module("wit_world.exports.agent"))
sys.modules["wit_world"].imports = sys.modules["wit_world.imports"]

from stuga import host as _host  # noqa: E402  (after its modules are there)

for _name, _functions in _interfaces.items():
    _host._interfaces[_name] = _host._Interface(_module(f"wit_world.imports.{_name}", **_functions))
