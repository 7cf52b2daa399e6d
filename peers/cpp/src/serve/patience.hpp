#pragma once
// Waiting for something to become so, instead of for a guessed time.

#include <string>
#include <thread>

#include "channel/clock.hpp"
#include "serve/check.hpp"

namespace zerobuffer::serve {

inline constexpr Milliseconds kPatience{10000};

// Throws StepFailure when it does not.
template <class Condition>
void wait_until(const std::string& what, Condition&& holds, Milliseconds patience = kPatience) {
    const TimePoint deadline = deadline_after(patience);
    while (!holds()) {
        expect(Clock::now() < deadline, "expected " + what + ", found nothing of the kind within " +
                                            std::to_string(patience.count()) + " ms");
        std::this_thread::sleep_for(Milliseconds{1});
    }
}

inline Milliseconds since(TimePoint start) {
    return std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
}

inline std::string text_of(Milliseconds time) { return std::to_string(time.count()) + " ms"; }

}  // namespace zerobuffer::serve
