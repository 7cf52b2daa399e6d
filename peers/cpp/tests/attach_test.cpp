#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "channel/error.hpp"
#include "channel/file_lock.hpp"
#include "channel/reader.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"
#include "channel/writer.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{5000};
constexpr Milliseconds kNow{0};

template <class Exception>
void check_attach_fails(const BufferName& name) {
    check_throws<Exception>([&] { Writer::connect(name, {kNow}); });
}

// A buffer whose header a test changes.
struct Altered {
    Altered() : name(unique_name("altered")), reader(Reader::create(name, {{64, 1024}})) {}

    void set_u32(std::size_t offset, std::uint32_t value) { set(offset, &value, sizeof value); }
    void set_u64(Field field, std::uint64_t value) {
        set(static_cast<std::size_t>(field), &value, sizeof value);
    }
    void set(std::size_t offset, const void* value, std::size_t size) {
        const Descriptor file(::open(name.segment_path().c_str(), O_RDWR | O_CLOEXEC));
        check_equal(static_cast<ssize_t>(size),
                    ::pwrite(file.get(), value, size, static_cast<off_t>(offset)));
    }

    BufferName name;
    Reader reader;
};

}  // namespace

TEST(a_writer_waits_until_its_buffer_is_made) {
    const BufferName name(unique_name("late"));
    std::optional<Reader> reader;
    std::jthread later([&] {
        std::this_thread::sleep_for(Milliseconds{100});
        reader = Reader::create(name, {{64, 1024}});
    });
    Writer writer = Writer::connect(name, {kSoon});
    later.join();
    writer.write(bytes("x"));
    check(reader->read(kSoon).has_value(), "expected a frame");
}

TEST(a_writer_gives_up_when_its_time_is_up) {
    const BufferName name(unique_name("never"));
    const TimePoint start = Clock::now();
    check_throws<BufferNotFound>([&] { Writer::connect(name, {Milliseconds{100}}); });
    check(elapsed_since(start) >= Milliseconds{100}, "expected to wait the time given");
    check_time(start, Milliseconds{200});
}

TEST(a_half_made_segment_is_not_ready) {
    const BufferName name(unique_name("half"));
    const Descriptor file(::shm_open(name.segment().c_str(), O_CREAT | O_RDWR, 0600));
    for (const off_t size : {0, 64, 127, 128, 4096}) {
        check_equal(0, ::ftruncate(file.get(), size));
        check_attach_fails<NotReady>(name);
    }
    ::shm_unlink(name.segment().c_str());
}

TEST(a_segment_that_ends_within_its_header_is_not_ready) {
    Altered whole;
    const BufferName name(unique_name("short"));
    const Descriptor source(::open(whole.name.segment_path().c_str(), O_RDONLY | O_CLOEXEC));
    const Descriptor target(::shm_open(name.segment().c_str(), O_CREAT | O_RDWR, 0600));
    char header[100];
    check_equal(100, ::pread(source.get(), header, sizeof header, 0));
    check_equal(100, ::pwrite(target.get(), header, sizeof header, 0));
    check_attach_fails<NotReady>(name);
    ::shm_unlink(name.segment().c_str());
}

TEST(headers_of_other_protocols_are_refused_at_once) {
    Altered other;
    other.set_u32(kOiebSizeOffset, 64);
    check_attach_fails<IncompatibleVersion>(other.name);
    other.set_u32(kOiebSizeOffset, 128);
    other.set_u32(kVersionOffset, 2);
    check_attach_fails<IncompatibleVersion>(other.name);
    // A later minor version is still understood.
    other.set_u32(kVersionOffset, 1 + (7U << 8));
    Writer::connect(other.name, {kNow});
}

TEST(sizes_that_do_not_make_the_segment_are_corrupt) {
    Altered other;
    for (const std::uint64_t size : {std::uint64_t{960}, std::uint64_t{1088}, ~std::uint64_t{0}}) {
        other.set_u64(Field::payload_size, size);
        check_attach_fails<Corrupt>(other.name);
    }
    other.set_u64(Field::payload_size, 1024);
    other.set_u64(Field::metadata_size, ~std::uint64_t{0} - 100);
    check_attach_fails<Corrupt>(other.name);
    other.set_u64(Field::metadata_size, 64);
    other.set_u64(Field::payload_write_pos, 1025);
    check_attach_fails<Corrupt>(other.name);
    other.set_u64(Field::payload_write_pos, 1024);
    Writer writer = Writer::connect(other.name, {kNow});
    writer.write(bytes("x"));
    check(other.reader.read(kSoon).has_value(), "expected the frame at the beginning");
}

TEST(a_buffer_without_reader_or_semaphores_is_not_ready) {
    Altered other;
    other.set_u64(Field::reader_pid, 0);
    check_attach_fails<NotReady>(other.name);
    other.set_u64(Field::reader_pid, 0x7FFFFFF0);
    check_attach_fails<NotReady>(other.name);
    other.set_u64(Field::reader_pid, static_cast<std::uint64_t>(::getpid()));
    ::sem_unlink(other.name.space_semaphore().c_str());
    check_attach_fails<NotReady>(other.name);
    check_equal(0U, Segment::open(other.name).field(Field::writer_pid).load());
}

