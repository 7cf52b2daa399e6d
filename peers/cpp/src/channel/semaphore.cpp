#include "channel/semaphore.hpp"

#include <fcntl.h>

#include <cerrno>

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
        const auto before = identity_of(path);
        if (!before) return std::nullopt;
        Handle handle(::sem_open(semaphore.c_str(), 0));
        if (handle.get() == SEM_FAILED) {
            const int code = errno;
            static_cast<void>(handle.release());
            // EINVAL: a file too short to be a semaphore.
            if (code == ENOENT || code == EINVAL) return std::nullopt;
            throw_errno(name.text(), "opening semaphore " + semaphore, code);
        }
        if (identity_of(path) == before) {
            return Semaphore(std::move(handle), *before, std::move(path));
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
