#include "channel/semaphore.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "channel/error.hpp"

namespace zerobuffer {

namespace {

constexpr int kOpenAttempts = 100;
constexpr int kDrainAtOnce = 1 << 16;
constexpr mode_t kMode = 0666;

}  // namespace

std::optional<Semaphore> Semaphore::create(const BufferName& name, const std::string& semaphore) {
    Handle handle(::sem_open(semaphore.c_str(), O_CREAT | O_EXCL, kMode, 0));
    if (handle.get() == SEM_FAILED) {
        const int code = errno;
        static_cast<void>(handle.release());
        if (code == EEXIST) return std::nullopt;
        throw_errno(name.text(), "making semaphore " + semaphore, code);
    }
    std::string path = semaphore_path(semaphore);
    const auto identity = identity_of(path);
    if (!identity) return std::nullopt;
    return Semaphore(std::move(handle), *identity, std::move(path));
}

std::optional<Semaphore> Semaphore::open(const BufferName& name, const std::string& semaphore) {
    std::string path = semaphore_path(semaphore);
    // sem_open does not tell which file it opened, so the name has to mean the same file before
    // and after.
    for (int attempt = 0; attempt < kOpenAttempts; ++attempt) {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) return std::nullopt;
        // sem_open maps a file that is too short as well, and the first touch of a page beyond its
        // end ends the process.
        if (static_cast<std::uint64_t>(info.st_size) < sizeof(sem_t)) return std::nullopt;
        const FileIdentity before{info.st_dev, info.st_ino};
        Handle handle(::sem_open(semaphore.c_str(), 0));
        if (handle.get() == SEM_FAILED) {
            const int code = errno;
            static_cast<void>(handle.release());
            if (code == ENOENT) return std::nullopt;
            throw_errno(name.text(), "opening semaphore " + semaphore, code);
        }
        if (identity_of(path) == before) {
            return Semaphore(std::move(handle), before, std::move(path));
        }
    }
    return std::nullopt;
}

void Semaphore::post() noexcept { ::sem_post(handle_.get()); }

bool Semaphore::try_wait() noexcept {
    while (::sem_trywait(handle_.get()) != 0) {
        if (errno != EINTR) return false;
    }
    return true;
}

bool Semaphore::wait_until(TimePoint deadline) noexcept {
    const timespec until = to_timespec(deadline);
    while (::sem_clockwait(handle_.get(), CLOCK_MONOTONIC, &until) != 0) {
        if (errno != EINTR) return false;
    }
    return true;
}

void Semaphore::drain() noexcept {
    for (int i = 0; i < kDrainAtOnce && try_wait(); ++i) {
    }
}

int Semaphore::value() const noexcept {
    int value = 0;
    ::sem_getvalue(handle_.get(), &value);
    return value;
}

}  // namespace zerobuffer
