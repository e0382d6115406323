"""Quick tests in plain Python: PYTHONPATH=.stuga/python python3 -m unittest"""

import unittest

from stuga_testing import call, memory  # before the agent

from agent import agent


class Guests(unittest.TestCase):
    def setUp(self):
        memory.clear()

    def test_a_guest_who_comes_back_is_remembered(self):
        call(agent, "greet", {"name": "Astrid"})
        second = call(agent, "greet", {"name": "Astrid"})
        self.assertEqual(second, {"text": "Hej Astrid!", "visits": 2})
