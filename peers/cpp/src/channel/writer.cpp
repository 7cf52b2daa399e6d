#include "channel/writer.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "channel/error.hpp"
#include "channel/process.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"

namespace zerobuffer {

namespace {

constexpr Milliseconds kRecoveryPatience{300};
constexpr Milliseconds kShortestPause{1};
constexpr Milliseconds kLongestPause{10};

Semaphore open_semaphore(const BufferName& name, const std::string& semaphore) {
    auto opened = Semaphore::open(name, semaphore);
    if (!opened) throw NotReady(name.text(), "semaphore " + semaphore + " is missing");
    return std::move(*opened);
}

// Whether the name means another file now. A name that means none is no reason to leave.
bool replaced(const std::string& path, const FileIdentity& identity) {
    const auto now = identity_of(path);
    return now && *now != identity;
}

}  // namespace

class WriterCore : public Holding, public std::enable_shared_from_this<WriterCore> {
public:
    // Opens everything, and takes nothing yet.
    WriterCore(const BufferName& name, const WriterOptions& options);
    ~WriterCore() override { close(); }

    std::uint64_t writer_pid() { return field(Field::writer_pid).load(std::memory_order_acquire); }
    std::uint64_t reader_pid() const noexcept { return reader_pid_; }
    // Becomes the writer in place of `pid`, 0 or a dead one.
    bool take_place_of(std::uint64_t pid);

    Loan loan(std::uint64_t size, std::uint64_t sequence);
    std::uint64_t next_sequence() const noexcept { return next_sequence_; }
    void commit(const Placement& placement, std::uint64_t sequence, std::uint64_t size);
    void drop() noexcept { lent_ = false; }
    void set_metadata(std::span<const std::byte> data);
    void set_write_timeout(Milliseconds timeout) noexcept { write_timeout_ = timeout; }
    void check_reader();
    const Segment& segment() const noexcept { return segment_; }
    void close() noexcept override;

private:
    std::atomic_ref<std::uint64_t> field(Field field) { return segment_.field(field); }
    void leave() noexcept;
    void load_position();
    void follow_replaced_semaphores();
    void check_reader_now_and_then();
    void wait_for_space(const Placement& placement);
    std::uint64_t free_bytes();
    void mark_wrap(const Placement& placement);

