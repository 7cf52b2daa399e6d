#include "channel/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

#include "channel/clock.hpp"
#include "channel/error.hpp"

namespace zerobuffer {

namespace {

// Other readers, when they are made, try the lock of every file in the folder for a moment.
constexpr Milliseconds kPatience{100};
constexpr Milliseconds kPause{1};
constexpr int kRestarts = 1000;

void make_folder(const BufferName& name) {
    const std::string folder(kLockFolder);
    if (::mkdir(folder.c_str(), 0777) == 0) {
        // Open to all users, whatever the umask, but each to his own files.
        ::chmod(folder.c_str(), 01777);
    } else if (errno != EEXIST) {
        throw_errno(name.text(), "making " + folder, errno);
    }
}

Descriptor open_file(const BufferName& name, const std::string& path) {
    // First without O_CREAT: with it, another user's file in a sticky folder is refused.
    for (int attempt = 0; attempt < kRestarts; ++attempt) {
        for (const int flags : {0, O_CREAT | O_EXCL}) {
            Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0666));
            if (file) return file;
            const int code = errno;
            if (code != ENOENT && code != EEXIST) throw_errno(name.text(), "opening " + path, code);
            if (code == ENOENT && flags != 0) make_folder(name);
        }
    }
    throw Io(name.text(), "opening " + path, EAGAIN);
}

bool lock(const BufferName& name, int fd) {
    const TimePoint deadline = deadline_after(kPatience);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) throw_errno(name.text(), "locking its lock file", errno);
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(kPause);
    }
    return true;
}

}  // namespace

FileLock FileLock::acquire(const BufferName& name) {
    make_folder(name);
    const std::string path = name.lock_path();
    for (int attempt = 0; attempt < kRestarts; ++attempt) {
        Descriptor file = open_file(name, path);
        if (!lock(name, file.get())) throw ReaderAlreadyConnected(name.text());
        // The file may have been removed between opening and locking it.
        const auto locked = identity_of(file.get());
        if (locked && identity_of(path) == locked) {
            return FileLock(std::move(file), NamedFile(path, *locked));
        }
    }
    throw Io(name.text(), "locking " + path, EAGAIN);
}

void FileLock::release() noexcept {
    file_.remove();
    descriptor_.reset();
}

}  // namespace zerobuffer
