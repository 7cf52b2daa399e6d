#include "channel/process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <limits>
#include <sstream>

namespace zerobuffer {

namespace {

// When a process was started, in clock ticks since boot; empty for a dead one.
std::string start_time_of(std::uint64_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    // The second field is the program's name, in parentheses, and may hold anything.
    const auto end = line.rfind(')');
    if (end == std::string::npos) return {};
    std::istringstream fields(line.substr(end + 1));
    std::string field;
    fields >> field;
    if (field == "Z" || field == "X") return {};
    // The state is field 3, the start time field 22.
    for (int i = 4; i <= 22; ++i) fields >> field;
    return fields ? field : std::string{};
}

}  // namespace

Process::Process(std::uint64_t pid) : pid_(pid) {
    if (pid == 0 || pid > static_cast<std::uint64_t>(std::numeric_limits<pid_t>::max())) return;
    if (pid == static_cast<std::uint64_t>(::getpid())) {
        known_ = Known::ourselves;
        return;
    }
    const long fd = ::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0U);
    if (fd >= 0) {
        descriptor_ = Descriptor(static_cast<int>(fd));
        known_ = Known::by_descriptor;
        return;
    }
    // ESRCH: no such process; EINVAL: a thread's id, not a process's.
    if (errno == ESRCH || errno == EINVAL) return;
    start_time_ = start_time_of(pid);
    if (!start_time_.empty()) known_ = Known::by_start_time;
}

bool Process::alive() const noexcept {
    switch (known_) {
        case Known::dead:
            return false;
        case Known::ourselves:
            return true;
        case Known::by_descriptor: {
            pollfd descriptor{descriptor_.get(), POLLIN, 0};
            int ready;
            do {
                ready = ::poll(&descriptor, 1, 0);
            } while (ready < 0 && errno == EINTR);
            return ready <= 0;
        }
        case Known::by_start_time:
            try {
                return start_time_of(pid_) == start_time_;
            } catch (...) {
                return true;  // No memory to find out: looked at again on the next tick.
            }
    }
    return false;
}

}  // namespace zerobuffer
