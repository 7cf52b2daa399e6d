// What a server may remove of a client that has died, and what is somebody's still.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "channel/buffer_files.hpp"
#include "channel/file_lock.hpp"
#include "channel/reader.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr std::uint64_t kDead = 0x7FFFFFF0;

std::uint64_t own_pid() { return static_cast<std::uint64_t>(::getpid()); }

// A buffer's files without a reader that holds them, as those leave them that die.
struct Left {
    explicit Left(const std::string& base) : name(unique_name(base)) {
        Semaphore::create(name, name.data_semaphore());
        Semaphore::create(name, name.space_semaphore());
        Descriptor(::open(name.lock_path().c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    }
    Left(const std::string& base, std::uint64_t reader, std::uint64_t writer) : Left(base) {
        Segment segment = Segment::create(name, {64, 1024});
        segment.field(Field::reader_pid).store(reader);
        segment.field(Field::writer_pid).store(writer);
        check(segment.publish(name), "expected the name to be free");
    }
    ~Left() {
        for (const std::string& path : paths()) ::unlink(path.c_str());
    }

    std::vector<std::string> paths() const {
        return {name.segment_path(), semaphore_path(name.data_semaphore()),
                semaphore_path(name.space_semaphore()), name.lock_path()};
    }

    // As if it had been made some time ago.
    void age() const {
        for (const std::string& path : paths()) {
            if (!identity_of(path)) continue;
            std::filesystem::last_write_time(
                path, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(6));
        }
    }

    void check_kept(const std::string& why,
                    std::source_location at = std::source_location::current()) const {
        check_goes(false, why, at);
    }
    void check_removed(const std::string& why,
                       std::source_location at = std::source_location::current()) const {
        check_goes(true, why, at);
    }

    BufferName name;

private:
    void check_goes(bool goes, const std::string& why, std::source_location at) const {
        remove_leftovers_of_dead_reader(name);
        for (const std::string& path : {paths()[1], paths()[2], paths()[3]}) {
            check(identity_of(path).has_value() != goes, why + ": " + path, at);
        }
    }
};

}  // namespace

TEST(what_a_dead_reader_left_is_removed_at_once) {
    const Left left("left", kDead, 0);
    left.check_removed("nobody uses it");
    check(!identity_of(left.name.segment_path()), "expected the segment to be gone too");
    Left("left-by-both", kDead, kDead).check_removed("both are dead");
}

TEST(what_a_living_writer_uses_is_kept) {
    const Left left("used", kDead, own_pid());
    left.check_kept("its writer lives");
    const Left closed("used-and-closed", 0, own_pid());
    closed.age();
    closed.check_kept("its writer lives, though its reader has left");
}

TEST(what_a_living_reader_has_is_kept_however_old) {
    const Left left("old", own_pid(), 0);
    left.age();
    left.check_kept("its reader lives");
}

TEST(a_buffer_in_the_making_is_kept_until_it_is_old) {
    const Left nameless("no-pid-yet", 0, 0);
    nameless.check_kept("its reader may be about to enter itself");
    nameless.age();
    nameless.check_removed("nobody makes a buffer for that long");

    const Left empty("no-header-yet");
    const Descriptor file(
        ::shm_open(empty.name.segment().c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    check_equal(0, ::ftruncate(file.get(), 4096));
    empty.check_kept("its reader may be about to fill it in");
    empty.age();
    empty.check_removed("nobody makes a buffer for that long");

    const Left locked("no-segment-yet");
    locked.check_kept("its reader may be about to make it");
    locked.age();
    locked.check_removed("nobody makes a buffer for that long");
}

TEST(leftovers_whose_lock_is_held_are_kept) {
    const Left left("locked", kDead, 0);
    const FileLock lock = FileLock::acquire(left.name);
    left.check_kept("somebody is making it anew");
}