    BufferName name_;
    // Made once: writing takes no memory.
    std::string segment_path_ = name_.segment_path();
    pid_t maker_ = ::getpid();
    std::atomic<bool> attached_ = false;
    std::atomic<bool> closed_ = false;
    Segment segment_;
    Semaphore data_;
    Semaphore space_;
    std::uint64_t reader_pid_;
    Process reader_;
    Milliseconds write_timeout_;
    WriteRing ring_{0, 0};
    std::uint64_t written_count_ = 0;
    std::uint64_t next_sequence_ = 1;
    bool lent_ = false;
    TimePoint next_check_{};
    // Frames told of before the reader read its first: those may have been told of in vain.
    std::uint64_t posts_ = 0;
};

WriterCore::WriterCore(const BufferName& name, const WriterOptions& options)
    : name_(name),
      segment_(Segment::open(name)),
      data_(open_semaphore(name, name.data_semaphore())),
      space_(open_semaphore(name, name.space_semaphore())),
      reader_pid_(field(Field::reader_pid).load(std::memory_order_acquire)),
      reader_(reader_pid_),
      write_timeout_(options.write_timeout) {
    if (!reader_.alive()) throw NotReady(name_.text(), "its reader has left or died");
}

bool WriterCore::take_place_of(std::uint64_t pid) {
    const auto own = static_cast<std::uint64_t>(maker_);
    // Pairs with the release of whoever wrote the pid before: its positions are seen after this.
    if (!field(Field::writer_pid).compare_exchange_strong(pid, own, std::memory_order_acq_rel)) {
        return false;
    }
    attached_ = true;
    if (closed_) {
        // Closed by another thread, perhaps before there was anything to leave.
        leave();
        throw Closed(name_.text());
    }
    load_position();
    if (replaced(segment_path_, segment_.identity())) {
        throw NotReady(name_.text(), "another reader is making it anew");
    }
    follow_replaced_semaphores();
    return true;
}

void WriterCore::load_position() {
    const std::uint64_t capacity = segment_.payload().size();
    const std::uint64_t position = field(Field::payload_write_pos).load(std::memory_order_acquire);
    if (position > capacity) {
        throw Corrupt(name_.text(), "write position " + std::to_string(position) +
                                        " in a ring of " + std::to_string(capacity));
    }
    ring_ = WriteRing(capacity, position);
    written_count_ = field(Field::payload_written_count).load(std::memory_order_acquire);
}

// Some readers replace leftover semaphores after their segment is there to be attached to. What
// was posted on the old one is posted again, as the reader never saw it; but not more than that: a
// stock reader takes a post without a frame for a wrap marker, and never recovers.
void WriterCore::follow_replaced_semaphores() {
    if (replaced(data_.path(), data_.identity())) {
        if (auto fresh = Semaphore::open(name_, name_.data_semaphore())) {
            data_ = std::move(*fresh);
            for (std::uint64_t post = 0; post < posts_; ++post) data_.post();
        }
    }
    if (replaced(space_.path(), space_.identity())) {
        if (auto fresh = Semaphore::open(name_, name_.space_semaphore())) {
            space_ = std::move(*fresh);
        }
    }
}

void WriterCore::check_reader() {
    if (closed_) throw Closed(name_.text());
    next_check_ = Clock::now() + kTick;
    const bool same =
        field(Field::reader_pid).load(std::memory_order_acquire) == reader_pid_ &&
        reader_.alive() && !replaced(segment_path_, segment_.identity());
    if (!same) throw ReaderDead(name_.text());
    follow_replaced_semaphores();
}

// A reader's death is noticed between waits too, but not at the price of a system call a frame.
void WriterCore::check_reader_now_and_then() {
    if (closed_) throw Closed(name_.text());
    if (field(Field::reader_pid).load(std::memory_order_acquire) != reader_pid_) {
        throw ReaderDead(name_.text());
    }
    if (Clock::now() >= next_check_) check_reader();
}

std::uint64_t WriterCore::free_bytes() {
    // Pairs with the reader's release when it gives a frame back: it has done with those bytes.
    const std::uint64_t free =
        field(Field::payload_free_bytes).load(std::memory_order_acquire);
    if (free > ring_.capacity()) {
        throw Corrupt(name_.text(), std::to_string(free) + " bytes free of " +
                                        std::to_string(ring_.capacity()));
    }
    return free;
}

void WriterCore::wait_for_space(const Placement& placement) {
    const TimePoint deadline = deadline_after(write_timeout_);
    for (;;) {
        // Before the tests, never between them and the wait: a post that comes later counts.
        space_.drain();
        check_reader_now_and_then();
        const std::uint64_t free = free_bytes();
        if (free >= placement.need()) return;
        const TimePoint now = Clock::now();
        if (now >= deadline) throw BufferFull(name_.text(), placement.need(), free);
        space_.wait_until(std::min(deadline, now + kTick));
    }
}

Loan WriterCore::loan(std::uint64_t size, std::uint64_t sequence) {
    if (lent_) throw Error(name_.text(), "the last loan is neither committed nor dropped");
    if (size == 0) throw InvalidFrameSize(name_.text());
    const auto placement = ring_.place(size);
    if (!placement) {
        throw FrameTooLarge(name_.text(), size, ring_.position(), ring_.capacity());
    }
    wait_for_space(*placement);
    lent_ = true;
    const auto data = segment_.payload().subspan(placement->offset + FrameHeader::kSize, size);
    return Loan(shared_from_this(), data, sequence, *placement);
}

// Nothing shared changes before this, so a writer that dies while filling a loan leaves no trace.
void WriterCore::commit(const Placement& placement, std::uint64_t sequence, std::uint64_t size) {
    lent_ = false;
    // Another writer may be attached by now.
    if (closed_) throw Closed(name_.text());
    if (placement.skipped > 0) mark_wrap(placement);
    store_header(segment_.payload().data() + placement.offset, {size, sequence});
    ring_.advance(placement);
    written_count_ += placement.skipped > 0 ? 2 : 1;
    // Pairs with the reader's acquire: whoever sees the bytes as written sees the frame.
    field(Field::payload_free_bytes).fetch_sub(placement.need(), std::memory_order_release);
    field(Field::payload_write_pos).store(ring_.position(), std::memory_order_release);
    field(Field::payload_written_count).store(written_count_, std::memory_order_release);
    data_.post();
    if (field(Field::payload_read_count).load(std::memory_order_relaxed) == 0) ++posts_;
    next_sequence_ = sequence + 1;
}

void WriterCore::mark_wrap(const Placement& placement) {
    std::byte* at = segment_.payload().data() + ring_.position();
    if (placement.skipped >= FrameHeader::kSize) {
        store_header(at, {0, 0});
    } else {
        std::memset(at, 0, placement.skipped);
    }
}

void WriterCore::set_metadata(std::span<const std::byte> data) {
    if (data.empty()) throw InvalidFrameSize(name_.text());
    if (field(Field::metadata_written_bytes).load(std::memory_order_acquire) != 0) {
        throw MetadataAlreadyWritten(name_.text());
    }
    const auto block = segment_.metadata();
    if (block.size() < kMetadataPrefix || data.size() > block.size() - kMetadataPrefix) {
        throw MetadataTooLarge(name_.text(), data.size(), block.size());
    }
    const std::uint64_t size = data.size();
    std::memcpy(block.data(), &size, sizeof size);
    std::memcpy(block.data() + kMetadataPrefix, data.data(), data.size());
    const std::uint64_t written = kMetadataPrefix + size;
    field(Field::metadata_free_bytes).store(block.size() - written, std::memory_order_relaxed);
    field(Field::metadata_written_bytes).store(written, std::memory_order_release);
}

void WriterCore::close() noexcept {
    if (maker_ != ::getpid() || closed_.exchange(true) || !attached_) return;
    leave();
}

void WriterCore::leave() noexcept {
    auto own = static_cast<std::uint64_t>(maker_);
    field(Field::writer_pid).compare_exchange_strong(own, 0, std::memory_order_acq_rel);
}

Loan& Loan::operator=(Loan&& other) noexcept {
    if (this != &other) {
        drop();
        writer_ = std::move(other.writer_);
        data_ = other.data_;
        sequence_ = other.sequence_;
        placement_ = other.placement_;
    }
    return *this;
}

void Loan::commit() {
    if (const auto writer = std::exchange(writer_, nullptr)) {
        writer->commit(placement_, sequence_, data_.size());
    }
}

void Loan::drop() noexcept {
    if (const auto writer = std::exchange(writer_, nullptr)) writer->drop();
}

Writer Connector::attempt() {
    // Whatever ends this attempt early, there is no recovery to be awaited any more.
    const std::uint64_t left = std::exchange(leaving_, 0);
    auto core = make_held(options_.holdings, name_.text(),
                          [&] { return std::make_shared<WriterCore>(name_, options_); });
    const std::uint64_t pid = core->writer_pid();
    // For a moment the reader itself stands there: while it settles a dead writer's account.
    const bool is_reader = pid == core->reader_pid();
    if (pid != 0 && !is_reader && Process(pid).alive()) {
        throw WriterAlreadyConnected(name_.text(), pid);
    }
    if (pid != left) leaving_since_ = Clock::now();
    if (pid != 0 && Clock::now() < leaving_since_ + kRecoveryPatience) {
        leaving_ = pid;
        throw NotReady(name_.text(), "its last writer died a moment ago");
    }
    if (pid != 0 && is_reader) throw WriterAlreadyConnected(name_.text(), pid);
    // Where somebody else was quicker, the next attempt tells who.
    if (!core->take_place_of(pid)) return attempt();
    return Writer(std::move(core));
}

Writer Writer::connect(const BufferName& name, const WriterOptions& options) {
    const TimePoint deadline = deadline_after(options.connect_timeout);
    Connector connector(name, options);
    for (Milliseconds pause = kShortestPause;; pause = std::min(2 * pause, kLongestPause)) {
        try {
            return connector.attempt();
        } catch (const NotReady&) {
            if (Clock::now() >= deadline && !connector.awaits_recovery()) throw;
        }
        std::this_thread::sleep_for(pause);
    }
}

Writer& Writer::operator=(Writer&& other) noexcept {
    close();
    core_ = std::move(other.core_);
    return *this;
}

Loan Writer::loan(std::uint64_t size) { return core_->loan(size, core_->next_sequence()); }

Loan Writer::loan(std::uint64_t size, std::uint64_t sequence) {
    return core_->loan(size, sequence);
}

std::uint64_t Writer::write(std::span<const std::byte> data) {
    Loan lent = loan(data.size());
    if (!data.empty()) std::memcpy(lent.data().data(), data.data(), data.size());
    lent.commit();
    return lent.sequence();
}

std::uint64_t Writer::next_sequence() const noexcept { return core_->next_sequence(); }

void Writer::set_metadata(std::span<const std::byte> data) { core_->set_metadata(data); }

void Writer::set_write_timeout(Milliseconds timeout) noexcept { core_->set_write_timeout(timeout); }

void Writer::check_reader() { core_->check_reader(); }

std::uint64_t Writer::payload_size() const noexcept { return core_->segment().payload().size(); }

std::uint64_t Writer::metadata_size() const noexcept { return core_->segment().metadata().size(); }

void Writer::close() noexcept {
    if (core_) core_->close();
}

}  // namespace zerobuffer
