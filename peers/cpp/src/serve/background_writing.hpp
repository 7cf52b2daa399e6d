#pragma once
// Writing that goes on while other steps run, on a thread of its own.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "channel/clock.hpp"
#include "channel/writer.hpp"

namespace zerobuffer::serve {

// Byte i of a frame is i, or i + the frame's own sequence number.
enum class Fill { plain, own_sequence };

struct FramePlan {
    std::uint64_t size;
    Fill fill;
    std::uint64_t shift(std::uint64_t sequence) const noexcept {
        return fill == Fill::plain ? 0 : sequence;
    }
};

// What a writer in the background has done so far.
struct WritingProgress {
    std::uint64_t written = 0;
    // Since the ring was full for the first time: how long each write took, in order.
    bool was_full = false;
    std::vector<Milliseconds> times{};
    // The write that waits now.
    std::optional<TimePoint> waiting_since{};
    std::optional<std::string> failure{};

    // How many of those writes took this long or longer; the one that waits now is none yet.
    std::size_t took_at_least(Milliseconds time) const;
};

class BackgroundWriting {
public:
    struct Plan {
        FramePlan frame;
        // None: until it is told to stop.
        std::optional<std::uint64_t> count{};
        // Whether the writer leaves afterwards.
        bool then_close = false;
    };

    // The writer belongs to this until it has ended.
    BackgroundWriting(Writer& writer, Plan plan);

    // Waits until it has ended; one without a count is told to.
    void end();
    WritingProgress progress() const;

private:
    void run(const std::stop_token& stop);
    // False when it was told to stop.
    bool write_one(const std::stop_token& stop);
    void note_waiting();
    void note_written(Milliseconds took);

    Writer& writer_;
    Plan plan_;
    mutable std::mutex mutex_;
    WritingProgress progress_;
    std::jthread thread_;
};

// One frame as planned; returns its sequence number.
std::uint64_t write_planned(Writer& writer, const FramePlan& plan);

}  // namespace zerobuffer::serve
