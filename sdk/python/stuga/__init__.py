"""Write a Stuga agent in Python: skills, jobs and errors.

What the host offers is reached through `stuga.memory` and, for every other interface, `stuga.host.interface(name)`.
The standard library does the rest: `print` and stderr are lines of the host's log, `time.time` is the invocation's time,
`random`, `os.urandom` and `uuid.uuid4` draw from the invocation's own stream. There are no files and no sockets.

Modules are run when the component is built, not when it starts: do not read the clock or draw numbers at the top level.
"""

import dataclasses
import json
import random as _random

from wit_world.exports import agent as wit

from .host import KINDS, Error, interface, to_wit

__all__ = ["Agent", "Context", "Error", "Job", "KINDS", "emit", "interface", "object_of"]


@dataclasses.dataclass(frozen=True)
class Context:
    """What is known of a call beside its input."""

    id: str
    """Unique; the same when the host repeats the call after a failure."""
    session: str | None
    """Groups calls that belong together, as the caller names it."""
    deadline_ms: int
    """How many milliseconds were left when the call began."""
    job: "Job | None" = None
    """The job that is run; None in a skill."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A job that is run."""

    id: str
    attempt: int
    """1 for the first try."""


def object_of(fields):
    """The JSON Schema of an object with these fields and no others.

    A field's value is a schema or the name of a type (`"string"`, `"integer"`, ...). A name that ends with `?` may be
    left out: `object_of({"key": "string", "ttl_ms?": "integer"})`.
    """
    schema = lambda kind: {"type": kind} if isinstance(kind, str) else kind
    return {
        "type": "object",
        "properties": {name.rstrip("?"): schema(kind) for name, kind in fields.items()},
        "required": [name for name in fields if not name.endswith("?")],
        "additionalProperties": False,
    }


def emit(part):
    """Hands one partial result to whoever listens to the call."""
    interface("output").emit(json.dumps(part))


class Agent:
    """An agent: its name, its version and what it can do.

    Name an instance `agent` in the module that is built, and give the component its class with
    `Agent = agent.component`.
    """

    def __init__(self, name, version, summary, capabilities=()):
        self.name, self.version, self.summary = name, version, summary
        self.capabilities = list(capabilities)
        self.skills, self.jobs = {}, {}

    def skill(self, name, description, input, output):
        """Makes a function a skill. It takes the context and the input, as JSON values, and returns the output."""

        def register(run):
            self.skills[name] = (description, input, output, run)
            return run

        return register

    def job(self, kind, description, input):
        """Makes a function a kind of job. It takes the context and the input and returns the output."""

        def register(run):
            self.jobs[kind] = (description, input, run)
            return run

        return register

    def call(self, name, input, context):
        """Runs a skill on JSON values, as tests do."""
        if name not in self.skills:
            known = ", ".join(self.skills)
            raise Error("not-found", f"agent `{self.name}` has no skill `{name}`; it has: {known}", context={"skill": name})
        return self.skills[name][-1](context, input)

    def component(self):
        """What the host calls."""
        return _Component(self)


class _Component:
    """The exported interface `agent`, as componentize-py looks for it."""

    def __init__(self, agent):
        self.agent = agent

    def describe(self):
        skills = [
            wit.Skill(name=name, description=text, input_schema=json.dumps(input), output_schema=json.dumps(output))
            for name, (text, input, output, _) in self.agent.skills.items()
        ]
        known = {
            "name": self.agent.name,
            "version": self.agent.version,
            "summary": self.agent.summary,
            "skills": skills,
            "capabilities": self.agent.capabilities,
        }
        jobs = [
            wit.JobKind(name=name, description=text, input_schema=json.dumps(input))
            for name, (text, input, _) in self.agent.jobs.items()
        ]
        return wit.Description(**known, jobs=jobs)

    def invoke(self, invocation):
        context = Context(invocation.id, invocation.session, invocation.deadline_ms)
        return _answer(lambda: self.agent.call(invocation.skill, json.loads(invocation.input), context))

    def run_job(self, job):
        context = Context(job.invocation_id, None, job.deadline_ms, Job(job.id, job.attempt))

        def run():
            if job.kind not in self.agent.jobs:
                what = "no jobs" if not self.agent.jobs else f"no job `{job.kind}`; it runs: {', '.join(self.agent.jobs)}"
                raise Error("not-found", f"this agent runs {what}")
            return self.agent.jobs[job.kind][-1](context, json.loads(job.input))

        return _answer(run)


def _answer(run):
    """The output as JSON text. An error of ours becomes the host's; any other exception ends the call and the instance."""
    # The generator of `random` was seeded when the component was built.
    _random.seed(interface("random").bytes(16))
    try:
        return json.dumps(run(), ensure_ascii=False, allow_nan=False)
    except Error as error:
        raise to_wit(error) from None
