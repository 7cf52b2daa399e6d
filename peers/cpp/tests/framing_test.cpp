#include "rpc/framing.hpp"

#include "test.hpp"

using namespace zerobuffer::rpc;
using namespace zerobuffer::test;

namespace {

// Bodies as they are, bad frames as "!"; decoded from pieces of `step` bytes.
std::vector<std::string> decoded(const std::string& input, std::size_t step) {
    Decoder decoder;
    std::vector<std::string> found;
    for (std::size_t i = 0; i < input.size(); i += step) {
        decoder.feed(std::string_view(input).substr(i, step));
        while (const auto incoming = decoder.next()) {
            const auto* body = std::get_if<Body>(&*incoming);
            found.push_back(body ? body->text : "!");
        }
    }
    return found;
}

void check_decoded(const std::string& input, const std::vector<std::string>& expected) {
    for (const std::size_t step : {1, 2, 3, 7, 100'000}) {
        const auto found = decoded(input, step);
        check(found == expected, "in pieces of " + std::to_string(step) + ": " + input);
    }
}

}  // namespace

TEST(frames_come_whole_however_they_are_cut) {
    check_decoded(encode("{}") + "content-LENGTH:2\nX-Other: y\n\nhi" + encode("") + encode("\xC3\xA9"),
                  {"{}", "hi", "", "\xC3\xA9"});
}

TEST(what_is_not_a_frame_costs_no_later_frame) {
    for (const std::string bad :
         {"X-Other: 1\r\n\r\n", "hello\r\n", "Content-Length: -5\r\n\r\n",
          "Content-Length: 99999999999\r\n\r\n", "Content-Length: 12a\r\n\r\n",
          "Content-Length: 99999999999999999999999\r\n\r\nabc\ndef", "Content-Length:\r\n\r\n",
          "{\"cut\": 1}\n\n more\n", "stray without a newline "}) {
        check_decoded(encode("a") + bad + encode("b"), {"a", "!", "b"});
    }
}

TEST(an_endless_line_costs_no_memory) {
    Decoder decoder;
    int bad = 0;
    for (int i = 0; i < 2000; ++i) {
        decoder.feed(std::string(4096, 'x'));
        while (decoder.next()) ++bad;
    }
    check_equal(1, bad);
    decoder.feed(encode("b"));
    check(decoder.next() == Incoming(Body{"b"}), "expected the next frame");
}

TEST(a_stream_that_ends_within_a_frame_is_known) {
    for (const std::string input : {"Content-Le", "Content-Length: 5\r\n", "Content-Length: 5\r\n\r\nabc"}) {
        Decoder decoder;
        decoder.feed(input);
        check(!decoder.next() && decoder.in_a_frame(), "expected to be within a frame");
    }
    Decoder decoder;
    decoder.feed(encode("a"));
    check(decoder.next() && !decoder.in_a_frame(), "expected to be between frames");
}
