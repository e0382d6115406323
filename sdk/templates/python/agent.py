"""{{name}}: what it does, in one sentence."""

import stuga
from stuga import memory, object_of

agent = stuga.Agent("{{name}}", "0.1.0", "Greets guests and remembers them.", capabilities=["memory"])

# What the host calls.
Agent = agent.component

TEXT = object_of({"text": "string"})
GUEST = object_of({"name": {"type": "string", "description": "Who comes in."}})
GREETING = object_of({"text": "string", "visits": "integer"})


@agent.skill("echo", "Answers what it is told.", input=TEXT, output=TEXT)
def echo(context, input):
    return input


@agent.skill("greet", "Greets a guest by name and counts the visits.", input=GUEST, output=GREETING)
def greet(context, guest):
    visits = memory.update_json(f"visits/{guest['name']}", lambda visits: (visits or 0) + 1)
    print(f"greeted for the {visits}. time")
    return {"text": f"Hej {guest['name']}!", "visits": visits}
