"""One end of a measurement, for the benchmark of the repository: arguments in, figures out.

    benchmark.py ROLE NAME SIZE RING MILLISECONDS

Plays one end of a measurement with frames of SIZE bytes through rings of RING bytes. Ends at the
latest when its standard input does.

    answer   echoes requests of channel NAME; prints `ready` once it can be asked
    ask      asks; prints `ready` once answers are right, and then, for each number of nanoseconds
             that a round trip took, how often it did
    receive  reads frames of buffer NAME; prints `ready` once there is one, and then the number of
             frames and the nanoseconds that they took
    send     writes frames; prints `ready` once the first are written
"""

import os
import sys
import threading
import time
from collections import Counter

from zerobuffer import BufferConfig, Reader, Writer
from zerobuffer.duplex import DuplexClient, ImmutableDuplexServer

# What is looked at byte by byte before anything is measured.
VERIFIED = 16
STAMP = 8
# Of the last frame, which is shorter than any other.
END = STAMP - 1
LONG = 10.0
LOOK = 0.1

unwanted = threading.Event()


def watch_input():
    """Tells when whoever started this process has let go of it."""
    while os.read(0, 64):
        pass
    unwanted.set()


def say_ready():
    print("ready", flush=True)


def check(is_right, what, number):
    if not is_right:
        raise SystemExit(f"{what} {number} is not what was sent")


def stamp(number):
    return number.to_bytes(STAMP, "little")


def pattern(size, number):
    """Differs with the place, also between blocks of 256, and with the number."""
    twice = bytes(range(256)) * 2
    starts = (7 * block % 256 for block in range(size // 256 + 1))
    blocks = b"".join(twice[start : start + 256] for start in starts)
    change = bytes(value ^ (13 * number & 255) for value in range(256))
    return stamp(number) + blocks[STAMP:size].translate(change)


def answer(name, size, ring, duration):
    server = ImmutableDuplexServer(name, BufferConfig(metadata_size=64, payload_size=ring))
    server.start(lambda request, responses: responses.write_frame(bytes(request.data)))
    while server.request_reader is None and not unwanted.is_set():
        time.sleep(0.001)
    say_ready()
    # Its thread ends with the process; stopping it takes as long as a read waits, 5 seconds.
    unwanted.wait()


class Asking:
    """A client, with its data outside of the channel."""

    def __init__(self, name, size):
        self.client = DuplexClient(name)
        self.request = bytearray(size)

    def exchange(self):
        self.client.send_request(self.request)
        with self.client.receive_response(int(LONG * 1000)) as response:
            if not response.is_valid:
                raise SystemExit("no answer came")
            return bytes(response.data)

    def verify(self):
        for number in range(1, VERIFIED + 1):
            self.request[:] = pattern(len(self.request), number)
            check(self.exchange() == self.request, "answer", number)

    def ask_for(self, duration):
        """Nanoseconds, from each answer to the next."""
        samples = []
        last = time.perf_counter_ns()
        end = last + int(duration * 1e9)
        number = 0
        while last < end:
            self.request[:STAMP] = stamp(number)
            check(self.exchange()[:STAMP] == self.request[:STAMP], "answer", number)
            number += 1
            now = time.perf_counter_ns()
            samples.append(now - last)
            last = now
        return samples


def ask(name, size, ring, duration):
    asking = Asking(name, size)
    asking.verify()
    say_ready()
    asking.ask_for(duration / 5)
    samples = asking.ask_for(duration)
    asking.verify()
    for nanoseconds, count in sorted(Counter(samples).items()):
        print(nanoseconds, count)
    asking.client.close()


def take(reader):
    """A copy of the next frame, or None if the sender has ended."""
    while True:
        frame = reader.read_frame(timeout=LOOK)
        if unwanted.is_set():
            raise SystemExit("nobody wants the frames")
        if frame is not None:
            with frame:
                data = bytes(frame.data)
            return data if len(data) > END else None


def receive(name, size, ring, duration):
    reader = Reader(name, BufferConfig(metadata_size=64, payload_size=ring))
    say_ready()
    for number in range(1, VERIFIED + 1):
        check(take(reader) == pattern(size, number), "frame", number)
    warm = time.perf_counter() + duration / 5
    begun = None
    frames = 0
    number = VERIFIED + 1
    while (data := take(reader)) is not None:
        check(data[:STAMP] == stamp(number), "frame", number)
        number += 1
        if begun is not None:
            frames += 1
        elif time.perf_counter() >= warm:
            begun = time.perf_counter_ns()
    if begun is None:
        raise SystemExit("the sender ended before the receiver was warm")
    print(frames, time.perf_counter_ns() - begun)
    reader.close()


def send(name, size, ring, duration):
    writer = Writer(name)
    for number in range(1, VERIFIED + 1):
        writer.write_frame(pattern(size, number))
    say_ready()
    frame = bytearray(size)
    # The clock is looked at so seldom that it costs little beside the copies.
    frames_per_look = max(64 * 1024 // size, 1)
    end = time.perf_counter() + duration * 1.2
    while time.perf_counter() < end:
        for _ in range(frames_per_look):
            number += 1
            frame[:STAMP] = stamp(number)
            writer.write_frame(frame)
    writer.write_frame(bytes(END))
    writer.close()


ROLES = {role.__name__: role for role in (answer, ask, receive, send)}


def main():
    if len(sys.argv) != 6 or sys.argv[1] not in ROLES:
        raise SystemExit(__doc__)
    role, name, *numbers = sys.argv[1:]
    size, ring, milliseconds = map(int, numbers)
    threading.Thread(target=watch_input, daemon=True).start()
    ROLES[role](name, size, ring, milliseconds / 1000)


if __name__ == "__main__":
    main()
