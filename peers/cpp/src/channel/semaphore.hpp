#pragma once
// A named POSIX semaphore, opened so that its file is known.

#include <semaphore.h>

#include <memory>
#include <optional>
#include <string>

#include "channel/clock.hpp"
#include "channel/file.hpp"
#include "channel/name.hpp"

namespace zerobuffer {

class Semaphore {
public:
    // A new one of value 0. Nothing when the name is taken.
    static std::optional<Semaphore> create(const BufferName& name, const std::string& semaphore);
    // Nothing when there is none, or none yet.
    static std::optional<Semaphore> open(const BufferName& name, const std::string& semaphore);

    // A semaphore at its largest value stays as it is: whoever waits has been told already.
    void post() noexcept;
    bool try_wait() noexcept;
    bool wait_until(TimePoint deadline) noexcept;
    // Takes what is there, up to a bound, so that no value keeps anybody here for ever.
    void drain() noexcept;
    int value() const noexcept;

    const FileIdentity& identity() const noexcept { return identity_; }
    const std::string& path() const noexcept { return path_; }

private:
    struct Close {
        void operator()(sem_t* semaphore) const noexcept { ::sem_close(semaphore); }
    };
    using Handle = std::unique_ptr<sem_t, Close>;

    Semaphore(Handle handle, FileIdentity identity, std::string path)
        : handle_(std::move(handle)), identity_(identity), path_(std::move(path)) {}

    Handle handle_;
    FileIdentity identity_;
    std::string path_;
};

}  // namespace zerobuffer
