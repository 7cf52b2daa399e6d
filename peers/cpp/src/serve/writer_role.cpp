#include "serve/writer_role.hpp"

#include <utility>

#include "channel/error.hpp"
#include "serve/check.hpp"

namespace zerobuffer::serve {

namespace {

constexpr Milliseconds kWriteTimeout{5000};
constexpr Milliseconds kFillTimeout{100};
constexpr std::uint64_t kSpoilt = 0x5050505050505050;

}  // namespace

WriterRole::~WriterRole() {
    // A background write that waits for room ends when its writer is closed.
    if (background_) writer_.close();
}

Writer& WriterRole::writer() {
    settle();
    return writer_;
}

void WriterRole::write(const FramePlan& frame) { write(frame, kWriteTimeout); }

void WriterRole::write(const FramePlan& frame, Milliseconds timeout) {
    settle();
    writer_.set_write_timeout(timeout);
    try {
        last_ = Written{frame, write_planned(writer_, frame)};
    } catch (...) {
        writer_.set_write_timeout(kWriteTimeout);
        throw;
    }
    writer_.set_write_timeout(kWriteTimeout);
}

void WriterRole::write_or_wait(const FramePlan& frame) {
    try {
        write(frame, Milliseconds{0});
    } catch (const BufferFull&) {
        waiting_ = Written{frame, writer_.next_sequence(), spoil_where_it_stands()};
        write_on({frame, 1});
    }
}

// Two zeros are a wrap marker, and memory that nobody has written to holds zeros as well. So that
// one that is never written shows, something else stands there before.
std::uint64_t WriterRole::spoil_where_it_stands() const {
    RawBuffer raw(name_);
    const std::uint64_t position = raw.field(Field::payload_write_pos);
    const bool unused = raw.field(Field::payload_free_bytes) >= FrameHeader::kSize;
    if (unused && raw.field(Field::payload_size) - position >= FrameHeader::kSize) {
        raw.set_header_at(position, {kSpoilt, kSpoilt});
    }
    return position;
}

std::uint64_t WriterRole::write_until_full(const FramePlan& frame) {
    for (std::uint64_t count = 0;; ++count) {
        try {
            write(frame, kFillTimeout);
        } catch (const BufferFull&) {
            return count;
        }
    }
}

void WriterRole::write_on(const BackgroundWriting::Plan& plan) {
    settle();
    ends_by_itself_ = plan.count.has_value();
    progress_ = {};
    background_ = std::make_unique<BackgroundWriting>(writer_, plan);
}

void WriterRole::settle() {
    if (!background_) return;
    background_->end();
    progress_ = background_->progress();
    background_.reset();
    if (const auto waited = std::exchange(waiting_, std::nullopt)) last_ = waited;
    expect(!progress_.failure,
           "writing in the background: expected success, found " + progress_.failure.value_or(""));
}

WritingProgress WriterRole::progress() const {
    return background_ ? background_->progress() : progress_;
}

const WriterRole::Written& WriterRole::last() const {
    expect(last_.has_value(), "no frame has been written yet");
    return *last_;
}

}  // namespace zerobuffer::serve
