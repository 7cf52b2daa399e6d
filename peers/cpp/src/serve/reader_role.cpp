#include "serve/reader_role.hpp"

#include <algorithm>
#include <thread>

#include "channel/error.hpp"
#include "serve/check.hpp"
#include "serve/patience.hpp"

namespace zerobuffer::serve {

namespace {

constexpr Milliseconds kReadTimeout{5000};
constexpr Milliseconds kBackgroundTimeout{20000};
// How long a frame that must not come is waited for.
constexpr Milliseconds kNothingMore{50};
constexpr Milliseconds kGivenBack{1000};

}  // namespace

std::string to_string(Stream::End end) {
    switch (end) {
        case Stream::End::none:
            return "not at all";
        case Stream::End::count:
            return "with the last frame asked for";
        case Stream::End::writer_left:
            return "because the writer left";
        case Stream::End::no_frame_in_time:
            return "because no frame came in time";
        case Stream::End::sequence_error:
            return "with a sequence error";
    }
    return "";
}

void Stream::expect_consecutive_from(std::uint64_t first) const {
    expect(!sequences.empty(), "expected frames, found that none was read");
    for (const std::uint64_t sequence : sequences) {
        expect_equal("sequence of a frame", first++, sequence);
    }
    expect(sequence_errors.empty(), "expected no sequence errors, found " +
                                        (sequence_errors.empty() ? "" : sequence_errors.front()));
}

void Stream::expect_right_data() const {
    expect(!sequences.empty(), "expected frames, found that none was read");
    expect(!wrong_data, wrong_data.value_or(""));
}

ReaderRole::~ReaderRole() {
    // A read in the background ends when its reader is closed.
    if (background_.joinable()) reader_.close();
}

const FrameRecord& ReaderRole::read_one() {
    held_.reset();
    held_ = reader_.read(kReadTimeout);
    expect(held_.has_value(), "expected a frame, found none within " +
                                  std::to_string(kReadTimeout.count()) + " ms");
    const auto data = held_->data();
    frames_.push_back({held_->sequence(), Bytes(data.begin(), data.end())});
    return frames_.back();
}

const FrameRecord& ReaderRole::last_frame() const {
    expect(!frames_.empty(), "no frame has been read yet");
    return frames_.back();
}

void ReaderRole::give_space_back() {
    expect(held_.has_value(), "expected a frame that is held, found none to give back");
    const RawBuffer ring = raw();
    const std::uint64_t total = FrameHeader::kSize + held_->data().size();
    const std::uint64_t free = ring.field(Field::payload_free_bytes);
    const std::uint64_t written = ring.field(Field::payload_written_count);
    held_.reset();
    expect_equal("bytes still held by the reader", 0U, reader_.held());
    // A writer that waits for the space takes it at once.
    wait_until("the frame's space to be free, or taken by a further frame", [&] {
        return ring.field(Field::payload_free_bytes) >= free + total ||
               ring.field(Field::payload_written_count) != written;
    }, kGivenBack);
}

const Stream& ReaderRole::read_stream(const Stream::Plan& plan) {
    held_.reset();
    stream_ = {};
    try {
        read_into_stream(plan);
    } catch (const WriterDead&) {
        stream_.end = Stream::End::writer_left;
    } catch (const SequenceBroken& error) {
        // For the step that asks about it.
        stream_.sequence_errors.push_back(error.what());
        stream_.end = Stream::End::sequence_error;
    }
    return stream_;
}

void ReaderRole::read_into_stream(const Stream::Plan& plan) {
    while (!plan.count || stream_.sequences.size() < *plan.count) {
        const TimePoint start = Clock::now();
        const auto frame = reader_.read(plan.patience.value_or(kReadTimeout));
        if (!frame) {
            if (!plan.patience) continue;
            stream_.end = Stream::End::no_frame_in_time;
            return;
        }
        stream_.longest_wait = std::max(
            stream_.longest_wait, std::chrono::duration_cast<Milliseconds>(Clock::now() - start));
        stream_.sequences.push_back(frame->sequence());
        if (frame->restarted()) stream_.sequence_errors.push_back("a writer began anew");
        try {
            expect_pattern("frame " + std::to_string(frame->sequence()), frame->data(),
                           frame->sequence());
        } catch (const StepFailure& difference) {
            if (!stream_.wrong_data) stream_.wrong_data = difference.what();
        }
        if (plan.pause.count() > 0) std::this_thread::sleep_for(plan.pause);
    }
    stream_.end = Stream::End::count;
}

void ReaderRole::read_in_background() {
    expect(!background_.joinable(), "the reader is waiting in the background already");
    background_ = std::jthread([this] {
        background_read_.emplace("reading in the background", [this] {
            expect(reader_.read(kBackgroundTimeout).has_value(), "no frame came in time");
        });
    });
}

const Attempt& ReaderRole::background_read() {
    if (background_.joinable()) background_.join();
    expect(background_read_.has_value(), "nothing has been read in the background");
    return *background_read_;
}

Audit ReaderRole::audit() {
    if (background_.joinable()) {
        reader_.wake();
        background_.join();
    }
    return reader_.audit();
}

void ReaderRole::expect_nothing_unread() {
    std::optional<Frame> frame;
    try {
        frame = reader_.read(kNothingMore);
    } catch (const WriterDead&) {
        // Said only where nothing is unread.
    }
    expect(!frame, "expected no further frame, found one with sequence " +
                       (frame ? std::to_string(frame->sequence()) : std::string()));
}

}  // namespace zerobuffer::serve
