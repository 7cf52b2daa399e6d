#include "serve/meeting.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "channel/file.hpp"
#include "serve/check.hpp"

namespace zerobuffer::serve {

namespace {

constexpr std::uint32_t kProcesses = 2;
constexpr Milliseconds kComes{20000};
// How long the other one is waited for without sleeping: a race is one only if both start at the
// same moment. One that takes longer has something else to do.
constexpr Milliseconds kSpin{5};
constexpr std::chrono::microseconds kPause{200};

}  // namespace

std::string Meeting::path(const BufferName& name) { return name.segment_path() + ".meeting"; }

Meeting::Meeting(const BufferName& name) : path_(path(name)) {
    const Descriptor file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    expect(static_cast<bool>(file), "could not open " + path_ + ": " + std::strerror(errno));
    // Zeroed by whoever is first; the other changes nothing.
    expect(::ftruncate(file.get(), sizeof *arrivals_) == 0,
           "could not size " + path_ + ": " + std::strerror(errno));
    void* mapped = ::mmap(nullptr, sizeof *arrivals_, PROT_READ | PROT_WRITE, MAP_SHARED,
                          file.get(), 0);
    expect(mapped != MAP_FAILED, "could not map " + path_ + ": " + std::strerror(errno));
    arrivals_ = static_cast<std::uint32_t*>(mapped);
}

Meeting::~Meeting() {
    ::munmap(arrivals_, sizeof *arrivals_);
    ::unlink(path_.c_str());
}

void Meeting::meet() {
    const std::atomic_ref arrivals(*arrivals_);
    const std::uint32_t all = ++met_ * kProcesses;
    const TimePoint sleepy = Clock::now() + kSpin;
    const TimePoint deadline = deadline_after(kComes);
    for (arrivals.fetch_add(1); arrivals.load() < all;) {
        expect(Clock::now() < deadline, "expected the other process at the meeting number " +
                                            std::to_string(met_) + ", found that it did not come");
        if (Clock::now() < sleepy) {
            ::sched_yield();
        } else {
            std::this_thread::sleep_for(kPause);
        }
    }
}

}  // namespace zerobuffer::serve
