"""One end of a stress test, played by the stock package.

A message follows from the seed and its number alone, so both ends compute it for themselves:

    word(seed, i)  = the i-th number (from 0) of splitmix64 begun with `seed`
    pool           = 65536 + largest bytes: word(seed, 0), word(seed, 1), ... as little-endian
    message k      = the bytes of the pool from w mod 65536, 1 + (w >> 32) mod largest of them,
                     where w = word(not seed, k) and k = 1, 2, 3, ...

A request is message k of `seed`, its answer message k of `seed + 1`.
"""

import argparse
import os
import struct
import sys
import threading
import time

import posix_ipc
from zerobuffer import (
    BufferConfig,
    DuplexClient,
    ImmutableDuplexServer,
    Reader,
    WriterDeadException,
    Writer,
    ZeroBufferException,
)

MASK = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
OFFSETS = 1 << 16
METADATA_SIZE = 64


class Mismatch(Exception):
    """Something arrived that is not what was sent."""


def word(seed, index):
    z = (seed + (index + 1) * STEP) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Messages:
    def __init__(self, seed, largest):
        seed &= MASK
        size = OFFSETS + largest
        words = (word(seed, index) for index in range(size // 8 + 1))
        self._pool = b"".join(struct.pack("<Q", each) for each in words)[:size]
        self._sizes = ~seed & MASK
        self._largest = largest

    def __getitem__(self, number):
        drawn = word(self._sizes, number)
        offset = drawn % OFFSETS
        return self._pool[offset : offset + 1 + (drawn >> 32) % self._largest]

    def check(self, number, sequence, data):
        if sequence != number:
            raise Mismatch(f"expected sequence {number}, got {sequence}")
        expected = self[number]
        if data == expected:
            return
        if len(data) != len(expected):
            raise Mismatch(f"message {number}: {len(data)} bytes, not {len(expected)}")
        at = next(i for i, pair in enumerate(zip(data, expected)) if pair[0] != pair[1])
        raise Mismatch(f"message {number}: byte {at} of {len(data)} is {data[at]}, not {expected[at]}")


def until_there(attempt, timeout):
    """Attaching fails at once when the other end is not there yet."""
    end = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except ZeroBufferException:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def segment_exists(name):
    return os.path.exists(f"/dev/shm/{name}")


def write(options):
    messages = Messages(options.seed, options.largest)
    writer = until_there(lambda: Writer(options.name), options.timeout)
    for number in range(1, options.count + 1):
        data = messages[number]
        if number % 2:
            writer.write_frame(data)
        else:
            writer.get_frame_buffer(len(data))[:] = data
            writer.commit_frame()
    writer.close()


def read(options):
    messages = Messages(options.seed, options.largest)
    reader = Reader(options.name, BufferConfig(METADATA_SIZE, options.ring))
    # The package can give back only the frame that was read last.
    for number in range(1, options.count + 1):
        frame = reader.read_frame(options.timeout)
        if frame is None:
            raise Mismatch(f"no message {number} within {options.timeout} s")
        with frame:
            messages.check(number, frame.sequence, bytes(frame))
    try:
        if reader.read_frame(0.01) is not None:
            raise Mismatch(f"more than {options.count} messages")
    except WriterDeadException:
        pass
    reader.close()


def client(options):
    requests = Messages(options.seed, options.largest)
    answers = Messages(options.seed + 1, options.largest)
    channel = until_there(lambda: DuplexClient(options.name), options.timeout)
    # One request ahead never blocks both ends: its answer finds an empty buffer.
    ahead = 1
    for number in range(1, options.count + ahead + 1):
        if number <= options.count:
            channel.send_request(requests[number])
        if number > ahead:
            with channel.receive_response(int(options.timeout * 1000)) as response:
                if not response.is_valid:
                    raise Mismatch(f"no answer {number - ahead} within {options.timeout} s")
                answers.check(number - ahead, response.sequence, response.to_bytes())
    channel.close()


def serve(options):
    requests = Messages(options.seed, options.largest)
    answers = Messages(options.seed + 1, options.largest)
    answered = 0
    over = threading.Event()
    failures = []

    def fail(error):
        failures.append(error)
        over.set()

    def handle(frame, writer):
        nonlocal answered
        number = answered + 1
        requests.check(number, frame.sequence, bytes(frame))
        writer.write_frame(answers[number])
        answered = number
        if answered == options.count:
            over.set()

    config = BufferConfig(METADATA_SIZE, options.ring)
    server = ImmutableDuplexServer(options.name, config, timeout=options.timeout)
    server.add_error_handler(lambda event: fail(event.exception))
    server.start(handle)
    while not over.wait(0.1) and server.is_running:
        pass
    # The client removes its buffer when it has read everything.
    end = time.monotonic() + options.timeout
    while not failures and segment_exists(f"{options.name}_response") and time.monotonic() < end:
        time.sleep(0.01)
    complete = answered == options.count
    # The package looks whether its client has left when a wait ends, not before.
    posix_ipc.Semaphore(f"/sem-w-{options.name}_request").release()
    server.stop()
    if not complete:
        raise Mismatch(f"answered {answered} of {options.count} requests: {failures}")


ROLES = {"write": write, "read": read, "client": client, "serve": serve}


def main():
    parser = argparse.ArgumentParser(
        description="Plays one end of a stress test: sends messages that follow from a seed, or "
        "checks every byte of those that come. Exits with 0 if all were as they should be."
    )
    parser.add_argument("role", choices=ROLES, help="what to be")
    parser.add_argument("name", help="the buffer, or for client and serve the channel")
    parser.add_argument("--seed", type=int, required=True, help="what the messages follow from")
    parser.add_argument("--count", type=int, required=True, help="how many messages")
    parser.add_argument("--largest", type=int, required=True, help="bytes in the largest message")
    parser.add_argument(
        "--ring",
        type=int,
        default=1 << 20,
        help="payload bytes of the buffer that this end makes (1048576); the package's client "
        "chooses by itself",
    )
    parser.add_argument("--timeout", type=float, default=20, help="seconds to wait for the other end (20)")
    options = parser.parse_args()
    try:
        ROLES[options.role](options)
    except (Mismatch, ZeroBufferException) as error:
        sys.exit(f"stress.py {options.role} {options.name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
