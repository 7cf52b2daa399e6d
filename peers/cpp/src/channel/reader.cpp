#include "channel/reader.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "channel/buffer_files.hpp"
#include "channel/error.hpp"
#include "channel/process.hpp"

namespace zerobuffer {

namespace {

enum class WriterState { none_yet, attached, left, dead };

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
    std::uint64_t held() const noexcept { return ring_.held(); }

private:
    std::atomic_ref<std::uint64_t> field(Field field) { return files_.segment().field(field); }
    std::optional<Frame> end_of_writer(WriterState state);
    std::optional<Frame> take();
    std::uint64_t unread();
    void wrap();
    Frame accept(const FrameHeader& header);
    void publish_position();
    void settle_dead_writers_account();

    std::string name_;
    pid_t maker_ = ::getpid();
    std::atomic<bool> closed_ = false;
    std::atomic<bool> woken_ = false;
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
        if (woken_.exchange(false)) return std::nullopt;
        if (!post_taken_) post_taken_ = files_.data().try_wait();
        if (!post_taken_) {
            const WriterState state = observe_writer();
            if (state == WriterState::left || state == WriterState::dead) {
                return end_of_writer(state);
            }
            const TimePoint now = Clock::now();
            if (now >= deadline) return std::nullopt;
            post_taken_ = files_.data().wait_until(std::min(deadline, now + kTick));
            continue;
        }
        auto frame = take();
        post_taken_ = false;
        if (frame) return frame;
    }
}

// The writer has gone, so what it posted last is there by now, and no more will come.
std::optional<Frame> ReaderCore::end_of_writer(WriterState state) {
    while (files_.data().try_wait()) {
        post_taken_ = true;
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
        if (writer_.pid() != pid) writer_ = Process(pid);
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
    if (!field(Field::writer_pid).compare_exchange_strong(pid, own, std::memory_order_acq_rel)) return;
    field(Field::payload_write_pos).store(ring_.end(), std::memory_order_relaxed);
    field(Field::payload_free_bytes)
        .store(files_.segment().payload().size() - ring_.held(), std::memory_order_release);
    files_.data().drain();
    field(Field::writer_pid).store(0, std::memory_order_release);
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
                throw SequenceBroken(name_, ring_.expected(), header.sequence);
            case Finding::corrupt:
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
    woken_ = true;
    files_.data().post();
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

void Reader::close() noexcept {
    if (core_) core_->close();
}

std::uint64_t Reader::held() const noexcept { return core_->held(); }

}  // namespace zerobuffer
