"""A case's network, built: freshly, from a checkpoint, or without memory on `meta`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from benchbench.cases import Case, import_network, is_ours
from benchbench.errors import UserError, described, is_out_of_memory, unknown
from benchbench.processes import apart
from benchbench.weights import read, recognise

if TYPE_CHECKING:
    from torch import nn

Found = TypeVar("Found")


def look(case: Case, function: Callable[[Case], Found]) -> Found:
    """What a function finds that builds a case's network, in a process of its own if need be.

    A network of the user's may do anything to the process that it is built in.
    """
    return function(case) if is_ours(case.target) else apart(case.name, function, case)


def build(case: Case, device: str, *, calibrated: bool = True) -> nn.Module:
    """The network of a case on `device`, in eval mode, with its weights.

    These are a checkpoint's, else freshly and reproducibly initialised; `calibrated` so that its
    activations stay alive, which takes a forward on the CPU and the memory for it. On `meta`
    nothing is initialised or read: B7 is built in 60 ms.

    Raises:
        UserError: the target is no nn.Module class, or refuses its arguments, or the
            checkpoint does not fit.
    """
    import torch

    network_class = import_network(case.target)
    _check_arguments(network_class, case)
    torch.manual_seed(case.seed)
    try:
        if case.weights is not None:
            network = _build_with_weights(network_class, case, device)
        elif device == "meta":
            network = _build_on_meta(network_class, case.arguments)
        elif calibrated:
            network = _build_calibrated(network_class, case).to(torch.device(device))
        else:
            network = network_class(**case.arguments).to(torch.device(device))
    except Exception as error:
        if isinstance(error, UserError) or is_out_of_memory(error):
            raise
        raise UserError(f"model={case.name} cannot be built: {described(error)}") from error
    return network.eval()


def total_stride(network: nn.Module) -> int:
    """Input pixels per pixel of the last map; 1 where the network does not say."""
    stride = getattr(network, "total_stride", 1)
    return stride if isinstance(stride, int) else 1


def _check_arguments(network_class: type[nn.Module], case: Case) -> None:
    parameters = inspect.signature(network_class).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in case.arguments:
        if key not in parameters:
            raise unknown(f"argument of {case.target}", key, parameters)


def _build_on_meta(network_class: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    import torch

    try:
        with torch.device("meta"), _no_initialisation():
            return network_class(**arguments)
    except (NotImplementedError, RuntimeError):
        # The constructor reads values (a schedule by `linspace(...).item()`, say), which
        # `meta` does not have.
        return network_class(**arguments).to("meta")


def _build_calibrated(network_class: type[nn.Module], case: Case) -> nn.Module:
    """The fresh network with the statistics of a twin that was run and is gone.

    A network that was called before it is measured lies elsewhere in memory than one that was not,
    which is up to 1 % of its time: of two that are compared, neither was ever called.
    """
    import torch

    from architectures.initialise import calibrate, norm_state

    network = network_class(**case.arguments)
    if not calibrate(network, resolution=case.resolution, seed=case.seed):
        return network
    state = norm_state(network)
    del network  # before the other is made: none of the weights are held twice
    torch.manual_seed(case.seed)
    twin = network_class(**case.arguments)
    twin.load_state_dict(state, strict=False)
    return twin


def _build_with_weights(network_class: type[nn.Module], case: Case, device: str) -> nn.Module:
    """The network that a checkpoint's library would build, with its tensors."""
    from architectures.checkpoints import convert, set_norm_eps

    checkpoint = read(case, shapes_only=device == "meta")
    source = recognise(_build_on_meta(network_class, case.arguments), case, checkpoint)
    # A network of ours takes the tensors in place of its own, and none is made or held twice.
    # Of others nobody knows what else they hold.
    ours = network_class.__module__.startswith("architectures.")
    if ours or device == "meta":
        network = _build_on_meta(network_class, source.arguments)
    else:
        network = network_class(**source.arguments)
    if device != "meta":
        state = convert(network, checkpoint.tensors, source.agreement.format)
        network.load_state_dict(state, assign=ours)
    if source.norm_eps is not None:
        set_norm_eps(network, source.norm_eps)
    return network.to(device)


@contextmanager
def _no_initialisation() -> Iterator[None]:
    """Make `torch.nn.init`'s functions return their tensor as it is: half of the time to build."""
    from torch.nn import init

    names = [name for name in vars(init) if name.endswith("_") and not name.startswith("_")]
    originals = {name: getattr(init, name) for name in names}
    try:
        for name in names:
            setattr(init, name, lambda tensor, *_, **__: tensor)
        yield
    finally:
        for name, original in originals.items():
            setattr(init, name, original)
