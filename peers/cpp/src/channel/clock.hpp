#pragma once
// Time for waits: steady_clock, which is CLOCK_MONOTONIC here.

#include <time.h>

#include <chrono>

namespace zerobuffer {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Milliseconds = std::chrono::milliseconds;

// How long a wait sleeps before it looks whether the other side still lives.
inline constexpr Milliseconds kTick{100};

// Now and a duration later, without overflow for durations that mean "for ever".
inline TimePoint deadline_after(Milliseconds duration) {
    constexpr Milliseconds longest = std::chrono::hours(24 * 365);
    return Clock::now() + (duration < longest ? duration : longest);
}

inline timespec to_timespec(TimePoint time) {
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds);
    return {static_cast<time_t>(seconds.count()), static_cast<long>(rest.count())};
}

}  // namespace zerobuffer
