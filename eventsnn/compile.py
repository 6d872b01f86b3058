"""The one place that says how kernels are compiled, cached and kept fresh.

A kernel is a plain Python function: a loop that names hooks (`step`, `wake`, ...) as globals. `specialise` clones the
loop's code with a model's hooks as globals, compiles the clone, and caches the machine code in a folder named by a
digest of *all* code and constants it reaches. So hooks are inlined, the next process reuses the code, an edited model
is never served from an old cache, and a model in a user's file or notebook is treated like one of the package.

Nothing compiles at import. Under ``NUMBA_DISABLE_JIT=1`` the very same functions run as plain Python.
"""

import dis
import functools
import os
import re
import threading
import time
import types
import warnings
from pathlib import Path

from eventsnn.errors import ModelError
from eventsnn.kernel_digest import digest

seconds_compiling = 0.0  # wall time that specialised kernels spent compiling or loading in this process
_lock = threading.RLock()


def jit_enabled():
    """Tell whether kernels are compiled (False under ``NUMBA_DISABLE_JIT=1``)."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def cache_folder():
    """Return the folder of compiled kernels: ``EVENTSNN_CACHE`` or ``~/.cache/eventsnn/kernels``."""
    named = os.environ.get("EVENTSNN_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "eventsnn" / "kernels"


def lowered(build):
    """Mark a plain function whose compiled form is an intrinsic.

    Parameters
    ----------
    build : callable
        Without arguments; imports numba and returns the intrinsic. The plain function is its readable twin and runs
        when the JIT is off. The code that emits the intrinsic must stand in the plain function's file: an edit of that
        file makes the cached kernels stale.
    """

    def mark(function):
        function.build_lowered = functools.cache(build)
        return function

    return mark


def apart(function):
    """Mark a helper of kernels whose array arguments never share memory: its loops need not look whether they do.

    Where such a loop runs over few neurons at a time, looking costs as much as its work.
    """
    function.apart = True
    return function


def specialise(loop, **names):
    """Compile `loop` with `names` in place of its globals.

    Parameters
    ----------
    loop : function
        A plain Python function over arrays and scalars.
    **names : function or number
        Hooks and constants the loop refers to as globals.

    Returns
    -------
    callable
        Compiles at its first call for each set of argument types (or loads from the cache), then runs at full speed
        and releases the GIL.

    Raises
    ------
    ModelError
        When the code reaches a global that is neither a function, a number, a string nor a module: such a value
        could change without the cache noticing. Also when it draws from numpy.random.
    """
    asked = (loop, tuple(sorted(names.items(), key=lambda item: item[0])))  # the very same objects: no need to look again
    kernel = _asked.get(asked)
    if kernel is None:
        key = digest(loop, names)
        with _lock:
            if key not in _specialised:
                _specialised[key] = _build(loop, names, key)
            kernel = _asked[asked] = _specialised[key]
    return kernel


_asked, _specialised = {}, {}


def _build(loop, names, key):
    done = {}
    if not jit_enabled():
        plain = {n: _plain(f, names, done) if isinstance(f, types.FunctionType) else f for n, f in names.items()}
        return _Quiet(_clone(loop, {**_plain_helpers(loop, names, done), **plain}))
    functions = {n: f for n, f in names.items() if isinstance(f, types.FunctionType)}
    hooks = names | {n: _compiled(f, names, done) for n, f in functions.items()}
    helpers = {n: _compiled(h, names, done) for n, h in _functions_named(loop) if n not in names}
    return _Timed(_jit(_clone(loop, {**helpers, **hooks}), key), functions)


def _jit(function, key):
    import numba

    options = {"error_model": "numpy", "nogil": True}
    folder = cache_folder() / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        warnings.warn(f"compiled kernels cannot be kept in {cache_folder()}: set EVENTSNN_CACHE to a folder that can "
                      "be written", RuntimeWarning, stacklevel=2)
        return numba.njit(**options)(function)
    previous = numba.config.CACHE_DIR  # read by numba while njit() runs; global, hence the lock around us
    numba.config.CACHE_DIR = str(folder)
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = previous


class _Timed:
    """A compiled kernel that adds the time of every call that compiles (or loads) to `seconds_compiling`."""

    def __init__(self, dispatcher, hooks):
        self.dispatcher, self.hooks, self.known = dispatcher, hooks, 0

    def __call__(self, *arguments):
        global seconds_compiling
        start = time.perf_counter()
        try:
            result = self.dispatcher(*arguments)
        except Exception as error:
            raise _explained(error, self.hooks) from error
        known = len(self.dispatcher.overloads)
        if known != self.known:
            self.known = known
            seconds_compiling += time.perf_counter() - start
        return result


def _explained(error, hooks):
    """Return a ModelError for what the compiler says of a model's function, any other error as it is."""
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    if f"{os.sep}numba{os.sep}" not in place.tb_frame.f_code.co_filename:
        return error
    known = [*((f.__name__, f) for f in _reached(hooks.values())), *hooks.items()]
    at = {f: found.start() for name, f in known if (found := re.search(rf"\b{name}\(", str(error)))}
    at |= {f: 0 for _, f in known if isinstance(error, KeyError) and error.args[0] in f.__code__.co_names}
    code = min(at, key=at.get).__code__ if at else None  # what is named first is innermost
    where = "a function of a neuron model" if code is None else f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})"
    return ModelError(f"{where}: cannot be compiled: {_told(error)}; it must take the arguments of its model's kind and return "
                      "a number; with NUMBA_DISABLE_JIT=1 it runs as plain Python")


