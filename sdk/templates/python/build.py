"""Makes the component: .venv/bin/python build.py"""

import os
import re
import subprocess
import sys

COMPONENT = "build/{{name}}.wasm"

# What the tool says of a mistake, and what to do about it.
FIXES = [
    (
        r"module 'agent' has no attribute 'Agent'",
        "agent.py exports no agent; write `Agent = agent.component` below `agent = stuga.Agent(...)`",
    ),
    (r"module 'agent' has no attribute 'agent'", "agent.py has no agent; write `agent = stuga.Agent(...)`"),
]


def explained(said):
    """The mistake without the tool's own call stack, in the project's file names."""
    said = said.split("AssertionError: ", 1)[-1].split("\nStack backtrace:", 1)[0]
    # Where the tool shows its two `--python-path` to the interpreter.
    said = said.replace('"/0/', '"').replace('"/1/', '".stuga/python/')
    fixes = [fix for pattern, fix in FIXES if re.search(pattern, said)]
    return "\n".join([said.strip(), *fixes])


made = subprocess.run(
    [
        *[".venv/bin/componentize-py", "--quiet", "--wit-path", ".stuga/wit", "--wit-path", "wit"],
        *["--world", "local:agent/component", "componentize", "agent"],
        *["--python-path", ".", "--python-path", ".stuga/python", "--output", COMPONENT],
    ],
    env={**os.environ, "RUST_BACKTRACE": "0"},
    stderr=subprocess.PIPE,
    text=True,
)
if made.returncode != 0:
    sys.exit(explained(made.stderr))
