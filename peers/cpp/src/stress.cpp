// One end of a stress test, played by this library: sends messages that follow from a seed, or
// checks every byte of those that come.
//
// A message follows from the seed and its number alone, so both ends compute it for themselves:
//
//     word(seed, i)  = the i-th number (from 0) of splitmix64 begun with `seed`
//     pool           = 65536 + largest bytes: word(seed, 0), word(seed, 1), ... as little-endian
//     message k      = the bytes of the pool from w mod 65536, 1 + (w >> 32) mod largest of them,
//                      where w = word(not seed, k) and k = 1, 2, 3, ...
//
// A request is message k of `seed`, its answer message k of `seed + 1`.

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
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
    "Usage: zerobuffer-stress-cpp ROLE NAME --seed N --count N --largest N [OPTIONS]\n"
    "\n"
    "Plays one end of a stress test: sends messages that follow from a seed, or checks every byte\n"
    "of those that come. Exits with 0 if all were as they should be.\n"
    "\n"
    "  ROLE               what to be: write, read, client or serve\n"
    "  NAME               the buffer, or for client and serve the channel\n"
    "  --seed N           what the messages follow from\n"
    "  --count N          how many messages\n"
    "  --largest N        bytes in the largest message\n"
    "  --ring N           payload bytes of the buffer that this end makes (1048576)\n"
    "  --timeout SECONDS  how long to wait for the other end (20)\n"
    "  --help             print this text\n";

constexpr int kUsageError = 2;
constexpr std::uint64_t kOffsets = 1 << 16;
constexpr std::uint64_t kMetadataSize = 64;

struct Options {
    std::string role;
    std::string name;
    std::uint64_t seed = 0;
    std::uint64_t count = 0;
    std::uint64_t largest = 0;
    std::uint64_t ring = 1 << 20;
    Milliseconds timeout{20'000};
};

// Something arrived that is not what was sent.
struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::uint64_t word(std::uint64_t seed, std::uint64_t index) noexcept {
    std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

// Decisions that the other end need not know of.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : seed_(seed) {}
    std::uint64_t below(std::uint64_t end) noexcept { return word(seed_, next_++) % end; }

private:
    std::uint64_t seed_;
    std::uint64_t next_ = 0;
};

class Messages {
public:
    Messages(std::uint64_t seed, std::uint64_t largest)
        : sizes_(~seed), largest_(largest), pool_(kOffsets + largest) {
        for (std::size_t at = 0; at < pool_.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t drawn = word(seed, at / sizeof drawn);
            std::memcpy(&pool_[at], &drawn, std::min(sizeof drawn, pool_.size() - at));
        }
    }

    std::span<const std::byte> operator[](std::uint64_t number) const noexcept {
        const std::uint64_t drawn = word(sizes_, number);
        return std::span(pool_).subspan(drawn % kOffsets, 1 + (drawn >> 32) % largest_);
    }

    void check(std::uint64_t number, std::uint64_t sequence, std::span<const std::byte> data) const {
        const std::string what = "message " + std::to_string(number);
        if (sequence != number) throw Mismatch(what + " has sequence " + std::to_string(sequence));
        const auto expected = (*this)[number];
        if (data.size() != expected.size()) {
            throw Mismatch(what + " has " + std::to_string(data.size()) + " bytes, not " +
                           std::to_string(expected.size()));
        }
        if (std::memcmp(data.data(), expected.data(), data.size()) == 0) return;
        const auto differs = std::mismatch(data.begin(), data.end(), expected.begin()).first;
        throw Mismatch(what + " differs at byte " + std::to_string(differs - data.begin()));
    }

private:
    std::uint64_t sizes_;
    std::uint64_t largest_;
    std::vector<std::byte> pool_;
};

// Frames that were read and not given back. They are checked again when they go: until then nobody
// may have written over them.
class Held {
public:
    Held(const Messages& messages, std::uint64_t seed) : messages_(messages), dice_(seed) {}