def _told(error):
    if isinstance(error, KeyError):
        return f"p.{error.args[0]} is no parameter that the model declares"
    if "Casting none" in str(error):
        return "it returns nothing, at least in some case"
    said = re.sub(r"(?m)^\s*(Failed in|During:|-|<source|File |def ).*$", "", str(error)).split("\n")
    return f"{type(error).__name__}: {' '.join([line.strip() for line in said if line.strip()][:2])}"


def _reached(functions):
    found = list(functions)
    for function in found:  # which grows meanwhile
        found += [helper for _, helper in _functions_named(function) if helper not in found]
    return found


class _Quiet:
    """A plain kernel (JIT off): integer wrap-around and 1/0 behave as in compiled code, without warnings."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        import numpy as np

        with np.errstate(all="ignore"):
            return self.function(*arguments)


def _clone(function, names):
    clone = types.FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__,
                               function.__defaults__, function.__closure__)
    # a function of a notebook or a user's file would write a cache that cannot be loaded again: ours can be imported
    clone.__module__, clone.__qualname__ = __name__, function.__name__
    return clone


def _functions_named(function):
    asked = (i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL")  # co_names has attributes too
    for name in dict.fromkeys(asked):
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and value is not function:
            yield name, value


def _compiled(function, names, done):
    if function not in done:
        if hasattr(function, "build_lowered"):
            done[function] = function.build_lowered()
            return done[function]
        import numba

        helpers = {n: _compiled(h, names, done) for n, h in _functions_named(function) if n not in names}
        hooks = {n: _compiled(v, names, done) if isinstance(v, types.FunctionType) else v
                 for n, v in names.items() if n in function.__code__.co_names and v is not function}
        options = {"pipeline_class": _apart_compiler()} if hasattr(function, "apart") else {}
        done[function] = numba.njit(error_model="numpy", forceinline=True, **options)(_clone(function, {**helpers, **hooks}))
    return done[function]


@functools.cache
def _apart_compiler():
    """Return Numba's compiler, told that array arguments do not overlap: `njit` has no option for it."""
    from numba.core.compiler import Compiler

    class Apart(Compiler):
        def define_pipelines(self):
            self.state.flags.noalias = True
            return super().define_pipelines()

    return Apart


def _plain_helpers(function, names, done):
    return {n: _plain(h, names, done) for n, h in _functions_named(function) if n not in names}


def _plain(function, names, done):
    if function not in done:
        hooks = {n: _plain(v, names, done) if isinstance(v, types.FunctionType) else v
                 for n, v in names.items() if n in function.__code__.co_names and v is not function}
        done[function] = _clone(function, {**_plain_helpers(function, names, done), **hooks})
    return done[function]
