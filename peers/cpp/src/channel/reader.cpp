#include "channel/reader.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "channel/buffer_files.hpp"
#include "channel/error.hpp"
#include "channel/process.hpp"

namespace zerobuffer {

namespace {

enum class WriterState { none_yet, attached, left, dead };

// How long an account that is not in order has to stay as it is: a writer may be in the middle of a
// frame. And how long that is waited for.
constexpr Milliseconds kStill{300};
constexpr Milliseconds kAuditPatience{600};
constexpr Milliseconds kAuditPause{1};

}  // namespace

class ReaderCore : public Holding, public std::enable_shared_from_this<ReaderCore> {
public:
    ReaderCore(const BufferName& name, const ReaderOptions& options)
        : name_(name.text()),
          files_(BufferFiles::create(name, options.sizes)),
          ring_(files_.segment().payload().size(), options.sequences) {}

    ~ReaderCore() override { close(); }

    std::optional<Frame> read(Milliseconds timeout);
    std::optional<std::vector<std::byte>> metadata() const;
    WriterState observe_writer();
    void await_next_writer();
    void give_back(std::uint64_t bytes) noexcept;
    void release(const Slot& slot) noexcept { give_back(ring_.release(slot.ticket)); }
    void wake() noexcept;
    void close() noexcept override;
    Audit audit();
    std::uint64_t held() const noexcept { return ring_.held(); }

private:
    std::atomic_ref<std::uint64_t> field(Field field) { return files_.segment().field(field); }
    std::optional<Frame> end_of_writer(WriterState state);
    bool took_post(bool taken) noexcept;
    std::optional<Frame> take();
    std::uint64_t unread();
    void wrap();
    Frame accept(const FrameHeader& header);
    void publish_position();
    void settle_dead_writers_account();
    Account account();
    std::optional<std::string> why_unknown();