    void keep(std::uint64_t number, Frame frame) {
        messages_.check(number, frame.sequence(), frame.data());
        frames_.push_back({number, std::move(frame)});
        if (dice_.below(32) == 0) limit_ = dice_.below(5);
        while (frames_.size() > limit_) release_one();
    }

    // The next frame from `read`, which gets the time to wait. While frames are held here the other
    // end may have no room: then they go, one after another.
    template <class Read>
    Frame next(std::uint64_t number, Milliseconds timeout, Read&& read) {
        for (;;) {
            const bool patient = frames_.empty();
            if (auto frame = read(patient ? timeout : Milliseconds(0))) return std::move(*frame);
            if (patient) throw Mismatch("nothing came for message " + std::to_string(number));
            release_one();
        }
    }

private:
    struct Entry {
        std::uint64_t number;
        Frame frame;
    };

    void release_one() {
        std::swap(frames_[dice_.below(frames_.size())], frames_.back());
        const auto& [number, frame] = frames_.back();
        messages_.check(number, frame.sequence(), frame.data());
        frames_.pop_back();
    }

    const Messages& messages_;
    Dice dice_;
    std::size_t limit_ = 0;
    std::vector<Entry> frames_;
};

BlockSizes sizes_of(const Options& options) {
    return {.metadata = kMetadataSize, .payload = options.ring};
}

void write(const Options& options) {
    const Messages messages(options.seed, options.largest);
    Dice dice(options.seed);
    Writer writer = Writer::connect(BufferName(options.name),
                                    {.connect_timeout = options.timeout,
                                     .write_timeout = options.timeout});
    for (std::uint64_t number = 1; number <= options.count; ++number) {
        const auto data = messages[number];
        // A loan that is dropped leaves no trace.
        if (dice.below(8) == 0) writer.loan(1 + dice.below(options.largest));
        Loan loan = writer.loan(data.size());
        std::ranges::copy(data, loan.data().begin());
        loan.commit();
    }
}

void read(const Options& options) {
    const Messages messages(options.seed, options.largest);
    Reader reader = Reader::create(BufferName(options.name), {.sizes = sizes_of(options)});
    {
        Held held(messages, options.seed);
        for (std::uint64_t number = 1; number <= options.count; ++number) {
            held.keep(number, held.next(number, options.timeout, [&](Milliseconds timeout) {
                return reader.read(timeout);
            }));
        }
    }
    try {
        if (reader.read(options.timeout)) throw Mismatch("more messages than there should be");
        throw Mismatch("the writer does not go");
    } catch (const WriterDead&) {
    }
}

// Asks and takes answers. While answers are due, or held, there may be no room for the next request.
class Asking {
public:
    explicit Asking(const Options& options)
        : options_(options),
          requests_(options.seed, options.largest),
          answers_(options.seed + 1, options.largest),
          client_(DuplexClient::connect(ChannelName(options.name),
                                        {.connect_timeout = options.timeout,
                                         .write_timeout = Milliseconds(1),
                                         .sizes = sizes_of(options)})),
          held_(answers_, options.seed) {}

    void run() {
        while (answered_ < options_.count) {
            const bool may_send = sent_ < options_.count && sent_ < answered_ + kAhead;
            if (may_send && send()) continue;
            if (sent_ > answered_) receive();
        }
    }

private:
    static constexpr std::uint64_t kAhead = 4;

    bool send() {
        try {
            client_.send(requests_[sent_ + 1]);
            ++sent_;
            return true;
        } catch (const BufferFull&) {
            return false;
        }
    }

    void receive() {
        const std::uint64_t number = answered_ + 1;
        held_.keep(number, held_.next(number, options_.timeout, [&](Milliseconds timeout) {
            return client_.receive(timeout);
        }));
        answered_ = number;
    }