TEST(a_semaphore_too_short_to_be_one_is_not_ready) {
    Altered other;
    const std::string path = semaphore_path(other.name.data_semaphore());
    for (const off_t size : {0, 4, 31}) {
        ::unlink(path.c_str());
        const Descriptor file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        check_equal(0, ::ftruncate(file.get(), size));
        check_attach_fails<NotReady>(other.name);
    }
    ::unlink(path.c_str());
}

TEST(a_semaphore_that_is_being_replaced_is_followed_once_it_is_whole) {
    Altered other;
    Writer writer = Writer::connect(other.name);
    writer.write(bytes("x"));
    const std::string path = semaphore_path(other.name.data_semaphore());
    ::unlink(path.c_str());
    const Descriptor file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    writer.check_reader();
    check_equal(0, ::ftruncate(file.get(), sizeof(sem_t)));
    writer.check_reader();
    check_equal(1, Semaphore::open(other.name, other.name.data_semaphore())->value());
    ::unlink(path.c_str());
}

TEST(a_reader_that_settles_an_account_is_waited_for) {
    const BufferName name(unique_name("settling"));
    const Reader reader = Reader::create(name, {{64, 1024}});
    const Segment segment = Segment::open(name);
    // As a reader does it after a writer's death, but not as quickly.
    segment.field(Field::writer_pid).store(static_cast<std::uint64_t>(::getpid()));
    const std::jthread settling([&] {
        std::this_thread::sleep_for(Milliseconds(50));
        segment.field(Field::writer_pid).store(0);
    });
    Writer writer = Writer::connect(name, {.connect_timeout = Milliseconds(0)});
    writer.write(bytes("x"));
}

TEST(semaphores_replaced_after_attaching_are_followed) {
    Altered other;
    Writer writer = Writer::connect(other.name);
    writer.check_reader();
    ::sem_unlink(other.name.data_semaphore().c_str());
    const auto fresh = Semaphore::create(other.name, other.name.data_semaphore());
    // Posted on the old one, which nobody waits on any more.
    writer.write(bytes("x"));
    writer.write(bytes("y"));
    check_equal(0, fresh->value());
    writer.check_reader();
    check_equal(2, fresh->value());
    ::sem_unlink(other.name.data_semaphore().c_str());
}

TEST(a_semaphore_replaced_before_the_first_frame_is_not_posted) {
    Altered other;
    Writer writer = Writer::connect(other.name);
    ::sem_unlink(other.name.data_semaphore().c_str());
    const auto fresh = Semaphore::create(other.name, other.name.data_semaphore());
    writer.check_reader();
    check_equal(0, fresh->value());
    writer.write(bytes("x"));
    check_equal(1, fresh->value());
    ::sem_unlink(other.name.data_semaphore().c_str());
}

TEST(leftovers_of_a_name_are_removed_when_it_is_made_anew) {
    const BufferName name(unique_name("leftover"));
    Semaphore::create(name, name.data_semaphore())->post();
    Semaphore::create(name, name.space_semaphore())->post();
    Descriptor(::shm_open(name.segment().c_str(), O_CREAT | O_RDWR, 0600));
    Reader reader = Reader::create(name, {{64, 1024}});
    check_equal(0, Semaphore::open(name, name.data_semaphore())->value());
    Writer::connect(name).write(bytes("x"));
    check(reader.read(kSoon).has_value(), "expected a frame");
}

TEST(a_lock_that_is_held_for_a_moment_is_waited_for) {
    const BufferName name(unique_name("swept"));
    auto lock = std::make_unique<FileLock>(FileLock::acquire(name));
    const TimePoint start = Clock::now();
    TimePoint released{};
    std::jthread sweeper([&] {
        std::this_thread::sleep_for(Milliseconds{20});
        lock.reset();
        released = Clock::now();
    });
    std::optional<Reader> reader;
    try {
        reader = Reader::create(name, {{64, 1024}});
    } catch (const ReaderAlreadyConnected&) {
        sweeper.join();
        if (released > start + Milliseconds{80}) throw TooLate("held for longer than a moment");
        throw;
    }
    check(identity_of(name.lock_path()).has_value(), "expected a lock file of its own");
}

TEST(a_failed_creation_leaves_nothing) {
    const BufferName name(unique_name("huge"));
    check_throws<NoSpace>([&] { Reader::create(name, {{64, std::uint64_t{1} << 50}}); });
    check_throws<InvalidSize>([&] { Reader::create(name, {{64, ~std::uint64_t{0}}}); });
    check_throws<InvalidSize>([&] { Reader::create(name, {{64, 0}}); });
    check(!identity_of(name.segment_path()) && !identity_of(name.lock_path()) &&
              !identity_of(semaphore_path(name.data_semaphore())),
          "expected nothing");
}
