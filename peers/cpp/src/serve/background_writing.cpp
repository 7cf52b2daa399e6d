#include "serve/background_writing.hpp"

#include <algorithm>
#include <exception>

#include "channel/error.hpp"
#include "serve/attempt.hpp"
#include "serve/test_data.hpp"

namespace zerobuffer::serve {

namespace {

constexpr Milliseconds kWriteTimeout{5000};
// How long a wait is, before it is looked whether it shall go on.
constexpr Milliseconds kLook{20};

}  // namespace

std::size_t WritingProgress::took_at_least(Milliseconds time) const {
    return static_cast<std::size_t>(std::count_if(
        times.begin(), times.end(), [time](Milliseconds took) { return took >= time; }));
}

std::uint64_t write_planned(Writer& writer, const FramePlan& plan) {
    Loan loan = writer.loan(plan.size);
    fill_pattern(loan.data(), plan.shift(loan.sequence()));
    loan.commit();
    return loan.sequence();
}

BackgroundWriting::BackgroundWriting(Writer& writer, Plan plan)
    : writer_(writer),
      plan_(plan),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void BackgroundWriting::end() {
    if (!plan_.count) thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

WritingProgress BackgroundWriting::progress() const {
    const std::lock_guard lock(mutex_);
    return progress_;
}

void BackgroundWriting::run(const std::stop_token& stop) {
    try {
        for (std::uint64_t i = 0; !plan_.count || i < *plan_.count; ++i) {
            if (!write_one(stop)) break;
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        progress_.failure = describe(std::current_exception());
    }
    writer_.set_write_timeout(kWriteTimeout);
    if (plan_.then_close) writer_.close();
}

// Tried at once, then waited for.
bool BackgroundWriting::write_one(const std::stop_token& stop) {
    const TimePoint start = Clock::now();
    writer_.set_write_timeout(Milliseconds{0});
    while (!stop.stop_requested()) {
        try {
            write_planned(writer_, plan_.frame);
            note_written(std::chrono::duration_cast<Milliseconds>(Clock::now() - start));
            return true;
        } catch (const BufferFull&) {
            if (plan_.count && Clock::now() >= start + kWriteTimeout) throw;
            note_waiting();
        }
        writer_.set_write_timeout(kLook);
    }
    return false;
}

void BackgroundWriting::note_waiting() {
    const std::lock_guard lock(mutex_);
    progress_.was_full = true;
    if (!progress_.waiting_since) progress_.waiting_since = Clock::now();
}

void BackgroundWriting::note_written(Milliseconds took) {
    const std::lock_guard lock(mutex_);
    ++progress_.written;
    if (progress_.was_full) progress_.times.push_back(took);
    progress_.waiting_since.reset();
}

}  // namespace zerobuffer::serve
