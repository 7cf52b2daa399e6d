"""One end of a measurement, for the benchmark of the repository: arguments in, figures out.

    benchmark.py ROLE NAME SIZE RING MILLISECONDS

Plays one end of a measurement with frames of SIZE bytes through rings of RING bytes. Ends at the
latest when its standard input does.

    answer   echoes requests of channel NAME; prints `ready` once it can be asked
    ask      asks; prints `ready` once answers are right, and then, for each number of nanoseconds
             that a round trip took, how often it did
    receive  reads frames of buffer NAME, to the last; prints `ready` once there is a buffer, and
             later a number of frames and the nanoseconds that they took
    send     writes frames until its input ends; prints `ready` once the first are written
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
    """Tells when whoever started this process has let go of it, and ends it if nobody listens."""
    while os.read(0, 64):
        pass
    unwanted.set()
    time.sleep(2)
    os._exit(1)


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


def take(reader, timeout=LOOK):
    """A copy of the next frame, or None if the sender has ended."""
    while True:
        frame = reader.read_frame(timeout)
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
        # A reader that has waited in vain takes a writer that has not come yet for a dead one.
        check(take(reader, LONG) == pattern(size, number), "frame", number)
    frames_per_look = look_interval(size)
    warm = time.perf_counter() + duration / 5
    begun = end = None
    number = VERIFIED
    while (data := take(reader)) is not None:
        number += 1
        check(data[:STAMP] == stamp(number), "frame", number)
        if number % frames_per_look == 0:
            now = time.perf_counter()
            if begun is None and now >= warm:
                begun, first, end = now, number, now + duration
            elif end is not None and now >= end:
                print(number - first, round((now - begun) * 1e9), flush=True)
                end = None
    reader.close()


def look_interval(size):
    """How many frames lie between two looks at the clock, which cost nothing beside them."""
    return max(64 * 1024 // size, 1)


def send(name, size, ring, duration):
    writer = Writer(name)
    for number in range(1, VERIFIED + 1):
        writer.write_frame(pattern(size, number))
    say_ready()
    frame = bytearray(size)
    while not unwanted.is_set():
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
