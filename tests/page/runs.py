"""Makes event logs of runs that never were, as large as a test needs them."""

import json

ROLES = ["client", "server"]
FAILURE = "request 7 of process 4711: expected '16' bytes, got '12'"
HOSTILE = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>\u2028<!--"


def outcome_of(number):
    """Most pass; the rest is of all kinds."""
    kinds = {7: "failed", 19: "unsupported", 23: "timed-out", 31: "known-failure", 37: "crashed"}
    found = [kind for divisor, kind in kinds.items() if number % divisor == divisor - 1]
    return found[0] if found else "passed"


def scenario(index, alone):
    feature, number = index // 6 + 1, index % 6 + 1
    steps = [{"kind": kind, "text": f"the '{role}' process does part {part} of it", "to": role,
              "line": 10 + 20 * number + part}
             for part, (kind, role) in enumerate(
                 [("Given", ROLES[0]), ("Given", ROLES[-1]), ("When", ROLES[0]), ("When", ROLES[0]),
                  ("When", ROLES[-1]), ("Then", ROLES[0]), ("Then", ROLES[-1]), ("Then", ROLES[0])])]
    if alone:
        for step in steps:
            step.update(to="subject", text=step["text"].replace("server", "subject"))
    return {"id": f"{feature}.{number}", "name": f"Something about {feature} and {number}",
            "file": f"features/{feature:02}-Feature-{feature}.feature", "line": 10 + 20 * number,
            "tags": ["linux"], "roles": ["subject"] if alone else ROLES, "steps": steps}


class Log:
    """The lines of a log, and the time that passes between them."""

    def __init__(self):
        self.at = 0.0
        self.lines = []

    def add(self, event, /, after=0.001, **fields):
        self.at += after
        self.lines.append(json.dumps({"at": round(self.at, 6), "event": event, **fields}))


def write(path, platforms, scenarios, alone=0, repeat=1, is_cut=False, hangs=False):
    """Writes the log of a run of so many scenarios, of which the last `alone` have one role. One that
    is cut was killed; one that hangs as well, in the middle of a step. Returns how many executions had
    each outcome."""
    planned = [scenario(index, index >= scenarios - alone) for index in range(scenarios)]
    infos = []
    for one in planned:
        pairs = ([(a,) for a in platforms] if len(one["roles"]) == 1
                 else [(a, b) for a in platforms for b in platforms])
        for pair in pairs:
            for repetition in range(1, repeat + 1):
                infos.append({"execution": len(infos), "id": one["id"], "name": one["name"],
                              "place": f"{one['file']}:{one['line']}", "combination": "_".join(pair),
                              "roles": list(map(list, zip(one["roles"], pair))),
                              "repetition": repetition})
    log = Log()
    log.add("run-started", format=1, harmony="0.1.0", run="20260101-120000-1",
            date="2026-01-01T12:00:00.000Z", command=["./test.sh", "run", "all"],
            again={"command": "./test.sh", "options": ""}, commit={"id": "0123456789abcdef", "changed": True},
            machine={"kernel": "Linux 6.1 x86_64", "cpus": 8, "memory": 16 << 30},
            platforms=[{"name": name, "missing": None} for name in platforms]
            + [{"name": "absent", "missing": "the variable ABSENT is not set"}],
            jobs=4, repeat=repeat, until_failure=False, retries=0, seed=7, part_of=None, rerun_of=None,
            same_process=False, features=None, scenarios=planned, executions=infos)
    steps_of = {one["id"]: one["steps"] for one in planned}
    counts = {}
    ending = infos[:len(infos) * 2 // 3] if is_cut else infos
    for info in ending:
        outcome = outcome_of(info["execution"])
        counts[outcome] = counts.get(outcome, 0) + 1
        execute(log, info, steps_of[info["id"]], outcome)
    if hangs:
        info = infos[len(ending)]
        begin(log, info)
        send(log, info, 0, steps_of[info["id"]][0])
    if not is_cut:
        log.add("run-finished", cut_short=None, took=log.at, counts=counts)
    path.write_text("\n".join(log.lines) + "\n")
    return counts


def begin(log, info):
    """Starts an execution and its processes."""
    number = info["execution"]
    log.add("execution-started", **info)
    for process, (role, platform) in enumerate(info["roles"]):
        log.add("process-started", execution=number, process=process, name=role, role=role,
                platform=platform, pid=1000 + 2 * number + process, log=f"{folder_of(info)}/{role}.log")
        log.add("process-ready", execution=number, process=process, who=role, took=0.004, after=0.004)


def send(log, info, index, step):
    """Sends a step to the process that plays it, and returns the number of that."""
    number, process = info["execution"], index % len(info["roles"])
    text = f"{step['kind']} {step['text']}"
    log.add("step-started", execution=number, step=index, text=text, line=step["line"], to=step["to"])
    log.add("step-sent", execution=number, step=index, process=process)
    return process


def folder_of(info):
    return f"{info['id']}-{info['combination']}"


def execute(log, info, steps, outcome):
    number = info["execution"]
    end = {**info, "attempt": 1, "outcome": outcome, "reason": None, "failed_step": None, "took": 0.0, "warnings": [],
           "leftovers": [], "tails": [], "folder": None}
    if outcome == "unsupported":
        end["reason"] = f"{info['roles'][0][1]} does not define: {steps[2]['kind']} {steps[2]['text']}"
        return log.add("execution-finished", **end)
    began = log.at
    begin(log, info)
    for index, step in enumerate(steps):
        text = f"{step['kind']} {step['text']}"
        process = send(log, info, index, step)
        for line in range(4):
            log.add("log-line", execution=number, process=process,
                    text=f"line {line} of step {index}, with some words that make it as long as others")
        is_last = outcome != "passed" and index == 5
        if is_last:
            log.add("log-line", execution=number, process=process, text=HOSTILE)
        log.add("step-answered", execution=number, step=index, process=process, took=0.005, success=not is_last)
        error = {"error": FAILURE.replace("4711", str(4711 + number))} if is_last else {}
        log.add("step-finished", execution=number, step=index, text=text, took=0.005, success=not is_last, **error)
        if is_last:
            end["reason"] = "it is known" if outcome == "known-failure" else error["error"]
            end["failed_step"] = {"step": text, "line": step["line"], "to": step["to"]}
            end["tails"] = [[f"the {role} ({platform}, pid 1)", ["its last line", HOSTILE]]
                            for role, platform in info["roles"]]
            break
    for process in range(len(info["roles"])):
        log.add("process-exited", execution=number, process=process, how="exited with code 0", left_behind=0)
    log.add("execution-finished", **{**end, "took": log.at - began, "folder": folder_of(info)})
