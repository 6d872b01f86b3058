"""What a PyTorch module computes, as a chain of steps: forward() followed by torch.fx; needs PyTorch."""

import operator
from dataclasses import dataclass, replace

from eventsnn.ann.torch_quantised import functional, fx, nn, torch
from eventsnn.errors import ModelError

ALLOWED = "Conv2d, Linear, BatchNorm1d, BatchNorm2d, ReLU, MaxPool2d, AvgPool2d, Flatten, Dropout, Identity and their functions"
OPTIONS = {  # of functions, in PyTorch's order, with its defaults
    "relu": {"inplace": False},
    "max_pool2d": {"kernel_size": None, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False,
                   "return_indices": False},
    "avg_pool2d": {"kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
                   "divisor_override": None},
    "flatten": {"start_dim": 0, "end_dim": -1},
    "dropout": {"p": 0.5, "training": True, "inplace": False},
}  # fmt: skip
FUNCTIONS = {
    functional.relu: "relu", functional.relu_: "relu", torch.relu: "relu", torch.relu_: "relu",
    functional.max_pool2d: "max_pool2d", functional.avg_pool2d: "avg_pool2d", functional.dropout: "dropout",
    torch.flatten: "flatten", torch.reshape: "reshape",
}  # fmt: skip
METHODS = {"relu": "relu", "relu_": "relu", "flatten": "flatten", "view": "reshape", "reshape": "reshape"}
MODULES = {nn.ReLU: "relu", nn.MaxPool2d: "max_pool2d", nn.AvgPool2d: "avg_pool2d", nn.Flatten: "flatten", nn.Dropout: "dropout",
           nn.Conv2d: "conv", nn.Linear: "linear", nn.BatchNorm1d: "norm", nn.BatchNorm2d: "norm", nn.Identity: "nothing",
           nn.Dropout1d: "nothing", nn.Dropout2d: "nothing"}  # fmt: skip
TRAIN_WITH_RELU = "a spiking neuron stands for a ReLU unit: train the network with ReLU"
HINTS = {  # by how a name begins, in lower case and without underscores
    "softmax": "return the logits: the answer is the same without it",
    "logsoftmax": "return the logits: the answer is the same without it",
    "add": "two chains that meet are the layer eventsnn.ann.residual.Residual: build that network with LayerGraph",
    **dict.fromkeys(("elu", "gelu", "hardtanh", "leakyrelu", "prelu", "relu6", "sigmoid", "silu", "tanh"), TRAIN_WITH_RELU),
    "adaptiveavgpool": "write it as AvgPool2d of the size that it has here",
    "mean": "write a mean over the image as AvgPool2d of its size, and Flatten",
    "sub": "a scaling of the input is a BatchNorm in front (docs/your_own_network.md)",
    "truediv": "a scaling of the input is a BatchNorm in front (docs/your_own_network.md)",
    "conv2d": "use the module nn.Conv2d", "linear": "use the module nn.Linear", "batchnorm": "use the module nn.BatchNorm2d",
    "pad": "Conv2d has a padding of its own, the same on both sides", "zeropad": "Conv2d has a padding of its own",
    "parametriz": "make the weights plain: torch.nn.utils.parametrize.remove_parametrizations",
}  # fmt: skip


def chain_of(module):
    """Return the torch.fx nodes from the input of a module to its output, in order.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    list of torch.fx.Node

    Raises
    ------
    ModelError
        If forward() cannot be followed, is not one chain, or computes something beside it; or if a module has hooks.
    """
    for path, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks:
            raise ModelError(f"PyTorch network: module '{path}' ({type(part).__name__}) has a forward hook (weight_norm, "
                             "spectral_norm or your own), which may change what it computes; remove it")  # fmt: skip
    nodes = list(_trace(module).nodes)
    chain, node = [], nodes[-1].args[0]
    while isinstance(node, fx.Node) and node.op.startswith("call"):
        chain.append(node)
        node = node.args[0] if node.args else node.kwargs.get("input")
    if not (isinstance(node, fx.Node) and node.op == "placeholder"):
        raise ModelError("PyTorch network: forward() must return one tensor, made of its input by one chain of layers; allowed "
                         f"are {ALLOWED}")  # fmt: skip
    for other in nodes:
        if other not in chain and other.op.startswith("call") and not is_size(other):
            raise ModelError(f"PyTorch network: '{other.name}' ({_what(module, other)}) stands beside the chain of layers from "
                             f"input to output; {_hint(module, [other, *chain])}remove it from forward()")  # fmt: skip
    return chain[::-1]