    const Options& options_;
    Messages requests_;
    Messages answers_;
    DuplexClient client_;
    Held held_;
    std::uint64_t sent_ = 0;
    std::uint64_t answered_ = 0;
};

void client(const Options& options) { Asking(options).run(); }

// Waits until the client has removed its buffer, as it does when it has read everything.
bool wait_until_client_left(const Options& options, const std::atomic<bool>& failed) {
    const std::string segment = ChannelName(options.name).response().segment_path();
    const TimePoint end = deadline_after(options.timeout);
    while (std::filesystem::exists(segment) && !failed) {
        if (Clock::now() > end) return false;
        std::this_thread::sleep_for(Milliseconds(5));
    }
    return true;
}

void serve(const Options& options) {
    const Messages requests(options.seed, options.largest);
    const Messages answers(options.seed + 1, options.largest);
    std::atomic<std::uint64_t> answered = 0;
    std::atomic<bool> failed = false;
    std::mutex mutex;
    std::string failure;
    ImmutableDuplexServer server(ChannelName(options.name), {.sizes = sizes_of(options),
                                                             .write_timeout = options.timeout});
    server.start(
        [&](std::span<const std::byte> request) {
            const std::uint64_t number = answered + 1;
            requests.check(number, number, request);
            answered = number;
            const auto answer = answers[number];
            return std::vector(answer.begin(), answer.end());
        },
        [&](const ServerTrouble& trouble) {
            const std::lock_guard lock(mutex);
            failure += trouble.what + "\n";
            failed = true;
        });
    TimePoint end = deadline_after(options.timeout);
    for (std::uint64_t seen = 0; seen < options.count && !failed && Clock::now() < end;) {
        if (answered != seen) end = deadline_after(options.timeout);
        seen = answered;
        std::this_thread::sleep_for(Milliseconds(5));
    }
    const bool left = wait_until_client_left(options, failed);
    server.stop();
    if (answered != options.count || failed || !left) {
        throw Mismatch("answered " + std::to_string(answered) + " of " +
                       std::to_string(options.count) + " requests; " + failure);
    }
}

[[noreturn]] void refuse(std::string_view what) {
    std::fprintf(stderr, "zerobuffer-stress-cpp: cannot use '%.*s'; see --help\n",
                 static_cast<int>(what.size()), what.data());
    std::exit(kUsageError);
}

std::uint64_t parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) refuse(text);
    return number;
}

void set_option(Options& options, std::string_view option, std::string_view value) {
    const std::uint64_t number = parse_number(value);
    if (option == "--seed") {
        options.seed = number;
    } else if (option == "--count") {
        options.count = number;
    } else if (option == "--largest") {
        options.largest = number;
    } else if (option == "--ring") {
        options.ring = number;
    } else if (option == "--timeout") {
        options.timeout = std::chrono::seconds(number);
    } else {
        refuse(option);
    }
}

Options parse(int argc, char** argv) {
    Options options;
    std::vector<std::string> words;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--help") {
            std::fputs(kHelp.data(), stdout);
            std::exit(EXIT_SUCCESS);
        }
        if (!argument.starts_with("--")) {
            words.emplace_back(argument);
            continue;
        }
        if (i + 1 == argc) refuse(argument);
        set_option(options, argument, argv[++i]);
    }
    if (words.size() != 2 || options.count == 0 || options.largest == 0) {
        std::fputs("zerobuffer-stress-cpp: a role, a name, --seed, --count and --largest are needed; "
                   "see --help\n",
                   stderr);
        std::exit(kUsageError);
    }
    options.role = words[0];
    options.name = words[1];
    return options;
}

void play(const Options& options) {
    if (options.role == "write") return write(options);
    if (options.role == "read") return read(options);
    if (options.role == "client") return client(options);
    if (options.role == "serve") return serve(options);
    refuse(options.role);
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    try {
        play(options);
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "zerobuffer-stress-cpp %s: %s\n", options.role.c_str(), error.what());
        return EXIT_FAILURE;
    }
}
