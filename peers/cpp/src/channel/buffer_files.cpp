#include "channel/buffer_files.hpp"

#include <semaphore.h>
#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "channel/error.hpp"
#include "channel/process.hpp"

namespace zerobuffer {

namespace {

constexpr int kRestarts = 100;
// Making a buffer takes less.
constexpr std::chrono::seconds kOld{5};

// Only under the lock. A writer that is still attached notices, and moves over.
void remove_leftovers(const BufferName& name) {
    ::shm_unlink(name.segment().c_str());
    ::sem_unlink(name.data_semaphore().c_str());
    ::sem_unlink(name.space_semaphore().c_str());
}

std::optional<Owned<Semaphore>> create_semaphore(const BufferName& name,
                                                 const std::string& semaphore) {
    auto made = Semaphore::create(name, semaphore);
    if (!made) return std::nullopt;
    std::string path = made->path();
    return Owned<Semaphore>(std::move(*made), std::move(path));
}

std::optional<Owned<Segment>> create_segment(const BufferName& name, const BlockSizes& sizes) {
    Segment segment = Segment::create(name, sizes);
    if (!segment.publish(name)) return std::nullopt;
    return Owned<Segment>(std::move(segment), name.segment_path());
}

// Of the segment, or of the lock file where there is none.
bool is_old(const BufferName& name) {
    for (const std::string& path : {name.segment_path(), name.lock_path()}) {
        std::error_code none;
        const auto changed = std::filesystem::last_write_time(path, none);
        if (!none) return std::filesystem::file_time_type::clock::now() - changed > kOld;
    }
    return false;
}

// Whether nobody uses the buffer any more, and nobody is making it. A header that names a dead
// reader says so; one that names none, or is not there, may be one in the making, unless it is old.
bool is_abandoned(const BufferName& name) {
    try {
        const Pids pids = Segment::pids(name);
        if (Process(pids.reader).alive() || Process(pids.writer).alive()) return false;
        return pids.reader != 0 || is_old(name);
    } catch (const Error&) {
        return is_old(name);
    }
}

}  // namespace

BufferFiles::BufferFiles(FileLock lock, Owned<Semaphore> data, Owned<Semaphore> space,
                         Owned<Segment> segment)
    : lock_(std::move(lock)),
      data_(std::move(data)),
      space_(std::move(space)),
      segment_(std::move(segment)) {}

BufferFiles BufferFiles::create(const BufferName& name, const BlockSizes& sizes) {
    const BlockSizes rounded = sizes.rounded(name);
    for (int attempt = 0; attempt < kRestarts; ++attempt) {
        if (auto files = try_create(name, rounded)) return std::move(*files);
    }
    throw Io(name.text(), "making the buffer: its files are removed again and again", EAGAIN);
}

std::optional<BufferFiles> BufferFiles::try_create(const BufferName& name,
                                                   const BlockSizes& sizes) {
    FileLock lock = FileLock::acquire(name);
    remove_leftovers(name);
    auto data = create_semaphore(name, name.data_semaphore());
    if (!data) return std::nullopt;
    auto space = create_semaphore(name, name.space_semaphore());
    if (!space) return std::nullopt;
    auto segment = create_segment(name, sizes);
    if (!segment) return std::nullopt;
    BufferFiles files(std::move(lock), std::move(*data), std::move(*space), std::move(*segment));
    // A peer that sweeps the folder unlinks a lock file after letting go of it: it may have had
    // this one just before us.
    if (!files.in_place()) return std::nullopt;
    return files;
}

bool BufferFiles::in_place() const noexcept {
    return lock_.in_place() && data_.file.in_place() && space_.file.in_place() &&
           segment_.file.in_place();
}

void BufferFiles::remove() noexcept {
    segment_.file.remove();
    data_.file.remove();
    space_.file.remove();
    lock_.release();
}

void remove_leftovers_of_dead_reader(const BufferName& name) {
    if (!identity_of(name.segment_path()) && !identity_of(name.lock_path())) return;
    if (!is_abandoned(name)) return;
    try {
        FileLock lock = FileLock::acquire(name);
        if (is_abandoned(name)) remove_leftovers(name);
    } catch (const ReaderAlreadyConnected&) {
        // Somebody holds the lock: theirs to keep or remove.
    }
}

}  // namespace zerobuffer