    std::string name_;
    pid_t maker_ = ::getpid();
    std::atomic<bool> closed_ = false;
    // Calls of wake(), and how many of them have ended a read.
    std::atomic<std::uint64_t> wakes_ = 0;
    std::uint64_t wakes_seen_ = 0;
    BufferFiles files_;
    ReadRing ring_;
    std::uint64_t read_count_ = 0;
    Process writer_;
    bool writer_seen_ = false;
    // What counts and metadata said when the next writer began to be awaited.
    std::uint64_t counts_before_ = 0;
    std::uint64_t metadata_before_ = 0;
    // A post was taken whose frame has not been: an error came between.
    bool post_taken_ = false;
    // For an audit, since an account was settled last: what was taken, and the calls of wake() before.
    std::uint64_t posts_ = 0;
    std::uint64_t frames_ = 0;
    std::uint64_t wakes_before_ = 0;
    // Whether that is all there was.
    bool account_known_ = true;
    // Why the next frame could not be taken.
    std::optional<Finding> refused_;
};

// The frame's bytes were ordered before this by the reading thread's own program order; the
// release pairs with the writer's acquire of the free bytes.
void ReaderCore::give_back(std::uint64_t bytes) noexcept {
    if (bytes == 0) return;
    field(Field::payload_free_bytes).fetch_add(bytes, std::memory_order_release);
    files_.space().post();
}

std::optional<Frame> ReaderCore::read(Milliseconds timeout) {
    const TimePoint deadline = deadline_after(timeout);
    for (;;) {
        if (closed_) throw Closed(name_);
        if (const std::uint64_t wakes = wakes_; wakes != wakes_seen_) {
            wakes_seen_ = wakes;
            return std::nullopt;
        }
        if (!post_taken_) took_post(files_.data().try_wait());
        if (!post_taken_) {
            const WriterState state = observe_writer();
            if (state == WriterState::left || state == WriterState::dead) {
                return end_of_writer(state);
            }
            const TimePoint now = Clock::now();
            if (now >= deadline) return std::nullopt;
            took_post(files_.data().wait_until(std::min(deadline, now + kTick)));
            continue;
        }
        auto frame = take();
        post_taken_ = false;
        if (frame) return frame;
    }
}

// The writer has gone, so what it posted last is there by now, and no more will come.
std::optional<Frame> ReaderCore::end_of_writer(WriterState state) {
    while (took_post(files_.data().try_wait())) {
        auto frame = take();
        post_taken_ = false;
        if (frame) return frame;
    }
    if (state == WriterState::left) {
        // Nothing was posted for it, but a writer that left in good order leaves a sound account.
        if (auto frame = take()) return frame;
    } else {
        settle_dead_writers_account();
    }
    throw WriterDead(name_);
}

WriterState ReaderCore::observe_writer() {
    const std::uint64_t pid = field(Field::writer_pid).load(std::memory_order_acquire);
    if (pid != 0) {
        writer_seen_ = true;
        if (writer_.pid() != pid) {
            // One that is dead may have left in good order before, or in the middle of a frame.
            if (writer_.pid() != 0 && !writer_.alive()) account_known_ = false;
            writer_ = Process(pid);
        }
        return writer_.alive() ? WriterState::attached : WriterState::dead;
    }
    writer_ = Process();
    writer_seen_ = writer_seen_ ||
                   field(Field::payload_written_count).load(std::memory_order_acquire) != counts_before_ ||
                   field(Field::metadata_written_bytes).load(std::memory_order_acquire) != metadata_before_;
    return writer_seen_ ? WriterState::left : WriterState::none_yet;
}

void ReaderCore::await_next_writer() {
    writer_seen_ = false;
    counts_before_ = field(Field::payload_written_count).load(std::memory_order_acquire);
    metadata_before_ = field(Field::metadata_written_bytes).load(std::memory_order_acquire);
}

// A writer killed inside a write leaves free bytes, position and semaphore out of step. Nothing
// it posted is unread any more.
void ReaderCore::settle_dead_writers_account() {
    std::uint64_t pid = writer_.pid();
    const auto own = static_cast<std::uint64_t>(::getpid());
    account_known_ = false;
    if (!field(Field::writer_pid).compare_exchange_strong(pid, own, std::memory_order_acq_rel)) return;
    field(Field::payload_write_pos).store(ring_.end(), std::memory_order_relaxed);
    field(Field::payload_free_bytes)
        .store(files_.segment().payload().size() - ring_.held(), std::memory_order_release);
    files_.data().drain();
    posts_ = frames_ = 0;
    wakes_before_ = wakes_;
    // Else nobody knows whether that one's post is there yet.
    account_known_ = wakes_before_ == wakes_seen_;
    field(Field::writer_pid).store(0, std::memory_order_release);
}

bool ReaderCore::took_post(bool taken) noexcept {
    if (taken) ++posts_;
    return post_taken_ = taken;
}

std::uint64_t ReaderCore::unread() {
    // Pairs with the writer's release when it commits a frame: its bytes are seen after this.
    const std::uint64_t free = field(Field::payload_free_bytes).load(std::memory_order_acquire);
    const auto unread = ring_.unread(free);
    if (!unread) {
        throw Corrupt(name_, std::to_string(free) + " bytes free and " +
                                 std::to_string(ring_.held()) + " held of " +
                                 std::to_string(files_.segment().payload().size()));
    }
    return *unread;
}

// The frame at the read position, behind a wrap where there is one; nothing when there is none,
// for a wake-up is no proof of a frame.
std::optional<Frame> ReaderCore::take() {
    for (;;) {
        const std::uint64_t available = unread();
        if (available == 0) return std::nullopt;
        const std::byte* at = files_.segment().payload().data() + ring_.position();
        const FrameHeader header = ring_.at_short_tail() ? FrameHeader{} : load_header(at);
        const Judgement judgement = ring_.judge(header, available);
        switch (judgement.finding) {
            case Finding::wrap:
                wrap();
                break;
            case Finding::frame:
                return accept(header);
            case Finding::out_of_sequence:
                refused_ = judgement.finding;
                throw SequenceBroken(name_, ring_.expected(), header.sequence);
            case Finding::corrupt:
                refused_ = judgement.finding;
                throw Corrupt(name_, std::string(judgement.reason) + " (size " +
                                         std::to_string(header.size) + ", sequence " +
                                         std::to_string(header.sequence) + " at " +
                                         std::to_string(ring_.position()) + ")");
        }
    }
}

void ReaderCore::wrap() {
    const std::uint64_t bytes = ring_.wrap();
    publish_position();
    // No post: the frame behind the wrap brings one when it is given back.
    if (bytes > 0) field(Field::payload_free_bytes).fetch_add(bytes, std::memory_order_release);
}

Frame ReaderCore::accept(const FrameHeader& header) {
    const Slot slot = ring_.take(header);
    ++frames_;
    refused_.reset();
    // So that one whose next writer begins is known by then.
    if (slot.sequence == 1) observe_writer();
    publish_position();
    const std::span<const std::byte> payload = files_.segment().payload();
    return Frame(shared_from_this(), payload.subspan(slot.data_offset, slot.size), slot);
}

void ReaderCore::publish_position() {
    ++read_count_;
    field(Field::payload_read_pos).store(ring_.end(), std::memory_order_relaxed);
    field(Field::payload_read_count).store(read_count_, std::memory_order_release);
}

std::optional<std::vector<std::byte>> ReaderCore::metadata() const {
    const Segment& segment = files_.segment();
    const std::uint64_t written = segment.field(Field::metadata_written_bytes).load(std::memory_order_acquire);
    if (written == 0) return std::nullopt;
    const std::span<const std::byte> block = segment.metadata();
    std::uint64_t size = 0;
    if (written > block.size() || written <= kMetadataPrefix) {
        throw Corrupt(name_, std::to_string(written) + " bytes of metadata in a block of " +
                                 std::to_string(block.size()));
    }
    std::memcpy(&size, block.data(), sizeof size);
    if (size == 0 || size > written - kMetadataPrefix) {
        throw Corrupt(name_, "metadata of " + std::to_string(size) + " bytes in " +
                                 std::to_string(written) + " that were written");
    }
    const auto data = block.subspan(kMetadataPrefix, size);
    return std::vector<std::byte>(data.begin(), data.end());
}

void ReaderCore::wake() noexcept {
    ++wakes_;
    files_.data().post();
}

Account ReaderCore::account() {
    const auto wakes = static_cast<std::int64_t>(wakes_ - wakes_before_);
    const std::int64_t posts = static_cast<std::int64_t>(posts_) + files_.data().value() - wakes;
    return {field(Field::payload_free_bytes).load(std::memory_order_acquire),
            field(Field::payload_write_pos).load(std::memory_order_acquire), frames_, posts,
            refused_ == Finding::out_of_sequence};
}

std::optional<std::string> ReaderCore::why_unknown() {
    if (closed_) return "its reader has been closed";
    if (observe_writer() == WriterState::dead) return "its writer has died";
    if (!account_known_) return "a writer has died, and nobody knows in the middle of what";
    if (refused_ == Finding::corrupt) return "the next frame has been refused as corrupt";
    return std::nullopt;
}

Audit ReaderCore::audit() {
    const TimePoint deadline = deadline_after(kAuditPatience);
    std::optional<Account> last;
    TimePoint since{};
    for (;;) {
        if (auto why = why_unknown()) return {.unknown = std::move(why)};
        const Account now = account();
        auto disorder = find_disorder(ring_, files_.segment().payload(), now);
        if (!disorder) return {};
        if (now != last) {
            last = now;
            since = Clock::now();
        } else if (Clock::now() - since >= kStill) {
            return {.disorder = std::move(disorder)};
        }
        if (Clock::now() >= deadline) return {.unknown = "its writer goes on writing"};
        std::this_thread::sleep_for(kAuditPause);
    }
}

void ReaderCore::close() noexcept {
    if (maker_ != ::getpid() || closed_.exchange(true)) return;
    auto own = static_cast<std::uint64_t>(maker_);
    field(Field::reader_pid).compare_exchange_strong(own, 0, std::memory_order_acq_rel);
    files_.space().post();
    files_.data().post();
    files_.remove();
}

Frame& Frame::operator=(Frame&& other) noexcept {
    if (this != &other) {
        release();
        reader_ = std::move(other.reader_);
        data_ = other.data_;
        slot_ = other.slot_;
    }
    return *this;
}

void Frame::release() noexcept {
    if (const auto reader = std::exchange(reader_, nullptr)) reader->release(slot_);
}

Reader Reader::create(const BufferName& name, const ReaderOptions& options) {
    return Reader(make_held(options.holdings, name.text(),
                            [&] { return std::make_shared<ReaderCore>(name, options); }));
}

Reader& Reader::operator=(Reader&& other) noexcept {
    close();
    core_ = std::move(other.core_);
    return *this;
}

std::optional<Frame> Reader::read(Milliseconds timeout) { return core_->read(timeout); }

std::optional<std::vector<std::byte>> Reader::metadata() const { return core_->metadata(); }

bool Reader::has_writer() { return core_->observe_writer() == WriterState::attached; }

void Reader::await_next_writer() { core_->await_next_writer(); }

void Reader::wake() noexcept { core_->wake(); }

Audit Reader::audit() { return core_->audit(); }

void Reader::close() noexcept {
    if (core_) core_->close();
}

std::uint64_t Reader::held() const noexcept { return core_->held(); }

}  // namespace zerobuffer
