"""One run of a scenario: its file, its run folder, and what its stages have made so far."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from eventsnn import disk
from eventsnn.ann.quantised import ternarised
from eventsnn.scenario.provenance import file_sha256
from eventsnn.scenario.rules.sections import data_specs
from eventsnn.scenario.samples import load_samples


@dataclass
class Job:
    """One run of a scenario: what its stages have made so far.

    Attributes
    ----------
    loaded : LoadedScenario
    folder : Path or None
        The run folder; None for a dry run, which leaves nothing.
    progress : callable
        Called with (stage, done, total).
    sweep : Path or None
        Folder of the runs beside this one, whose trained weights it may take over.
    results, digests, seconds, inputs : dict
        By stage (inputs: by file or data set): value, hash, wall time, SHA-256 of content.
    """

    loaded: object
    folder: Path
    progress: object = lambda stage, done, total: None
    sweep: Path = None
    results: dict = field(default_factory=dict)
    digests: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    samples: dict = field(default_factory=dict)

    @property
    def spec(self):
        """The validated scenario."""
        return self.loaded.spec

    def own_folder(self, stage):
        """Where a stage keeps what it made; None where nothing is kept."""
        return None if self.folder is None else self.folder / "stages" / f"{stage}-{self.digests[stage][:12]}"

    def adopt(self, stage, name):
        """Take over a file that this stage, fed with the very same inputs, has made in another run of the sweep."""
        own = self.own_folder(stage)
        if self.sweep is None or (own / name).exists():
            return
        for made in sorted(self.sweep.glob(f"*/stages/{own.name}/{name}")):
            own.mkdir(parents=True, exist_ok=True)
            with disk.finished(own / name) as part:
                shutil.copyfile(made, part)
            return

    def load(self, spec):
        """Read samples once, however many stages use them."""
        name = spec.model_dump_json()
        if name not in self.samples:
            path = next((path for path, data in data_specs(self.spec) if data == spec), ("data",))
            with self.loaded.at(*path):
                self.samples[name] = load_samples(self.loaded, spec)
            self.inputs[self.samples[name].name] = self.samples[name].sha256
        return self.samples[name]

    def hash_file(self, text):
        """Hash a file that the scenario names, and remember it for the provenance."""
        self.inputs[text] = file_sha256(self.loaded.file(text))
        return self.inputs[text]

    @property
    def relu_graph(self):
        """The ReLU network: learned, trained or read, or None."""
        if "learn" in self.results and self.results["learn"].graph is not None:
            return self.results["learn"].graph
        graph = self.results["train"]["graph"] if "train" in self.results else self.results.get("source")
        return ternarised(graph) if getattr(self.spec.convert, "ternarise", False) and graph is not None else graph

    @property
    def learned_inputs(self):
        """What a learned network was taught with, by input; {} where samples are encoded."""
        return self.results["learn"].inputs if "learn" in self.results else {}

    @property
    def input_code(self):
        """What the conversion says about the code of its input: arguments of the encoder; {} where it says nothing."""
        return self.results["convert"]["report"].get("input", {}) if "convert" in self.results else {}

    def ticker(self, stage):
        """A callable (done, total) that reports the progress of one stage."""
        return lambda done, total: self.progress(stage, done, total)
