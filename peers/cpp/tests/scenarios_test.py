"""Plays scenarios with one step server in all roles: scenarios_test.py PATH-OF-THE-SERVER."""

import json
import os
import pathlib
import re
import sys
import unittest

import serve_test

FEATURES = pathlib.Path(__file__).parents[3] / "features"
# Those whose every step is defined, but for scenarios that need processes of their own.
PLAYED = re.compile(r"([1-6]|13)\.\d+|10\.2")
KEYWORDS = ("Given ", "When ", "Then ", "And ")
ROLE = re.compile(r"(?:the|a|a new|a second) '([^']+)' process ")


class Scenario:
    def __init__(self, name, tags, steps):
        self.name, self.tags, self.steps = name, tags, steps


def scenarios_of(path):
    """Steps are (keyword, text, table); what stands before the first scenario comes with each."""
    scenarios, background, steps, tags, pending_tags = [], [], [], set(), set()
    for line in map(str.strip, path.read_text().splitlines()):
        if line.startswith("@"):
            pending_tags |= set(line.split())
        elif line.startswith("Feature:"):
            tags, pending_tags = pending_tags, set()
        elif line.startswith("Background:"):
            steps = background
        elif line.startswith("Scenario:"):
            steps = list(background)
            scenarios.append(Scenario(line.split(":", 1)[1].strip(), tags | pending_tags, steps))
            pending_tags = set()
        elif line.startswith("|"):
            steps[-1][2].append([cell.strip() for cell in line.strip("|").split("|")])
        elif line.startswith(KEYWORDS):
            keyword, text = line.split(" ", 1)
            steps.append((steps[-1][0] if keyword == "And" else keyword, text, []))
    return scenarios


class ScenariosTest(serve_test.ServeTest):
    def play(self, server, scenario):
        self.assertIs(True, server.call("initialize", {"role": "all"}))
        role, context = "", {}
        for keyword, text, table in scenario.steps:
            named = ROLE.match(text)
            role = named.group(1) if named else role
            parameters = {"table": json.dumps(table)} if table else {}
            result = server.call("executeStep", {
                "process": role, "stepType": keyword, "step": text, "parameters": parameters,
                "context": context})
            self.assertTrue(result["success"], result["error"])
            context |= result["context"]
        self.assertIsNone(server.call("cleanup"))
        self.assertEqual([], self.files())

    def test_scenarios_in_one_process(self):
        server = self.start()
        played = 0
        for path in sorted(FEATURES.glob("*.feature")):
            for scenario in scenarios_of(path):
                number = scenario.name.split()[0]
                if not PLAYED.fullmatch(number) or "@separate-processes" in scenario.tags:
                    continue
                with self.subTest(scenario.name):
                    self.play(server, scenario)
                    played += 1
        self.assertGreater(played, 30)


def load_tests(loader, standard_tests, pattern):
    """Not those that are inherited."""
    return unittest.TestSuite([ScenariosTest("test_scenarios_in_one_process")])


if __name__ == "__main__":
    serve_test.SERVER = os.path.abspath(sys.argv.pop(1))
    unittest.main()
