"""Between the shell and Hydra: quoting, sweeps, errors in one line, exit codes."""

from __future__ import annotations

import re
import shlex
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from benchbench.config import (
    Settings,
    conf_dir,
    hide_password,
    options,
    register,
    settings,
    unknown_option,
)
from benchbench.errors import NoEvidence, UserError, say, shortened
from benchbench.hydra_errors import explain_hydra_error
from benchbench.hydra_limits import check_flags, check_overrides, limits
from benchbench.jobs import DONE, ERROR, FAILED_CHECK, INTERRUPTED, NO_EVIDENCE, Job
from benchbench.run import check_choices, run

# Values that people type as they are: Hydra's grammar would misread a path, a git hash
# (1e5 is a number to it) or an apostrophe.
FREE_TEXT = (
    *("tag", "baseline", "candidate", "input", "labels", "weights", "records", "reason"),
    *("results", "store.url"),
)
LONGEST_ARGUMENT = 20_000  # characters; Hydra parses a thousand of them in milliseconds
NOTHING = "nothing had been measured, so nothing is kept"
WORST_FIRST = (ERROR, FAILED_CHECK, NO_EVIDENCE, DONE)


@dataclass
class Sweep:
    """What became of the jobs so far."""

    codes: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    typed: dict[str, str] = field(default_factory=dict)  # overrides as Hydra has them: as typed
    config_dir: str | None = None  # a folder of the user's, beside our own
    debug: bool = False  # show tracebacks
    printed: int = 0
    kept: bool = False  # something of the job that Ctrl-C ended
    is_sweep: bool = False

    @property
    def done(self) -> int:
        """How many jobs came to their end."""
        return len(self.codes) - len(self.failures)

    @property
    def exit_code(self) -> int:
        """The worst of the jobs': an error, then a failed check, then no evidence."""
        return next(code for code in WORST_FIRST if code in self.codes)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run Hydra on the arguments. Returns the exit code, whatever happens."""
    sweep = Sweep(
        typed={quote_free_text(argument): argument for argument in arguments},
        debug="debug=true" in [argument.lower() for argument in arguments],
    )
    try:
        _find_own_networks()
        quoted = list(map(quote_free_text, arguments))
        flags = _check_arguments(arguments, quoted)
        sweep.config_dir = flags.config_dir
        with limits(flags.config_dir):
            _run_hydra(overrides_first(quoted, flags.overrides), sweep)
    except KeyboardInterrupt:
        kept = sweep.kept or sweep.done
        say(f"interrupted; {'what was measured until then is kept' if kept else NOTHING}")
        return INTERRUPTED
    except SystemExit as stop:  # Hydra's --help and the like
        return ERROR if stop.code else DONE  # Hydra has said why
    except (_StdoutClosed, BrokenPipeError):
        sys.stdout = None  # keep the interpreter from complaining when it flushes
        return DONE
    except Exception as error:  # noqa: BLE001 - nobody above would make one line of it
        return _report(error, sweep.debug, [a for a in arguments if not a.startswith("-")])
    return _summary(sweep, arguments)


def quote_free_text(argument: str) -> str:
    """Quote the value of a free-text key for Hydra, unless it is null or quoted already.

    Globs of `models` too, which to Hydra would be choices of a sweep.
    """
    key, equals, value = argument.partition("=")
    if key == "models":
        return _quote_globs(argument)
    if not equals or key.lstrip("+~") not in FREE_TEXT or value in ("", "null"):
        return argument
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return argument
    # In Hydra's quoted strings a backslash counts only before a quote, and ${ is alive.
    value = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)
    return f"{key}='{value.replace('${', chr(92) + '${')}'"


def _quote_globs(argument: str) -> str:
    """`models=glob(*)` as a list of one; globs in a list quoted, unless they are already."""
    if re.fullmatch(r"models=glob\([^()]*\)", argument):
        argument = f"models=[{argument.removeprefix('models=')}]"
    return re.sub(r"(?<=[\[,\s])glob\([^()'\"]*\)(?=\s*[\],])", r"'\g<0>'", argument)


class _OneLineParser(ArgumentParser):
    """Hydra's flags; a wrong one raises instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows what there is")


def _check_arguments(arguments: Sequence[str], quoted: Sequence[str]) -> Namespace:
    """Refuse what Hydra would answer with its usage, or not at all. Returns the flags."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UserError(f"{argument!r} is not valid UTF-8") from None
        if len(argument) > LONGEST_ARGUMENT:
            raise UserError(f"{shortened(argument)}: is longer than {LONGEST_ARGUMENT} characters")
        key, _, value = argument.partition("=")
        if key.startswith("--") and key[2:] in asdict(Settings()):
            raise UserError(f"{shortened(argument)}: settings have no dashes; say {key[2:]}=VALUE")
        if value == "null" and options(key):
            raise unknown_option(key, value)
    parser = get_args_parser()
    parser.__class__ = _OneLineParser
    flags = parser.parse_intermixed_args(list(quoted))
    check_flags(flags)
    check_overrides(flags.overrides)
    return flags


def overrides_first(arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The same arguments with the flags last: Hydra takes no overrides on both sides of a flag."""
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return [*overrides, *flags]


