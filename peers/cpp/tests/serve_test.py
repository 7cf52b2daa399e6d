"""Drives the step server as an orchestrator does: serve_test.py PATH-OF-THE-SERVER."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

SERVER = ""  # set from the arguments
BUFFER = "serve-test"
CREATE = f"the 'reader' process creates buffer '{BUFFER}' with metadata size '64' and payload size '1024'"
CONNECT = f"the 'writer' process connects to buffer '{BUFFER}'"
ENDLESS = "the 'reader' process reads frames with '0' ms delay between each read"


class Server:
    def __init__(self, *arguments, env=None):
        self.process = subprocess.Popen(
            [SERVER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self.next_id = 0

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send_body(self, body):
        self.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def send(self, method, params=None, **more):
        self.next_id += 1
        message = {"jsonrpc": "2.0", "id": self.next_id, "method": method, **more}
        if params is not None:
            message["params"] = params
        self.send_body(json.dumps(message).encode())
        return self.next_id

    def receive(self):
        headers = self.process.stdout.readline()
        assert headers.startswith(b"Content-Length: "), headers
        assert self.process.stdout.readline() == b"\r\n"
        return json.loads(self.process.stdout.read(int(headers[16:])))

    def call(self, method, params=None):
        sent = self.send(method, params)
        answer = self.receive()
        assert answer["id"] == sent, answer
        return answer.get("result", answer.get("error"))

    def step(self, text, kind="Given"):
        return self.call("executeStep", {"process": "p", "stepType": kind, "step": text})

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(10)
        self.process.stdout.close()
        return status


class ServeTest(unittest.TestCase):
    def setUp(self):
        self.run_id = (str(os.getpid()), str(time.monotonic_ns()))
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            server.process.stdin.close()
            try:
                server.process.wait(10)
            finally:
                server.process.kill()
                server.process.wait()
                server.process.stdout.close()
        self.assertEqual([], self.files())

    def start(self, *arguments, env=None):
        run = {"HARMONY_HOST_PID": self.run_id[0], "HARMONY_FEATURE_ID": self.run_id[1]}
        self.servers.append(Server(*arguments, env={**run, **(env or {})}))
        return self.servers[-1]

    def files(self):
        suffix = "_".join(self.run_id)
        return sorted(name for folder in ("/dev/shm", "/tmp/zerobuffer") if os.path.isdir(folder)
                      for name in os.listdir(folder) if suffix in name)

    def wait_for_files(self, count):
        deadline = time.monotonic() + 5
        while len(self.files()) != count:
            self.assertLess(time.monotonic(), deadline, self.files())
            time.sleep(0.005)

    def test_params_come_in_every_form(self):
        server = self.start()
        camel = {"process": "reader", "stepType": "gIVEN", "step": "all processes are ready",
                 "parameters": {}, "context": {"a": "1"}, "isBroadcast": True}
        pascal = {key[0].upper() + key[1:]: value for key, value in camel.items()}
        for params in (camel, [camel], pascal, [pascal], {**camel, "stepType": 0},
                       {**camel, "stepType": 2}, {**camel, "parameters": None, "context": None}):
            result = server.call("executeStep", params)
            self.assertEqual((True, None, {}), (result["success"], result["error"], result["context"]))
        for params in ([], {}, None):
            self.assertIs(True, server.call("health", params))
            self.assertIsNone(server.call("cleanup", params))
        first = {"role": "reader", "platform": "cpp", "scenario": "s", "hostPid": 1, "featureId": 2}
        second = {"Role": "r", "HostPid": 1, "FeatureId": 2, "TestRunId": "x"}
        for params in (first, [second], {}):
            self.assertIs(True, server.call("initialize", params))
        server.send_body(b'{"jsonrpc":"2.0","id":-1.5,"method":"health","params":null}')
        self.assertEqual(-1.5, server.receive()["id"])

    def test_wrong_params_are_refused(self):
        server = self.start()
        step = {"process": "p", "stepType": "Given", "step": "all processes are ready"}
        for params in ([1], [step, step], "text", {**step, "stepType": 3}, {**step, "stepType": -1},
                       {**step, "stepType": "And"}, {"stepType": 0}, {"step": "x"},
                       {**step, "context": []}, {**step, "process": 5}):
            self.assertEqual(-32602, server.call("executeStep", params)["code"], params)
        self.assertEqual(-32602, server.call("initialize", {"hostPid": "x"})["code"])
        self.assertEqual(-32601, server.call("noSuchMethod")["code"])
        self.assertIs(True, server.call("health"))

    def test_bad_requests_are_answered_and_service_goes_on(self):
        server = self.start()
        deep = b"[" * 1_000_000 + b"]" * 1_000_000
        for body, code in ((b"{", -32700), (b"", -32700), (b"\xff\xfe", -32700), (deep, -32700),
                           (b"[]", -32600), (b"1", -32600), (b'{"id":5}', -32600),
                           (b'{"method":5}', -32600), (b'{"id":{},"method":"health"}', -32600)):
            server.send_body(body)
            answer = server.receive()
            self.assertEqual(code, answer["error"]["code"], body[:40])
            self.assertEqual(5 if body == b'{"id":5}' else None, answer["id"])
        for stray in (b"hello\r\n", b"X: 1\r\n\r\n", b"Content-Length: 99999999999\r\n\r\n"):
            server.write(stray)
            sent = server.send("health")
            self.assertEqual(-32700, server.receive()["error"]["code"])
            self.assertEqual(sent, server.receive()["id"])

    def test_notifications_are_not_answered(self):
        server = self.start()
        server.send_body(b'{"jsonrpc":"2.0","method":"health"}')
        server.send_body(b'{"jsonrpc":"2.0","method":"noSuchMethod"}')
        self.assertIs(True, server.call("health"))

    def test_thousands_of_bad_frames_cost_no_memory(self):
        server = self.start()

        def resident():
            with open(f"/proc/{server.process.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        bad = b"Content-Length: x\r\n\r\n" + b"Content-Length: 3\r\n\r\n{]}" + b"junk\r\n"
        before = None
        for round_number in range(10):
            for _ in range(500):
                server.write(bad)
                self.assertEqual(-32700, server.receive()["error"]["code"])
                self.assertEqual(-32700, server.receive()["error"]["code"])
            self.assertIs(True, self.call_behind_junk(server))
            before = before or resident()
        self.assertLess(resident() - before, 20_000_000)

    def call_behind_junk(self, server):
        """The last junk line may still be waiting to be found bad."""
        sent = server.send("health")
        while True:
            answer = server.receive()
            if answer["id"] == sent:
                return answer["result"]

    def test_discover_tells_the_patterns_that_are_used(self):
        import re
        steps = self.start().call("discover")["steps"]
        self.assertTrue(all(step["type"] in ("given", "when", "then") for step in steps))
        found = [step for step in steps if re.fullmatch(step["pattern"], CREATE)]
        self.assertEqual(["given"], [step["type"] for step in found])

    def test_a_step_that_nobody_defines(self):
        result = self.start().step("the 'reader' process flies")
        self.assertFalse(result["success"])
        self.assertTrue(result["error"].startswith("No matching step definition found"))

    def test_a_step_that_fails_says_what_it_expected(self):
        server = self.start()
        result = server.step("the 'writer' process writes frame with size '1'", "When")
        self.assertFalse(result["success"])
        self.assertIn("there is no writer", result["error"])
        self.assertTrue(server.step(CREATE)["success"])
        self.assertTrue(server.step(CONNECT)["success"])
        server.step("the 'writer' process writes frame with size '10' and sequence '1'")
        result = server.step("the 'reader' process should read frame with sequence '1' and size '11'")
        self.assertIn("size of the frame: expected 11, found 10", result["error"])
        self.assertTrue(any(entry["level"] == 4 for entry in result["logs"]))

    def test_contents_are_compared_to_the_last_byte(self):
        server = self.start()
        for step in (CREATE, CONNECT, "writes frame with size '300'", "reads one frame"):
            self.assertTrue(server.step(step)["success"], step)
        result = server.step("should validate frame data")
        self.assertIn("frame 1, byte 0: expected 1, found 0", result["error"])

    def test_a_step_matches_whatever_keyword_carries_it(self):
        server = self.start()
        for kind in ("Given", "When", "Then", 0, 1, 2):
            self.assertTrue(server.step(CREATE, kind)["success"])

    def test_logs_are_what_came_since_the_last_answer(self):
        server = self.start()
        logs = server.step(CREATE)["logs"]
        self.assertTrue(any("created buffer" in entry["message"] for entry in logs))
        self.assertTrue(all(set(entry) == {"timestamp", "level", "message"} for entry in logs))
        logs = server.step("all processes are ready")["logs"]
        self.assertFalse(any("created buffer" in entry["message"] for entry in logs))

    def test_cleanup_leaves_nothing(self):
        server = self.start()
        self.assertTrue(server.step(CREATE)["success"])
        self.assertTrue(server.step(CONNECT)["success"])
        # Waits for room for ever, in the background.
        self.assertTrue(server.step("writes '100' frames of size '900' as fast as possible")["success"])
        channel = "the 'server' process creates immutable duplex channel 'c' with default config"
        for step in (channel, "the 'server' process starts handler with '60000' ms processing time",
                     "the 'client' process creates duplex channel client 'c'",
                     "the 'client' process sends request with size '10'"):
            self.assertTrue(server.step(step)["success"], step)
        self.assertEqual(12, len(self.files()))
        start = time.monotonic()
        self.assertIsNone(server.call("cleanup"))
        self.assertLess(time.monotonic() - start, 1.5)
        self.assertEqual([], self.files())
        self.assertTrue(server.step(CREATE)["success"])

    def take_a_byte(self, buffer):
        with open(f"/dev/shm/{buffer}", "r+b") as segment:
            free_bytes = 0x28
            segment.seek(free_bytes)
            free = int.from_bytes(segment.read(8), "little")
            segment.seek(free_bytes)
            segment.write((free - 1).to_bytes(8, "little"))

    def test_cleanup_tells_what_is_not_in_order(self):
        server = self.start()
        suffix = "_".join(self.run_id)
        for step in (CREATE, CONNECT, "writes frame with size '10'",
                     "the 'server' process creates immutable duplex channel 'c' with default config",
                     "the 'server' process starts echo handler",
                     "the 'client' process creates duplex channel client 'c'",
                     "the 'client' process sends request with size '10'",
                     "response should match request with size '10'"):
            self.assertTrue(server.step(step)["success"], step)
        buffers = (f"c_{suffix}_response", f"c_{suffix}_request", f"{BUFFER}_{suffix}")
        for buffer in buffers:
            self.take_a_byte(buffer)
        error = server.call("cleanup")
        self.assertEqual(-32000, error["code"])
        for buffer, bytes_unread in zip(buffers, (0, 0, 26)):
            self.assertIn(f"'{buffer}': {bytes_unread} bytes of unread frames and wraps, but "
                          f"{bytes_unread + 1} in use", error["message"])
        self.assertEqual([], self.files())
        self.assertTrue(server.step(CREATE)["success"])
        self.assertIsNone(server.call("cleanup"))

    def test_cleanup_ends_a_read_in_the_background(self):
        server = self.start()
        for step in (CREATE, CONNECT, "the 'reader' process waits on semaphore for data"):
            self.assertTrue(server.step(step)["success"], step)
        start = time.monotonic()
        self.assertIsNone(server.call("cleanup"))
        self.assertLess(time.monotonic() - start, 1)
        self.assertEqual([], self.files())

    def test_initialize_forgets_everything(self):
        server = self.start()
        self.assertTrue(server.step(CREATE)["success"])
        self.assertIs(True, server.call("initialize", {"role": "reader"}))
        self.assertEqual([], self.files())
        self.assertFalse(server.step("reads one frame")["success"])

    def test_shutdown_answers_and_ends_with_0(self):
        server = self.start()
        server.step(CREATE)
        self.assertIsNone(server.call("shutdown"))
        self.assertEqual(0, server.process.wait(5))
        self.assertEqual([], self.files())

    def test_the_end_of_the_input_releases_everything(self):
        server = self.start()
        server.step(CREATE)
        self.assertEqual(0, server.end())
        self.assertEqual([], self.files())

    def test_the_end_of_the_input_within_a_frame_is_an_error(self):
        server = self.start()
        server.write(b"Content-Length: 10\r\n\r\n{")
        server.process.stdin.close()
        self.assertEqual(-32700, server.receive()["error"]["code"])
        self.assertEqual(1, server.process.wait(5))

    def test_the_end_of_the_input_while_a_step_hangs(self):
        server = self.start()
        server.step(CREATE)
        server.send("executeStep", {"stepType": 1, "step": ENDLESS})
        self.assertIs(True, self.health_while_a_step_runs(server))
        start = time.monotonic()
        server.process.stdin.close()
        self.assertEqual(0, server.process.wait(5))
        self.assertLess(time.monotonic() - start, 1)
        self.assertEqual([], self.files())

    def health_while_a_step_runs(self, server):
        sent = server.send("health")
        answer = server.receive()
        self.assertEqual(sent, answer["id"])
        return answer["result"]

    def test_signals_release_everything(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            server.step(CREATE)
            server.process.send_signal(number)
            self.assertEqual(128 + number, server.process.wait(5))
            self.assertEqual([], self.files())

    def test_crash_leaves_everything(self):
        server = self.start()
        server.step(CREATE)
        self.assertIsNone(server.call("crash"))
        self.assertEqual(-signal.SIGKILL, server.process.wait(5))
        self.assertEqual(4, len(self.files()))
        # The next reader takes them over.
        server = self.start()
        self.assertTrue(server.step(CREATE)["success"])
        self.assertIsNone(server.call("cleanup"))
        self.assertEqual([], self.files())

    def test_a_step_that_takes_too_long(self):
        server = self.start("--step-timeout", "0.3")
        self.assertTrue(server.step(CREATE)["success"])
        sent = server.send("executeStep", {"stepType": 1, "step": ENDLESS})
        self.assertIs(True, self.health_while_a_step_runs(server))
        answer = server.receive()
        self.assertEqual(sent, answer["id"])
        self.assertRegex(answer["result"]["error"], r"^Step execution timeout after 0\.3 s: .*reads frames")
        self.assertFalse(answer["result"]["success"])
        self.wait_for_files(0)
        self.assertIn("refused", server.step(CREATE)["error"])
        self.assertIs(True, server.call("health"))
        self.assertIsNone(server.call("cleanup"))
        self.assertTrue(server.step(CREATE)["success"])
        self.assertEqual(0, server.end())
        self.assertEqual([], self.files())

    def test_the_environment_limits_a_step_where_no_argument_does(self):
        for arguments, env, limit in (([], "0.2", "0.2"), (["--step-timeout", "0.3"], "0.2", "0.3")):
            server = self.start(*arguments, env={"HARMONY_STEP_TIMEOUT": env})
            server.step(CREATE)
            result = server.step(ENDLESS, "When")
            self.assertRegex(result["error"], rf"^Step execution timeout after {limit} s: ")
            self.assertEqual(0, server.end())

    def test_cleanup_while_a_step_runs(self):
        server = self.start()
        server.step(CREATE)
        step = server.send("executeStep", {"stepType": 1, "step": ENDLESS})
        cleanup = server.send("cleanup")
        self.assertEqual((step, False), (lambda a: (a["id"], a["result"]["success"]))(server.receive()))
        self.assertEqual({"jsonrpc": "2.0", "id": cleanup, "result": None}, server.receive())
        self.assertEqual([], self.files())

    def test_steps_that_come_together_run_in_order(self):
        server = self.start()
        ids = [server.send("executeStep", {"stepType": 0, "step": step})
               for step in (CREATE, CONNECT, "writes frame with size '10'", "reads one frame")]
        answers = [server.receive() for _ in ids]
        self.assertEqual(ids, [answer["id"] for answer in answers])
        self.assertTrue(all(answer["result"]["success"] for answer in answers))

    def test_a_second_writer_in_a_process_of_its_own(self):
        server = self.start()
        attempt = f"a second writer process attempts to connect to buffer '{BUFFER}'"
        refused = "the second writer should fail with writer exists error"
        self.assertIn("no second writer", server.step(refused)["error"])
        self.assertTrue(server.step(attempt)["success"])
        self.assertIn("found BufferNotFound", server.step(refused)["error"])
        self.assertTrue(server.step(CREATE)["success"])
        self.assertTrue(server.step(attempt)["success"])
        self.assertIn("found connected", server.step(refused)["error"])
        self.assertTrue(server.step(CONNECT)["success"])
        self.assertTrue(server.step(attempt)["success"])
        self.assertTrue(server.step(refused)["success"])

    def test_two_processes_race_and_tell_how_it_went(self):
        servers = [self.start(), self.start()]
        for server in servers:
            server.send("executeStep", {"step": f"both simultaneously attempt to create buffer '{BUFFER}'",
                                        "stepType": "When"})
        told = [server.receive()["result"]["context"] for server in servers]
        self.assertEqual([{"wins", "losses", "intact"}] * 2, [set(context) for context in told])
        context = {}
        for key in told[0]:
            if told[0][key] == told[1][key]:
                context[key] = told[0][key]
            else:
                context |= {f"reader#{i + 1}.{key}": told[i][key] for i in range(2)}

        def judge(step, context):
            result = servers[0].call("executeStep", {"step": step, "stepType": "Then", "context": context})
            return result["error"]
        steps = ("only one should succeed", "other should receive appropriate error",
                 "no resource corruption should occur")
        self.assertEqual([None] * 3, [judge(step, context) for step in steps])
        both = {"wins": "1" * 100, "losses": "NoSpace=50", "intact": "49"}
        self.assertIn("winners of round 1: expected 1, found 2", judge(steps[0], both))
        self.assertIn("found NoSpace=50", judge(steps[1], both))
        self.assertIn("expected 100, found 98", judge(steps[2], both))
        for step in steps:
            self.assertIn("processes that told", judge(step, {}))

    def test_version_help_and_wrong_arguments(self):
        def run(*arguments, env=None):
            return subprocess.run([SERVER, *arguments], capture_output=True, text=True, env=env,
                                  stdin=subprocess.DEVNULL)
        self.assertTrue(run("--version").stdout.startswith("zerobuffer-serve-cpp "))
        self.assertIn("--step-timeout", run("--help").stdout)
        for arguments in (["--unknown"], ["--step-timeout"], ["--step-timeout", "x"], ["--step-timeout", "0"]):
            result = run(*arguments)
            self.assertEqual((2, ""), (result.returncode, result.stdout), arguments)
            self.assertIn("--help", result.stderr)
        for value in ("soon", "0", "-1", "30s"):
            result = run(env={**os.environ, "HARMONY_STEP_TIMEOUT": value})
            self.assertEqual((2, ""), (result.returncode, result.stdout), value)
            self.assertIn(f"HARMONY_STEP_TIMEOUT='{value}'", result.stderr)
        empty = run(env={**os.environ, "HARMONY_STEP_TIMEOUT": ""})
        self.assertEqual((0, ""), (empty.returncode, empty.stderr))


if __name__ == "__main__":
    SERVER = os.path.abspath(sys.argv.pop(1))
    unittest.main()