def _trace(module):
    """Return the torch.fx graph of a module in evaluation mode; the module is left in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    try:
        return fx.Tracer().trace(module.eval())
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        raise ModelError(f"PyTorch network: torch.fx cannot follow forward() of {type(module).__name__} ({type(error).__name__}: "
                         f"{first}); write it as one chain of layers, without conditions on values, or as nn.Sequential; of a "
                         "compiled or wrapped module give the one inside") from error  # fmt: skip
    finally:
        for part, mode in modes.items():
            part.training = mode


def is_size(node):
    """Return whether a node is about the sizes of a tensor, not its values."""
    if node.op == "call_method":
        return node.target == "size"
    if node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and is_size(node.args[0])
    return node.target is getattr and node.args[1] == "shape"


def is_batch_size(value):
    """Return whether a value is the number of samples: ``x.size(0)``, ``x.shape[0]`` or ``x.size()[0]`` of a layer's output."""
    if not isinstance(value, fx.Node) or value.args[1:] != (0,):
        return False
    sizes = value.args[0] if value.target is operator.getitem else value
    of = sizes.args[0]
    return sizes.target in ("size", getattr) and is_size(sizes) and (of.op.startswith("call") or of.op == "placeholder")


def _what(module, node):
    """Return what a node is, in words."""
    if node.op == "call_module":
        return type(module.get_submodule(node.target)).__name__
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _hint(module, nodes):
    """Return a remedy for the first node that has one, or nothing."""
    plain = [_what(module, node).lower().replace("_", "") for node in nodes]
    return next((f"{hint}; " for what in plain for key, hint in HINTS.items() if what.startswith(key)), "")


@dataclass
class Step:
    """One layer in PyTorch's words: name here, path and type there, kind, options, and the module that has the weights."""

    name: str
    path: str
    what: str
    kind: str
    options: dict
    module: object = None

    def refuse(self, problem):
        """Raise ModelError that names this layer."""
        raise ModelError(f"PyTorch network: layer '{self.path}' ({self.what}): {problem}")


def step_of(root, node):
    """Return a node of the chain as a step.

    Parameters
    ----------
    root : torch.nn.Module
        Whose forward() it is from.
    node : torch.fx.Node

    Returns
    -------
    Step

    Raises
    ------
    ModelError
        If there is no such layer here, or an option is computed; the message names it.
    """
    module = root.get_submodule(node.target) if node.op == "call_module" else None
    table, key = {"call_module": (MODULES, type(module)), "call_method": (METHODS, node.target)}.get(
        node.op, (FUNCTIONS, node.target))  # fmt: skip
    path = node.target if module is not None else node.name
    step = Step(node.name if node.name[0].isalpha() else "", path, _what(root, node), table.get(key), {}, module)
    if step.kind is None:
        step.refuse(f"has no counterpart here; {_hint(root, [node])}allowed are {ALLOWED}")
    if module is not None and any(value.is_meta for value in module.parameters()):
        step.refuse("has no weights (device 'meta'); load them first")
    if step.kind == "reshape":
        return replace(step, options={"shape": node.args[1:] or tuple(node.kwargs.values())[-1:]})
    known = OPTIONS.get(step.kind, {})
    if module is not None:
        return replace(step, options={key: getattr(module, key) for key in known if hasattr(module, key)})
    options = known | dict(zip(known, node.args[1:])) | {key: v for key, v in node.kwargs.items() if key != "input"}
    strange = [key for key in options if key not in known or isinstance(options[key], fx.Node)]
    if strange:
        step.refuse(f"option {strange[0]} must be a plain value of {', '.join(known)}, got {options[strange[0]]}")
    return replace(step, options=options)