def _find_own_networks() -> None:
    """Put the working folder on the path, also for the installed command."""
    try:
        folder = str(Path.cwd())
    except OSError:
        raise UserError("the working folder does not exist any more") from None
    if folder not in sys.path:
        sys.path.append(folder)


class _StdoutClosed(BaseException):
    """Nobody reads any more. Not an `Exception`, on which Hydra prints lines of its own."""


def _run_hydra(arguments: list[str], sweep: Sweep) -> None:
    register()

    def benchbench(config: DictConfig) -> None:
        _job(config, sweep)

    before = sys.argv
    sys.argv = ["benchbench", *arguments]  # completion is for the installed command
    try:
        with _no_empty_sweep_folder(sweep):
            hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(
                benchbench
            )()
    finally:
        sys.argv = before


def _job(config: DictConfig, sweep: Sweep) -> None:
    """One job. Never raises an error and never exits: either would end the sweep."""
    hydra_config = HydraConfig.get()
    sweep.is_sweep = hydra_config.mode == RunMode.MULTIRUN
    overrides = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    try:
        wanted = settings(config)
        check_choices(wanted)
        typed = [sweep.typed.get(item, item) for item in overrides]
        if sweep.is_sweep and wanted.plots is None:
            typed.append("plots=false")
        if sweep.config_dir:
            typed += ["--config-dir", sweep.config_dir]
        job = Job(
            model_name=model_name(overrides, hydra_config.runtime.choices.get("model")),
            command=repeat_command(typed),
            first_row=sweep.printed == 0,
            sweep=sweep.is_sweep,
        )
        code = run(wanted, job)
        sweep.printed += 1
    except BrokenPipeError:
        raise _StdoutClosed from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a network may do either; go on
        sweep.failures.append(" ".join(overrides))
        code = _report(error, sweep.debug, overrides)
    if code == INTERRUPTED:
        sweep.kept = True
        raise KeyboardInterrupt
    sweep.codes.append(code)


def model_name(overrides: Sequence[str], choice: str | None) -> str:
    """What reports call the network: the variant, and in brackets what was changed in it."""
    typed = [item.lstrip("+~") for item in overrides]
    changes = [item for item in typed if item.startswith(("model.", "scale."))]
    targets = [item.partition("=")[2] for item in changes if item.startswith("model._target_=")]
    name = targets[-1].rpartition(".")[2] if targets else (choice or "")
    kept = [item.removeprefix("model.") for item in changes if "_target_" not in item]
    kept = [item for item in kept if not item.startswith(("resolution=", "preprocessing="))]
    return f"{name}[{','.join(kept)}]" if kept else name


def repeat_command(overrides: Sequence[str]) -> str:
    """The command that does one job again."""
    return hide_password(shlex.join(["python", "-m", "benchbench", *overrides]))


def _summary(sweep: Sweep, arguments: Sequence[str]) -> int:
    if not sweep.codes:
        if sweep.is_sweep or {"-m", "--multirun"} & set(arguments):
            swept = [argument for argument in arguments if "glob(" in argument]
            say(f"{' '.join(swept) or 'the sweep'}: matches nothing; see task=list")
            return ERROR
        return DONE  # --cfg, --info or completion: there was no job to do
    if sweep.is_sweep and sweep.failures:
        total = len(sweep.codes)
        say(f"{sweep.done} of {total} jobs done; failed: {'; '.join(sweep.failures)}")
    return sweep.exit_code


def _report(error: BaseException, debug: bool, overrides: Sequence[str]) -> int:
    if debug:
        traceback.print_exception(error)
    say(explain_hydra_error(error, overrides))
    return NO_EVIDENCE if isinstance(error, NoEvidence) else ERROR


class SweepFolder(Callback):
    """Remembers the folder that Hydra makes for a sweep, before it knows that jobs compose."""

    made: ClassVar[list[Path]] = []  # innermost first; not those that were there before

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Called by Hydra, which finds this class in conf/config.yaml."""
        folder = Path(config.hydra.sweep.dir)
        self.made.extend(path for path in (folder, *folder.parents) if not path.exists())


@contextmanager
def _no_empty_sweep_folder(sweep: Sweep) -> Iterator[None]:
    """Take away the folder of a sweep, and the parents made for it, if no job was done."""
    SweepFolder.made.clear()
    try:
        yield
    finally:
        if not sweep.done:
            for folder in SweepFolder.made:
                with suppress(OSError):  # not made after all, or there is something in it
                    (folder / "multirun.yaml").unlink(missing_ok=True)
                    folder.rmdir()
