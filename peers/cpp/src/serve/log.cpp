#include "serve/log.hpp"

#include <strings.h>
#include <time.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace zerobuffer::serve {

namespace {

constexpr std::array kNames{"trace", "debug", "information", "warning", "error", "critical", "none"};

// What is written while no step runs is told with the next one, if there is one.
constexpr std::size_t kMostKept = 10'000;

std::string timestamp_now() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    char seconds[32];
    std::strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    const std::string micros = std::to_string(1'000'000 + now.tv_nsec / 1000).substr(1);
    return std::string(seconds) + "." + micros + "Z";
}

}  // namespace

void Log::write(Level level, std::string message) {
    LogEntry entry{timestamp_now(), level, std::move(message)};
    const std::lock_guard lock(mutex_);
    if (level >= printed_) {
        std::fprintf(stderr, "%s %s %s\n", entry.timestamp.c_str(),
                     kNames[static_cast<std::size_t>(level)], entry.message.c_str());
    }
    entries_.push_back(std::move(entry));
    if (entries_.size() > kMostKept) entries_.pop_front();
}

std::deque<LogEntry> Log::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(entries_, {});
}

Level level_from_environment() {
    const char* value = std::getenv("ZEROBUFFER_LOG_LEVEL");
    if (value == nullptr) return Level::information;
    const std::string text = value;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        const bool named = ::strcasecmp(value, kNames[i]) == 0 || text == std::to_string(i);
        if (named) return static_cast<Level>(i);
    }
    if (::strcasecmp(value, "info") == 0) return Level::information;
    if (::strcasecmp(value, "warn") == 0) return Level::warning;
    return Level::information;
}

}  // namespace zerobuffer::serve
