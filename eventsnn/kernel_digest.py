"""What a compiled kernel depends on: one digest of all code and constants that it reaches, so that an edit is noticed."""

import builtins
import hashlib
import importlib.metadata
import sys
import types
from pathlib import Path

from eventsnn.errors import ModelError

_NUMBERS = (bool, int, float, complex, str, bytes, type(None))


def digest(loop, names):
    """Return the digest of a loop and of all that it reaches.

    Parameters
    ----------
    loop : function
    names : dict
        Hooks and constants in place of its globals.

    Returns
    -------
    str
        Hexadecimal; versions of Python, NumPy and Numba enter too.

    Raises
    ------
    ModelError
        If the code reaches a global that could change without being noticed, or draws random numbers of its own.
    """
    walk = _Walk(names)
    walk.function(loop)
    for name in sorted(names):
        walk.add(name)
        walk.value(name, names[name], loop)
    walk.add(sys.version, importlib.metadata.version("numba"), importlib.metadata.version("numpy"))
    return walk.hash.hexdigest()[:24]


class _Walk:
    def __init__(self, names):
        self.names, self.seen, self.hash = names, {}, hashlib.sha256()

    def add(self, *texts):
        for text in texts:
            self.hash.update(f"{text}\0".encode())

    def function(self, function):
        if function in self.seen:
            return self.add("again", self.seen[function])
        self.seen[function] = len(self.seen)
        if hasattr(function, "build_lowered"):
            self.add(hashlib.sha256(Path(function.__code__.co_filename).read_bytes()).hexdigest())
        if hasattr(function, "apart"):
            self.add("apart")
        self.value("defaults", function.__defaults__, function)
        self.value("closure", tuple(c.cell_contents for c in function.__closure__ or ()), function)
        self.code(function.__code__, function)

    def code(self, code, function):
        self.add(code.co_code.hex(), code.co_names, code.co_varnames)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self.code(constant, function)
            else:
                self.value("const", constant, function)
        for name in code.co_names:
            if name in self.names:
                self.add("hook", name)
            elif name == "random":  # also as an attribute, np.random
                raise ModelError(
                    f"{_where(function)}: 'random' cannot be used here: its draws would differ from run to run and from engine "
                    "to engine. Noise belongs to the input (code poisson) or to a relay (Deletion, Jitter)")
            elif name in function.__globals__:
                self.value(name, function.__globals__[name], function)

    def value(self, name, value, function):
        if isinstance(value, types.FunctionType):
            self.function(value)
        elif isinstance(value, _NUMBERS) or (type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()):
            self.add(type(value).__name__, repr(value))
        elif isinstance(value, tuple):
            for item in value:
                self.value(name, item, function)
        elif isinstance(value, frozenset):
            self.add(*sorted(map(repr, value)))
        elif isinstance(value, types.ModuleType) and value.__name__ in ("numpy", "math"):
            self.add(value.__name__)
        elif getattr(builtins, name, None) is value or getattr(value, "__module__", "") in ("math", "numpy"):
            self.add("builtin", name)
        elif isinstance(value, type) and value.__module__ in ("builtins", "numpy"):
            self.add("type", value.__name__)
        else:
            raise ModelError(
                f"{_where(function)}: the name '{name}' is a {type(value).__name__}; compiled code may use functions, numbers, "
                "strings, tuples of these, numpy and math. Pass it as a parameter of the model instead")


def _where(function):
    return f"{function.__qualname__} ({function.__code__.co_filename})"
