#include "channel/audit.hpp"

namespace zerobuffer {

namespace {

std::string describe(const FrameHeader& header, std::uint64_t position) {
    return "size " + std::to_string(header.size) + ", sequence " +
           std::to_string(header.sequence) + " at " + std::to_string(position);
}

}  // namespace

std::optional<std::string> find_disorder(ReadRing ring, std::span<const std::byte> payload,
                                         const Account& account) {
    const auto unread = ring.unread(account.free_bytes);
    if (!unread || account.write_position > payload.size()) {
        return std::to_string(account.free_bytes) + " bytes free, " + std::to_string(ring.held()) +
               " held and write position " + std::to_string(account.write_position) + " of " +
               std::to_string(payload.size());
    }
    const std::uint64_t end = account.write_position % payload.size();
    // A ring that is full ends where it begins, as one that is empty does.
    const bool full = ring.position() == end && *unread > FrameHeader::kSize;
    const std::uint64_t most = payload.size() - ring.held();
    std::uint64_t bytes = 0;
    std::uint64_t frames = 0;
    while (ring.position() != end || (full && bytes == 0)) {
        const std::uint64_t position = ring.position();
        FrameHeader header =
            ring.at_short_tail() ? FrameHeader{} : load_header(payload.data() + position);
        if (account.number_refused && frames == 0 && !header.is_wrap_marker()) {
            header.sequence = ring.expected();
        }
        const Judgement judgement = ring.judge(header, most - bytes);
        switch (judgement.finding) {
            case Finding::wrap:
                bytes += payload.size() - position;
                ring.wrap();
                break;
            case Finding::frame:
                bytes += FrameHeader::kSize + header.size;
                ++frames;
                ring.take(header);
                break;
            case Finding::out_of_sequence:
                return "unread: frame " + std::to_string(ring.expected()) + " expected, found " +
                       describe(header, position);
            case Finding::corrupt:
                return "unread: " + std::string(judgement.reason) + " (" +
                       describe(header, position) + ", writing goes on at " + std::to_string(end) +
                       ")";
        }
    }
    if (bytes != *unread) {
        return std::to_string(bytes) + " bytes of unread frames and wraps, but " +
               std::to_string(*unread) + " in use";
    }
    const std::uint64_t total = account.frames_read + frames;
    if (account.posts != static_cast<std::int64_t>(total)) {
        return std::to_string(account.posts) + " posts for " + std::to_string(total) +
               " frames, of which " + std::to_string(frames) + " are unread";
    }
    return std::nullopt;
}

}  // namespace zerobuffer
