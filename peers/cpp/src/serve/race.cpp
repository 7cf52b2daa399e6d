#include "serve/race.hpp"

#include <exception>

#include "channel/writer.hpp"
#include "serve/attempt.hpp"
#include "serve/check.hpp"
#include "serve/raw_buffer.hpp"

namespace zerobuffer::serve {

namespace {

constexpr BlockSizes kSizes{64, 4096};
constexpr std::uint64_t kFrame = 256;
constexpr Milliseconds kTimeout{2000};

}  // namespace

void Race::run(int rounds) {
    for (int round = 0; round < rounds; ++round) run_round();
    // Nobody removes the meeting's file under the other.
    meeting_.meet();
}

void Race::run_round() {
    meeting_.meet();
    const std::unique_ptr<Reader> reader = try_to_create();
    wins_ += reader ? '1' : '0';
    meeting_.meet();
    // The other one has had its attempt: what it broke would be broken by now.
    if (reader) check_intact(*reader);
    meeting_.meet();
}

std::unique_ptr<Reader> Race::try_to_create() {
    try {
        return std::make_unique<Reader>(
            Reader::create(name_, {kSizes, Sequences::consecutive, holdings_}));
    } catch (...) {
        ++losses_[kind_of(std::current_exception())];
        return nullptr;
    }
}

void Race::check_intact(Reader& reader) {
    const BufferFilesSeen files(name_);
    expect(files.count() == files.files.size(),
           "expected all files of the buffer that was won, found " + files.existing());
    Writer writer = Writer::connect(name_, {kTimeout, kTimeout, holdings_});
    const std::uint64_t seed = wins_.size();
    writer.write(pattern(kFrame, seed));
    const auto frame = reader.read(kTimeout);
    expect(frame.has_value(), "expected a frame through the buffer that was won, found none");
    expect_equal("size of the frame", kFrame, frame->data().size());
    expect_pattern("the frame", frame->data(), seed);
    ++intact_;
}

std::string Race::losses() const {
    std::string text;
    for (const auto& [kind, count] : losses_) {
        text += (text.empty() ? "" : ",") + kind + "=" + std::to_string(count);
    }
    return text;
}

std::map<std::string, std::string> told_by_process(const rpc::StringMap& context,
                                                   const std::string& key) {
    std::map<std::string, std::string> told;
    const std::string ending = "." + key;
    for (const auto& [name, value] : context) {
        if (name.ends_with(ending)) told[name.substr(0, name.size() - ending.size())] = value;
    }
    if (!told.empty()) return told;
    if (const auto same = context.find(key); same != context.end()) {
        told = {{"one", same->second}, {"other", same->second}};
    }
    return told;
}

}  // namespace zerobuffer::serve
