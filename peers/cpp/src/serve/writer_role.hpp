#pragma once
// A writer of the scenario, and what it has written.

#include <cstdint>
#include <memory>
#include <optional>

#include "channel/name.hpp"
#include "channel/writer.hpp"
#include "serve/background_writing.hpp"
#include "serve/raw_buffer.hpp"

namespace zerobuffer::serve {

class WriterRole {
public:
    struct Written {
        FramePlan frame;
        std::uint64_t sequence;
        // Where the writer stood when it had to wait for room; none where it had not.
        std::optional<std::uint64_t> waited_at{};
    };

    WriterRole(const BufferName& name, Writer writer) : name_(name), writer_(std::move(writer)) {}
    ~WriterRole();

    const BufferName& name() const noexcept { return name_; }
    RawBuffer raw() const { return RawBuffer(name_); }

    // When nothing is being written in the background any more. Throws StepFailure when that
    // failed.
    Writer& writer();

    // Throw what Writer::loan throws.
    void write(const FramePlan& frame);
    void write(const FramePlan& frame, Milliseconds timeout);
    // Tried at once; where there is no room yet, it goes on in the background.
    void write_or_wait(const FramePlan& frame);
    // Until the ring has no room for another one; returns how many.
    std::uint64_t write_until_full(const FramePlan& frame);
    void write_on(const BackgroundWriting::Plan& plan);

    // Ends what goes on in the background. Throws StepFailure when it failed.
    void settle();
    // Of what goes on in the background, or went on last.
    WritingProgress progress() const;
    bool writes_without_end() const noexcept { return background_ && !ends_by_itself_; }
    const Written& last() const;
    // How many frames this writer has written. Settles first.
    std::uint64_t written() { return writer().next_sequence() - 1; }

    std::optional<Loan> loan{};

private:
    std::uint64_t spoil_where_it_stands() const;

    BufferName name_;
    Writer writer_;
    std::optional<Written> last_{};
    // A single frame that waits in the background: what `last_` becomes.
    std::optional<Written> waiting_{};
    bool ends_by_itself_ = true;
    WritingProgress progress_{};
    std::unique_ptr<BackgroundWriting> background_{};
};

}  // namespace zerobuffer::serve
