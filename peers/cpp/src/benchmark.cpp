// One end of a measurement, for the benchmark of the repository: arguments in, figures out.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "channel/reader.hpp"
#include "channel/writer.hpp"
#include "duplex/client.hpp"
#include "duplex/server.hpp"

namespace {

using namespace zerobuffer;

constexpr std::string_view kHelp =
    "Usage: zerobuffer-benchmark-cpp ROLE NAME SIZE RING MILLISECONDS\n"
    "\n"
    "Plays one end of a measurement with frames of SIZE bytes through rings of RING bytes. Ends at\n"
    "the latest when its standard input does.\n"
    "\n"
    "  answer   echoes requests of channel NAME; prints `ready` once it can be asked\n"
    "  ask      asks; prints `ready` once answers are right, and then, for each number of\n"
    "           nanoseconds that a round trip took, how often it did\n"
    "  receive  reads frames of buffer NAME, to the last; prints `ready` once there is a buffer, and\n"
    "           later a number of frames and the nanoseconds that they took\n"
    "  send     writes frames until its input ends; prints `ready` once the first are written\n";

constexpr int kUsageError = 2;
// What is looked at byte by byte before anything is measured.
constexpr std::uint64_t kVerified = 16;
constexpr std::size_t kStamp = 8;
// Of the last frame, which is shorter than any other.
constexpr std::size_t kEnd = kStamp - 1;
constexpr std::size_t kMostSamples = 2'000'000;
constexpr Milliseconds kLong{10'000};
constexpr Milliseconds kLook{100};

struct Place {
    std::string name;
    std::size_t size = 0;
    std::uint64_t ring = 0;
    Milliseconds time{};

    BlockSizes sizes() const { return {64, ring}; }
    Milliseconds warm_up() const { return time / 5; }
    // Between two looks at the clock, so that they cost nothing beside the copies.
    std::uint64_t frames_per_look() const { return std::max<std::size_t>(64 * 1024 / size, 1); }
};

using Bytes = std::vector<std::byte>;

void say_ready() {
    std::puts("ready");
    std::fflush(stdout);
}

void say_frames(std::uint64_t frames, std::chrono::nanoseconds time) {
    std::printf("%llu %lld\n", static_cast<unsigned long long>(frames),
                static_cast<long long>(time.count()));
    std::fflush(stdout);
}

void check(bool is_right, const char* what, std::uint64_t number) {
    if (is_right) return;
    throw std::runtime_error(std::string(what) + " " + std::to_string(number) +
                             " is not what was sent");
}

void stamp(Bytes& frame, std::uint64_t number) { std::memcpy(frame.data(), &number, kStamp); }

bool is_stamped(const Bytes& frame, std::uint64_t number) {
    return std::memcmp(frame.data(), &number, kStamp) == 0;
}

// Differs with the place, also between blocks of 256, and with the number.
void write_pattern(Bytes& frame, std::uint64_t number) {
    for (std::size_t i = 0; i < frame.size(); ++i) {
        frame[i] = static_cast<std::byte>((i + 7 * (i >> 8)) ^ (13 * number));
    }
    stamp(frame, number);
}

bool is_pattern(const Bytes& frame, std::uint64_t number) {
    Bytes expected(frame.size());
    write_pattern(expected, number);
    return frame == expected;
}

// Set once whoever started this process has let go of it.
std::atomic<bool> unwanted = false;

void wait_for_end_of_input() {
    char ignored[64];
    while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    unwanted = true;
}

void answer(const Place& place) {
    ImmutableDuplexServer server(ChannelName(place.name), {.sizes = place.sizes()});
    server.start(
        [](std::span<const std::byte> request) { return Bytes(request.begin(), request.end()); },
        [](const ServerTrouble& trouble) { std::fprintf(stderr, "%s\n", trouble.what.c_str()); });
    say_ready();
    wait_for_end_of_input();
}

// A client, with its data outside of the channel.
class Asking {
public:
    explicit Asking(const Place& place)
        : client_(DuplexClient::connect(ChannelName(place.name), {.sizes = place.sizes()})),
          request_(place.size),
          answer_(place.size) {}

    void verify() {
        for (std::uint64_t number = 1; number <= kVerified; ++number) {
            write_pattern(request_, number);
            exchange();
            check(is_pattern(answer_, number), "answer", number);
        }
    }

    // Nanoseconds, from each answer to the next.
    std::vector<std::uint32_t> ask_for(Milliseconds time) {
        std::vector<std::uint32_t> samples;
        samples.reserve(kMostSamples);
        TimePoint last = Clock::now();
        const TimePoint end = last + time;
        for (std::uint64_t number = 0; last < end && samples.size() < kMostSamples; ++number) {
            stamp(request_, number);
            exchange();
            check(is_stamped(answer_, number), "answer", number);
            const TimePoint now = Clock::now();
            const auto took = std::chrono::nanoseconds(now - last).count();
            samples.push_back(static_cast<std::uint32_t>(took));
            last = now;
        }
        return samples;
    }

private:
    void exchange() {
        client_.send(request_);
        const auto answer = client_.receive(kLong);
        if (!answer || answer->data().size() != answer_.size()) {
            throw std::runtime_error("no answer of the right size came");
        }
        std::memcpy(answer_.data(), answer->data().data(), answer_.size());
    }

    DuplexClient client_;
    Bytes request_;
    Bytes answer_;
};

void ask(const Place& place) {
    Asking asking(place);
    asking.verify();
    say_ready();
    asking.ask_for(place.warm_up());
    std::map<std::uint32_t, std::size_t> counts;
    for (const std::uint32_t sample : asking.ask_for(place.time)) ++counts[sample];
    asking.verify();
    for (const auto& [nanoseconds, count] : counts) std::printf("%u %zu\n", nanoseconds, count);
}

// Reads and copies the next frame; whether there was one, or the sender has ended.
bool take(Reader& reader, Bytes& frame) {
    for (;;) {
        const auto taken = reader.read(kLook);
        if (!taken && unwanted) throw std::runtime_error("nobody wants the frames");
        if (!taken) continue;
        if (taken->data().size() == kEnd) return false;
        check(taken->data().size() == frame.size(), "frame", taken->sequence());
        std::memcpy(frame.data(), taken->data().data(), frame.size());
        return true;
    }
}

void receive(const Place& place) {
    std::thread(wait_for_end_of_input).detach();
    Reader reader = Reader::create(BufferName(place.name), {.sizes = place.sizes()});
    Bytes frame(place.size);
    say_ready();
    for (std::uint64_t number = 1; number <= kVerified; ++number) {
        check(take(reader, frame) && is_pattern(frame, number), "frame", number);
    }
    const TimePoint warm = Clock::now() + place.warm_up();
    std::optional<TimePoint> begun;
    bool is_measuring = false;
    std::uint64_t first = 0;
    for (std::uint64_t number = kVerified + 1; take(reader, frame); ++number) {
        check(is_stamped(frame, number), "frame", number);
        if (number % place.frames_per_look() != 0) continue;
        const TimePoint now = Clock::now();
        if (!begun && now >= warm) {
            begun = now;
            first = number;
            is_measuring = true;
        } else if (is_measuring && now >= *begun + place.time) {
            say_frames(number - first, now - *begun);
            is_measuring = false;
        }
    }
}

void send(const Place& place) {
    std::thread(wait_for_end_of_input).detach();
    Writer writer = Writer::connect(BufferName(place.name));
    Bytes frame(place.size);
    std::uint64_t number = 0;
    while (number < kVerified) {
        write_pattern(frame, ++number);
        writer.write(frame);
    }
    say_ready();
    while (!unwanted) {
        stamp(frame, ++number);
        writer.write(frame);
    }
    writer.write(std::span(frame).first(kEnd));
}

std::uint64_t parse(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw std::invalid_argument("not a number: " + std::string(text));
    }
    return number;
}

void play(std::string_view role, const Place& place) {
    if (place.size < kStamp) throw std::invalid_argument("frames have 8 bytes or more");
    if (role == "answer") return answer(place);
    if (role == "ask") return ask(place);
    if (role == "receive") return receive(place);
    if (role == "send") return send(place);
    throw std::invalid_argument("no such role: " + std::string(role));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        const bool is_asked_for = argc == 2 && argv[1] == std::string_view("--help");
        std::fputs(kHelp.data(), is_asked_for ? stdout : stderr);
        return is_asked_for ? EXIT_SUCCESS : kUsageError;
    }
    try {
        const Milliseconds time(static_cast<std::int64_t>(parse(argv[5])));
        play(argv[1], {argv[2], parse(argv[3]), parse(argv[4]), time});
        return EXIT_SUCCESS;
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "zerobuffer-benchmark-cpp: %s; see --help\n", error.what());
        return kUsageError;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "zerobuffer-benchmark-cpp: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
