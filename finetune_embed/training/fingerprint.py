"""Fingerprints: what an object is, whatever it is called.

A run is resumed only with the objects it was started with. The fingerprint of a function is made of
its code, its defaults, and the values that it closes over or reads from its module: of the latter,
functions, classes, numbers, texts and arrays only, also as attributes (`args.rate`), since any
other object may differ in parts that the function does not read. That of an object is made of its
class and attributes; that of a torch module also of its parameters and buffers. It is the same in
every process and for every seed of Python's hashes. Of a library, only the name counts, and the
bytes of its file unless it comes with Python, torch, numpy or this package.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import inspect
import logging
import sys
import sysconfig
import types
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["Fingerprint"]

MOST = 100_000  # objects looked at
_BY_NAME = frozenset({"finetune_embed", "torch", "numpy", *sys.stdlib_module_names})
_INSTALLED = tuple(
    f"{Path(sysconfig.get_path(name)).resolve()}/" for name in ("purelib", "platlib")
)
#: Attributes that don't change what a class, a function or an object is.
_IGNORED = frozenset(
    [
        "__dict__",
        "__weakref__",
        "__doc__",
        "__module__",
        "__qualname__",
        "__annotations__",
        "__firstlineno__",
        "__static_attributes__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__parameters__",
        "__orig_bases__",
        "__abstractmethods__",
        "_abc_impl",
        "__dataclass_fields__",
        "__wrapped__",
    ]
)
_DESCRIPTORS = (types.GetSetDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType)
#: What a function may read from its module and is compared; a tuple of such as well.
_CONSTANTS = (
    *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type),
    *(type(None), type(...), bool, int, float, complex, str, bytes),
    *(torch.Tensor, np.ndarray, np.generic, torch.dtype, torch.device, np.dtype, Path),
    logging.Logger,
)
_OF_MODULES = frozenset(vars(nn.Module()))  # what torch keeps in every module


class Fingerprint:
    """Makes fingerprints of objects.

    Args:
        skipped: objects that count only by their place.

    Attributes:
        unknown: the kinds of what could not be looked at, and is not in the fingerprint.
    """

    def __init__(self, skipped: Iterable[object] = ()) -> None:
        self.unknown: list[str] = []
        #: The object and its digest by its id; the object is kept, so that no other gets its id.
        self._known = {id(one): (one, _digest("skipped")) for one in skipped}
        self._path: list[int] = []
        #: How an object is looked at; the first type that fits decides.
        self._rules: tuple[tuple[Any, Callable[[Any], bytes]], ...] = (
            ((type(None), type(...), bool, int, float, complex, str, bytes), _plain),
            (torch.Tensor, _tensor),
            ((np.ndarray, np.generic), self._array),
            (nn.Module, self._module),
            (types.FunctionType, self._function),
            (types.CodeType, self._code),
            (types.MethodType, lambda one: self._all("method", one.__self__, one.__func__)),
            (types.BuiltinFunctionType, self._builtin),
            (functools.partial, lambda one: self._all("partial", one.func, one.args, one.keywords)),
            (types.CellType, self._cell),
            (types.ModuleType, lambda one: _digest("module", one.__name__)),
            (type, self._class),
            ((staticmethod, classmethod), lambda one: self._all("method of a class", one.__func__)),
            (property, lambda one: self._all("property", one.fget, one.fset, one.fdel)),
            ((tuple, list), lambda one: self._all("list", *one)),
            (Mapping, self._mapping),
            (Set, lambda one: _digest("set", *sorted(map(self.of, one)))),
            (weakref.ref, lambda one: self._all("reference", one())),
            (_DESCRIPTORS, lambda one: _digest("descriptor", one.__qualname__)),
            ((torch.dtype, torch.device, np.dtype, Path), lambda one: _digest("name", str(one))),
            (logging.Logger, lambda one: _digest("logger", one.name)),
            (object, self._object),
        )

    def of(self, value: Any) -> bytes:
        """Return the digest of an object."""
        key = id(value)
        if key in self._known:
            return self._known[key][1]
        if key in self._path:  # it contains itself
            return _digest("itself", str(len(self._path) - self._path.index(key)))
        if len(self._known) > MOST:
            return self._not_seen(f"more than {MOST:,} objects")
        self._path.append(key)
        try:
            look = next(look for kinds, look in self._rules if isinstance(value, kinds))
            digest = look(value)
        except Exception:  # an object may raise anything when it is looked at
            digest = self._not_seen(_kind_of(value))
        self._path.pop()
        self._known[key] = (value, digest)
        return digest

    def _not_seen(self, what: str) -> bytes:
        if what not in self.unknown:
            self.unknown.append(what)
        return _digest("not seen", what)

    def _all(self, kind: str, *values: Any) -> bytes:
        return _digest(kind, *map(self.of, values))

    def _array(self, array: Any) -> bytes:
        if array.dtype.hasobject:
            return self._all("objects", array.tolist())
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        return _digest("array", f"{array.dtype} {array.shape}", data)

    def _mapping(self, mapping: Mapping[Any, Any]) -> bytes:
        pairs = sorted(
            ((self.of(key), value) for key, value in mapping.items()), key=lambda p: p[0]
        )
        return _digest("mapping", *(part for key, value in pairs for part in (key, self.of(value))))

    def _cell(self, cell: types.CellType) -> bytes:
        try:
            return self.of(cell.cell_contents)
        except ValueError:
            return _digest("an empty cell")

    def _function(self, function: types.FunctionType) -> bytes:
        library = _library(function)
        if library is not None:
            return library
        code, named = function.__code__, function.__globals__
        constants = code.co_consts
        if function.__doc__ is not None and constants[:1] == (function.__doc__,):
            code = code.replace(co_consts=(None, *constants[1:]))
        return self._all(
            "function",
            code,
            function.__defaults__,
            function.__kwdefaults__,
            function.__closure__,
            {
                ".".join(names): self._global(names, named[names[0]])
                for names in _globals_of(code)
                if names[0] in named
            },
            {name: one for name, one in vars(function).items() if name not in _IGNORED},
        )

    def _global(self, names: Sequence[str], value: Any) -> bytes:
        """Return the digest of what a function reads from its module, or from one it imports."""
        for name in names[1:]:
            if _is_library(value) or name not in getattr(value, "__dict__", {}):
                break
            value = getattr(value, name)
        parts = value if type(value) is tuple else (value,)
        if all(isinstance(part, _CONSTANTS) for part in parts):
            return self.of(value)
        return self._not_seen(f"{'.'.join(names)} ({_kind_of(value)})")

    def _code(self, code: types.CodeType) -> bytes:
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        table = getattr(code, "co_exceptiontable", b"")
        return self._all("code", code.co_code, list(code.co_consts), counts, names, table)

    def _builtin(self, function: Any) -> bytes:
        return self._all("builtin", function.__qualname__, function.__self__)

    def _class(self, cls: type) -> bytes:
        library = _library(cls)
        if library is not None:
            return library
        own = {
            name: one
            for name, one in vars(cls).items()
            if name not in _IGNORED and not inspect.ismemberdescriptor(one)
        }
        return self._all("class", cls.__name__, cls.__bases__, own)

    def _module(self, module: nn.Module) -> bytes:
        own = {name: one for name, one in vars(module).items() if name not in _OF_MODULES}
        hooks = {n: list(one.values()) for n, one in vars(module).items() if n.endswith("_hooks")}
        parts = (module._parameters, module._buffers, module._modules)
        return self._all("torch module", type(module), own, hooks, *(dict(part) for part in parts))

    def _object(self, value: Any) -> bytes:
        """Return the digest of an object of any other class, by its attributes."""
        cls = type(value)
        slots = [name for one in cls.__mro__ for name in _slots(one)]
        attributes = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        attributes |= getattr(value, "__dict__", {})
        attributes = {name: one for name, one in attributes.items() if name not in _IGNORED}
        if attributes or _library(cls) is None:
            return self._all("object", cls, attributes)
        reduce = copyreg.dispatch_table.get(cls)  # what an object of a compiled class is made from
        made: Any = value.__reduce_ex__(2) if reduce is None else reduce(value)
        return self._all("made", cls, made if isinstance(made, str) else list(made[:3]))


def _kind_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _digest(*parts: str | bytes | memoryview) -> bytes:
    """Return a hash of parts, each of which counts by itself."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def _plain(value: Any) -> bytes:
    return _digest(type(value).__name__, repr(value))


