"""The host's interfaces, with the nine kinds of errors as one exception."""

import importlib
import pkgutil

import wit_world.imports
from componentize_py_types import Err
from wit_world.imports import types

KINDS = (
    "not-found",
    "invalid",
    "denied",
    "conflict",
    "quota-exceeded",
    "rate-limited",
    "timeout",
    "unavailable",
    "internal",
)


class Error(Exception):
    """Why something did not succeed: the host's answer, or an agent's own."""

    def __init__(self, kind, message, retry_after_ms=None, context=None):
        if kind not in KINDS:
            raise ValueError(f"there is no kind of error {kind!r}; there are: {', '.join(KINDS)}")
        super().__init__(message)
        self.kind, self.message = kind, message
        self.retry_after_ms, self.context = retry_after_ms, dict(context or {})


def interface(name):
    """The interface `name` of `stuga:agent`, such as `"files"`: its functions raise `Error`.

    The world in `wit/world.wit` must import it, and the tenant must grant it.
    """
    if name not in _interfaces:
        line = f"import stuga:agent/{name}@0.1.0;"
        raise ImportError(f"the world does not import {name!r}; add `{line}` to wit/world.wit")
    return _interfaces[name]


class _Interface:
    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if isinstance(value, type) or not callable(value):
            return value

        def call(*arguments):
            try:
                return value(*arguments)
            except Err as error:
                raise from_wit(error) from None

        setattr(self, name, call)
        return call


def _load():
    """Every interface of the world. A component has no files, so what is not loaded when it is built never is."""
    for module in pkgutil.iter_modules(wit_world.imports.__path__):
        loaded = importlib.import_module(f"wit_world.imports.{module.name}")
        _interfaces[module.name.replace("_", "-")] = _Interface(loaded)


_interfaces = {}
_load()


def from_wit(error):
    """The exception for an error that the host answered."""
    detail = error.value.value
    kind = next(kind for kind, case in _cases.items() if isinstance(error.value, case))
    return Error(kind, detail.message, detail.retry_after_ms, detail.context)


def to_wit(error):
    """The error as the host takes it."""
    context = [(str(name), str(value)) for name, value in error.context.items()]
    detail = types.ErrorDetail(message=error.message, retry_after_ms=error.retry_after_ms, context=context)
    return Err(_cases[error.kind](detail))


# `not-found` is the generated class `Error_NotFound`.
_cases = {kind: getattr(types, "Error_" + kind.title().replace("-", "")) for kind in KINDS}
