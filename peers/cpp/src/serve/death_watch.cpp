#include "serve/death_watch.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "serve/check.hpp"
#include "serve/patience.hpp"

namespace zerobuffer::serve {

namespace {

// How long a death may go unnoticed.
constexpr Milliseconds kNoticed{200};
// How much later one that comes during the wait may be told of: whoever waits has to be given a
// processor first, and scenarios are played side by side.
constexpr Milliseconds kLate{100};
constexpr Milliseconds kSeenByAll{1000};
// How often a watch looks whether it is still wanted.
constexpr int kLook = 20;

void expect_within(Milliseconds limit, Milliseconds took, const std::string& death) {
    expect(took < limit, "expected " + death + " to be noticed within " + text_of(limit) +
                             ", found " + text_of(took));
}

}  // namespace

DeathWatch::DeathWatch(std::uint64_t pid)
    : pid_(pid),
      process_(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0U))) {
    if (process_) {
        thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
        return;
    }
    expect(errno == ESRCH, "cannot watch process " + std::to_string(pid) + ": " +
                               std::strerror(errno));
    died_ = Clock::now();
}

void DeathWatch::watch(const std::stop_token& stop) {
    pollfd end{process_.get(), POLLIN, 0};
    while (!stop.stop_requested()) {
        if (::poll(&end, 1, kLook) != 1) continue;
        const std::lock_guard lock(mutex_);
        died_ = Clock::now();
        return;
    }
}

TimePoint DeathWatch::died() const {
    std::optional<TimePoint> died;
    wait_until("the death of process " + std::to_string(pid_), [&] {
        const std::lock_guard lock(mutex_);
        return (died = died_).has_value();
    }, kSeenByAll);
    return *died;
}

void expect_noticed(const Attempt& attempt, const std::string& death) {
    expect_within(kNoticed, attempt.took(), death);
}

void expect_noticed(const Attempt& attempt, const std::string& death, const DeathWatch& watch) {
    const TimePoint since = std::max(attempt.began(), watch.died());
    expect_within(kNoticed + kLate,
                  std::chrono::duration_cast<Milliseconds>(attempt.ended() - since), death);
}

}  // namespace zerobuffer::serve
