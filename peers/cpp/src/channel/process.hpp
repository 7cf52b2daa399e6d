#pragma once
// Another process, and whether it still lives.

#include <cstdint>
#include <string>

#include "channel/file.hpp"

namespace zerobuffer {

class Process {
public:
    // No process.
    Process() = default;
    // The process that has this id now; whoever gets the id later is another one.
    explicit Process(std::uint64_t pid);

    std::uint64_t pid() const noexcept { return pid_; }
    // A zombie is dead.
    bool alive() const noexcept;

private:
    enum class Known { dead, ourselves, by_descriptor, by_start_time };

    std::uint64_t pid_ = 0;
    Known known_ = Known::dead;
    Descriptor descriptor_;
    std::string start_time_;
};

}  // namespace zerobuffer
