#pragma once
// When another process dies, and how soon that is noticed.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "channel/clock.hpp"
#include "channel/file.hpp"
#include "serve/attempt.hpp"

namespace zerobuffer::serve {

// Notes when a process dies, from outside of the library. For one that is dead already that is now.
class DeathWatch {
public:
    // Throws StepFailure when the process cannot be watched.
    explicit DeathWatch(std::uint64_t pid);

    // Waits a while for it, as the process may have been seen to be dead by somebody quicker.
    // Throws StepFailure when the process goes on living.
    TimePoint died() const;

private:
    void watch(const std::stop_token& stop);

    std::uint64_t pid_;
    Descriptor process_;
    mutable std::mutex mutex_;
    std::optional<TimePoint> died_;
    std::jthread thread_;
};

// Throw StepFailure unless the attempt ended as soon as whoever waits has to notice a death: one
// that came before the attempt, or the one that is watched.
void expect_noticed(const Attempt& attempt, const std::string& death);
void expect_noticed(const Attempt& attempt, const std::string& death, const DeathWatch& watch);

}  // namespace zerobuffer::serve
