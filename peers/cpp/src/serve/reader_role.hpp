#pragma once
// A reader of the scenario, and what it has read.

#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "channel/name.hpp"
#include "channel/reader.hpp"
#include "serve/attempt.hpp"
#include "serve/death_watch.hpp"
#include "serve/raw_buffer.hpp"
#include "serve/test_data.hpp"

namespace zerobuffer::serve {

struct FrameRecord {
    std::uint64_t sequence;
    Bytes data;
};

// Many frames, read one behind the other, each given back before the next.
struct Stream {
    enum class End { none, count, writer_left, no_frame_in_time, sequence_error };

    struct Plan {
        // None: until the writer has left and nothing is unread.
        std::optional<std::uint64_t> count{};
        // How long each frame is kept.
        Milliseconds pause{0};
        // How long a frame is waited for before the stream is taken to be over; none: for ever.
        std::optional<Milliseconds> patience{};
    };

    std::vector<std::uint64_t> sequences{};
    // The first frame that does not hold the bytes of its sequence number.
    std::optional<std::string> wrong_data{};
    std::vector<std::string> sequence_errors{};
    Milliseconds longest_wait{0};
    End end = End::none;

    // Throw StepFailure.
    void expect_consecutive_from(std::uint64_t first) const;
    void expect_right_data() const;
};

std::string to_string(Stream::End end);

class ReaderRole {
public:
    ReaderRole(const BufferName& name, Reader reader) : name_(name), reader_(std::move(reader)) {}

    ~ReaderRole();

    const BufferName& name() const noexcept { return name_; }
    RawBuffer raw() const { return RawBuffer(name_); }
    Reader& reader() noexcept { return reader_; }

    // Reads a frame and keeps it until its space is given back; an earlier one is given back now.
    const FrameRecord& read_one();
    const FrameRecord& last_frame() const;
    const std::vector<FrameRecord>& frames() const noexcept { return frames_; }
    void give_space_back();
    bool holds_a_frame() const noexcept { return held_.has_value(); }

    // Forgets what was read before.
    const Stream& read_stream(const Stream::Plan& plan);
    const Stream& stream() const noexcept { return stream_; }
    // Throws StepFailure when a frame comes within a short time.
    void expect_nothing_unread();

    // Waits for a frame while other steps run; nothing else is read meanwhile.
    void read_in_background();
    // What came of it, once it has ended.
    const Attempt& background_read();

    // Ends what goes on in the background.
    Audit audit();

    // The metadata that an earlier step saw.
    std::optional<Bytes> metadata_seen{};
    std::optional<Milliseconds> pace{};
    // What the segment said before a read that a later step judges.
    struct Before {
        std::uint64_t position;
        std::uint64_t count;
    };
    std::optional<Before> before_read{};
    // Of the writer that was there when a read in the background began.
    std::optional<DeathWatch> writers_end{};

private:
    void read_into_stream(const Stream::Plan& plan);

    BufferName name_;
    Reader reader_;
    std::optional<Frame> held_{};
    std::vector<FrameRecord> frames_{};
    Stream stream_{};
    std::optional<Attempt> background_read_{};
    std::jthread background_{};
};

}  // namespace zerobuffer::serve
