"""One command per stage of the workflow, made from the table of stages.

Each runs one stage of one tube (or of all controls) in a run directory, reading the files of the stage before and
writing its own where docs/architecture.md says. A failing step of a run can be copied out of the log and repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowmrd.engine.stage_table import FCS, STEPS, Stage, StageCommand, StageOption, Unit

if TYPE_CHECKING:
    from flowmrd.run_files import RunFiles

OPTIONS_OF_UNIT = {
    Unit.SAMPLE: (StageOption("sample", "Name of the tube in the sample sheet.", str, required=True),),
    Unit.PANEL: (
        StageOption("panel", "Name of the panel.", str, required=True),
        StageOption("tube", "Name of a tube; once for each.", str, required=True, many=True),
    ),
    Unit.PATIENT: (
        StageOption("patient", "Patient of the sample sheet.", str, required=True),
        StageOption("tube", "Name of a tube; once for each.", str, required=True, many=True),
    ),
    Unit.RUN: (),
}
"""Options that say which job of a stage is meant."""


def register(app: typer.Typer) -> None:
    """Add a command for every stage that has one of its own."""
    for name, stage in STEPS.items():
        if stage.command is not None:
            app.command(name.replace("_", "-"))(stage_command(name, stage, stage.command))


def stage_command(name: str, stage: Stage, command: StageCommand) -> Callable[..., None]:
    """A function with the options of a stage in its signature, where typer reads them."""

    def run_command(run: Path, **given: Any) -> None:
        run_step(name, run, **given)

    parameters = [_parameter(option) for option in (*OPTIONS_OF_UNIT[stage.unit], *command.options)]
    directory = Annotated[Path, typer.Option("--run", help="Run directory.")]
    parameters.append(Parameter("run", Parameter.KEYWORD_ONLY, default=Path(), annotation=directory))
    run_command.__doc__ = f"{command.help}\n\nExample: flowmrd {name.replace('_', '-')} {command.example}"
    run_command.__annotations__ = {one.name: one.annotation for one in parameters}
    run_command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run_command


def _parameter(option: StageOption) -> Parameter:
    """An option as typer reads it from a signature."""
    kind: Any = list[option.kind] if option.many else option.kind  # type: ignore[name-defined]
    default = Parameter.empty if option.required else False if option.kind is bool else None
    if default is None:
        kind = kind | None
    told = typer.Option(f"--{option.name}", help=option.help)
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, told])


def run_step(step: str, directory: Path, **given: Any) -> None:
    """Do one step in a run directory, if the memory suffices: ``in_run`` of the stage's module.

    Parameters
    ----------
    given
        Options of the step by name; those without a value are left out.
    """
    from flowmrd.run_files import RunFiles

    given = {name: value for name, value in given.items() if value is not None}
    tubes = given.get("tube") or ([given["sample"]] if "sample" in given else [])
    run = RunFiles(directory)
    require_memory(f"{step}_gated" if given.get("gated") else step, run, tubes)
    import_module(f"flowmrd.stages.{step}").in_run(run, **given)


def require_memory(step: str, run: RunFiles | None = None, tubes: Sequence[str] = ()) -> None:
    """Refuse to start with less memory than the step needs for the files of the largest tube."""
    from flowmrd.engine.memory import require_for_files

    stage = STEPS[step]
    if run is None or not (tubes and stage.opens):
        require_for_files((), factor=stage.need, where=step)
        return
    for tube in tubes:
        files = [run.sample(tube).fcs if name == FCS else run.work(tube, name) for name in stage.opens]
        require_for_files(files, factor=stage.need, where=f"{step} of {files[0]}")
