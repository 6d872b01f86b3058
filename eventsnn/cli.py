"""The command line. Commands import what they need when they run: `eventsnn --help` loads click and nothing else."""

import sys

import click

from eventsnn import __version__
from eventsnn.errors import EventsnnError, RunError

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="eventsnn")
def cli():
    """Simulate spiking neural networks event by event, one experiment from one file.

    \b
    eventsnn run scenarios/quickstart.yml
    """


def main(arguments=None, standalone_mode=True):
    """Entry point: run a command, turn errors into one message and an exit status.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process.
    standalone_mode : bool
        Leave the process with the status; False: return it.

    Returns
    -------
    int
        0: done; 1: a run failed, or two rasters differ; 2: bad input; 130: interrupted.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character shows its number
    try:
        status = cli.main(arguments, prog_name="eventsnn", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted; `--resume` goes on from here", err=True)
        status = INTERRUPTED
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except EventsnnError as error:
        several = "\n" in str(error)
        click.echo(f"error: {error}" if not several else f"error: several mistakes\n{error}", err=True)
        status = 1 if isinstance(error, RunError) else 2
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; Python would complain about it at exit
        status = 1
    except OSError as error:  # of a path that the system refuses before anybody can look: too long, a loop of links
        click.echo(f"error: {error.filename or 'file'}: {error.strerror or error}", err=True)
        status = 2
    except MemoryError:
        click.echo("error: not enough memory; look for a size in the scenario that is too large", err=True)
        status = 1
    status = status if isinstance(status, int) else 0
    if standalone_mode:
        sys.exit(status)
    return status


def _scenario_options(command):
    """Options of every command that takes a scenario."""
    for option in (
        click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change one value of the scenario."),
        click.option("--smoke", is_flag=True, help="The scenario's own small form, which runs in seconds."),
        click.option("--engine", type=click.Choice(["event", "stepped", "analytic", "auto"]), help="Same as --set run.engine=."),
        click.option("--threads", type=click.IntRange(1), help="Same as --set run.threads=."),
    ):
        command = option(command)
    return click.argument("scenario", type=click.Path())(command)


def _load(scenario, overrides, smoke, engine, threads):
    from eventsnn.scenario.load import load

    return load(scenario, _overrides(overrides, engine, threads), smoke)


def _overrides(overrides, engine, threads):
    given = list(overrides)
    given += [f"run.engine={engine}"] if engine else []
    return given + ([f"run.threads={threads}"] if threads else [])


@cli.command()
@_scenario_options
@click.option("--out", type=click.Path(file_okay=False), help="Run folder.  [default: runs/<name>-<hash>]")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run; the result is the same, bit for bit.")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def run(scenario, overrides, smoke, engine, threads, out, resume, quiet):
    """Run SCENARIO: a .yml file, or a raster.h5 that stores its scenario."""
    from eventsnn.scenario.progress import Progress, summary
    from eventsnn.scenario.run import run_scenario

    loaded = _load(scenario, overrides, smoke, engine, threads)
    with Progress(quiet) as progress:
        result = run_scenario(loaded, out, resume=resume, progress=progress)
    if not quiet:
        click.echo(summary(result))


@cli.command()
@_scenario_options
@click.option("--estimate", is_flag=True, help="Estimate time and memory as well.")
def check(scenario, overrides, smoke, engine, threads, estimate):
    """Check SCENARIO and everything it names, without running it."""
    from eventsnn.scenario.dry_run import dry_run

    loaded = _load(scenario, overrides, smoke, engine, threads)
    job = dry_run(loaded)
    click.echo(f"{scenario}: good, scenario sha256 {loaded.sha256}")
    if estimate:
        from eventsnn.scenario.estimate import estimate_text

        click.echo(estimate_text(job))


@cli.command()
def schema():
    """Print the JSON schema of scenario files; editors complete from it."""
    import json

    from eventsnn.scenario.schema.scenario import Scenario

    click.echo(json.dumps(Scenario.model_json_schema(), indent=1))


@cli.command()
@_scenario_options
@click.option("--over", multiple=True, required=True, metavar="A.B=1,2,3", help="Values to try: a list, or 0..9.")
@click.option("--index", type=click.IntRange(0), help="Run only number N of the sweep (for job arrays).")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes at a time.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder of the sweep.  [default: runs/sweep-<name>]")
@click.option("--quiet", is_flag=True, help="No progress.")
def sweep(scenario, overrides, smoke, engine, threads, over, index, workers, out, quiet):
    """Run SCENARIO with all combinations of values; finished runs are skipped, failed ones kept with their error."""
    from eventsnn.scenario import sweep as sweeps

    plan = sweeps.plan(scenario, over, _overrides(overrides, engine, threads), smoke)
    say = None if quiet else lambda row: click.echo(f"{row['run']}  {row['status']}  {row['error']}".rstrip(), err=True)
    rows = sweeps.sweep(plan, out, index=index, workers=workers, progress=say)
    failed = [row for row in rows if row["status"] == "failed"]
    click.echo(f"{len(rows) - len(failed)} of {len(rows)} runs finished: {sweeps.folder_of(plan, out) / sweeps.INDEX}")
    return 1 if failed else 0


@cli.command()
@click.argument("raster", type=click.Path())
@click.option("--out", type=click.Path(dir_okay=False), help="Picture to write.  [default: raster.png beside it]")
@click.option("--samples", type=click.IntRange(1, 20), default=3, show_default=True, help="Most samples to show.")
def plot(raster, out, samples):
    """Draw RASTER: a raster.h5, its .part, or a run folder."""
    from pathlib import Path

    from eventsnn.plot.runs import draw_rasters

    folder = Path(raster) if Path(raster).is_dir() else Path(raster).parent
    target = Path(out) if out else folder / "raster.png"
    draw_rasters(raster, target, samples)
    click.echo(str(target))


@cli.command()
@click.argument("file", type=click.Path())
def info(file):
    """Say what FILE holds: raster, weights, run folder, .part; `models` lists the neuron models."""
    from eventsnn.scenario.describe import describe

    click.echo(describe(file))


@cli.command()
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
def compare(first, second):
    """Compare the spikes of two rasters or run folders; exit status 0 if they are equal, 1 if not."""
    from eventsnn.scenario.describe import compare_rasters

    equal, text = compare_rasters(first, second)
    click.echo(text)
    return 0 if equal else 1


@cli.group()
def data():
    """Data sets: what there is, fetch it, check it."""


@data.command("list")
def data_list():
    """Show the known data sets and where they are."""
    from eventsnn.files.datasets import available, data_root
    from eventsnn.files.datasets_registry import REGISTRY

    click.echo(f"folder: {data_root()} (EVENTSNN_DATA)")
    for name, splits in available().items():
        there = ", ".join(f"{split}: {where}" for split, where in splits.items() if where) or "not here"
        click.echo(f"{name:14} {there}\n{'':14} {REGISTRY[name].title}; licence {REGISTRY[name].licence}")


@data.command("get")
@click.argument("name")
@click.option("--quiet", is_flag=True, help="No progress.")
def data_get(name, quiet):
    """Download data set NAME, resumed where it was left, and check it."""
    from eventsnn.files.datasets import get
    from eventsnn.scenario.progress import Progress

    with Progress(quiet) as progress:
        click.echo(str(get(name, progress=progress)))


@data.command("verify")
@click.argument("name")
def data_verify(name):
    """Read all of data set NAME and check its content."""
    from eventsnn.files.datasets import verify

    for split, digest in verify(name).items():
        click.echo(f"{name} {split}: good, sha256 {digest}")


@cli.group()
def scenario():
    """Scenario files: what there is, copy one to start from."""


@scenario.command("list")
def scenario_list():
    """List the scenarios of the package and of the folder ./scenarios."""
    from eventsnn.scenario.describe import list_scenarios

    click.echo(list_scenarios())


@scenario.command("copy")
@click.argument("name")
@click.argument("target", type=click.Path(dir_okay=False), required=False)
def scenario_copy(name, target):
    """Copy scenario NAME (a file, or one inside the package) to TARGET."""
    from eventsnn.scenario.describe import copy_scenario

    click.echo(str(copy_scenario(name, target)))
