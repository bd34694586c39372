# B-ALL MRD from FCS files: everything between a sample sheet and a cohort report.
#
#   snakemake --directory RUNDIR --cores N        (or: flowmrd run RUNDIR --cores N)
#
# Rules call the command line; the science is in src/flowmrd. `rule all` is here because targets inside an
# included file are not seen as the default ones.
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")

try:
    import flowmrd
except ImportError:
    raise WorkflowError(
        "The package flowmrd is not in the environment that runs Snakemake. In a checkout of flowmrd give 'make env', "
        "then start .venv/bin/snakemake; or install it into this environment with 'make install PYTHON=python'."
    ) from None

from flowmrd.engine.future_file_times import set_back_future_times
from flowmrd.engine.code_digest import PLANNED
from flowmrd.engine.plan import plan_run
from flowmrd.engine.ready_interpreter import shell_function
from flowmrd.engine.stage_table import STAGES
from flowmrd.errors import InputError


report: "workflow/report/workflow.rst"


# results can be read as the user's umask allows, but never be written by everybody
os.umask(os.umask(0o077) | 0o002)
# for the provenance; jobs inherit both
os.environ.setdefault("FLOWMRD_COMMAND", shlex.join(sys.argv))
os.environ.setdefault(
    "FLOWMRD_STARTED", datetime.now(UTC).isoformat(timespec="seconds")
)
shell.executable("bash")
# the interpreter that runs this file also runs the stages, on whatever node they land
shell.prefix(
    f"set -euo pipefail; export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "
    + shell_function()
)

try:
    PLAN = plan_run(
        Path(),
        main_process=workflow.is_main_process,
        include_failed="FLOWMRD_SETTLED" not in os.environ,
        allow_empty="--lint" in sys.argv,
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

if workflow.deployment_settings.deployment_method:
    raise WorkflowError(
        "Stages run in the environment that runs Snakemake, made by 'make env' or from environment.yml: "
        "leave out --software-deployment-method (--sdm, --use-conda)."
    )
if config:
    raise WorkflowError(
        f"Keys given by --config, --configfile or a module's 'config:' ({', '.join(map(str, config))}) would not reach "
        "the stages, which read config/config.yaml of the run directory: put them there."
    )

if workflow.is_main_process:
    # jobs refuse to go on with another configuration or other code than the run was started with
    os.environ[PLANNED] = PLAN.planned
    set_back_future_times(Path("results"))
    for refusal in PLAN.refusals:
        logger.warning(f"NOT PROCESSED {refusal.sample}: {refusal.message}")


include: "workflow/rules/common.smk"


for stage in STAGES:

    include: f"workflow/rules/{stage}.smk"


wildcard_constraints:
    sample=one_of(PLAN.samples),
    patient=one_of(PLAN.patients_with_laip),
    panel=one_of(PLAN.panels),


localrules:
    all,


rule all:
    default_target: True
    input:
        all_results(),
