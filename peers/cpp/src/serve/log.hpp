#pragma once
// What a step server tells: kept for the answer of the step, and printed to stderr.

#include <deque>
#include <mutex>
#include <string>

namespace zerobuffer::serve {

// The numbers that orchestrators know.
enum class Level { trace = 0, debug, information, warning, error, critical, none };

struct LogEntry {
    std::string timestamp;  // ISO 8601, UTC
    Level level;
    std::string message;
};

// For any thread.
class Log {
public:
    // Entries below `printed` are not printed to stderr; they are kept all the same.
    explicit Log(Level printed) : printed_(printed) {}

    void write(Level level, std::string message);
    void debug(std::string message) { write(Level::debug, std::move(message)); }
    void info(std::string message) { write(Level::information, std::move(message)); }
    void warn(std::string message) { write(Level::warning, std::move(message)); }
    void error(std::string message) { write(Level::error, std::move(message)); }

    // Everything since it was last called, but of very much only the latest.
    std::deque<LogEntry> take();

private:
    Level printed_;
    std::mutex mutex_;
    std::deque<LogEntry> entries_;
};

// From ZEROBUFFER_LOG_LEVEL: a level's name in any case, or its number. Information where it is
// unset or unknown.
Level level_from_environment();

}  // namespace zerobuffer::serve