def _tensor(tensor: torch.Tensor) -> bytes:
    plain = tensor.detach().cpu()
    plain = plain if plain.layout is torch.strided else plain.to_dense()
    data = plain.contiguous().reshape(-1).view(torch.uint8).numpy().data
    return _digest("tensor", f"{tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad}", data)


def _globals_of(code: types.CodeType) -> list[tuple[str, ...]]:
    """Return what code, and the code inside it, reads from its module: names, and their parts.

    `a.b.c` gives `("a", "b", "c")`.
    """
    found: set[tuple[str, ...]] = set()
    names: tuple[str, ...] = ()
    for one in dis.get_instructions(code):
        if names and one.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            names = (*names, one.argval)
            continue
        if names:
            found.add(names)
        names = (one.argval,) if one.opname == "LOAD_GLOBAL" else ()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(_globals_of(constant))
    return sorted(found)


def _library(thing: Any) -> bytes | None:
    """Return the digest of a function or class of a library; None for any other."""
    name, qualified = str(thing.__module__), thing.__qualname__
    if name == "__main__" or "<" in qualified:  # a lambda, or local to a function
        return None
    if name.partition(".")[0] in _BY_NAME:
        return _digest("library", name, qualified)
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or not str(Path(file).resolve()).startswith(_INSTALLED):
        return None
    return _digest("library", name, qualified, Path(file).read_bytes())


def _is_library(value: Any) -> bool:
    """Return whether a value is a module of a library, of which only the name counts."""
    if not isinstance(value, types.ModuleType):
        return False
    file = getattr(value, "__file__", None)
    installed = file is not None and str(Path(file).resolve()).startswith(_INSTALLED)
    return installed or value.__name__.partition(".")[0] in _BY_NAME


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
