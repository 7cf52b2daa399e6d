// Steps of "Duplex channels", the answering end.

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "serve/patience.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr BlockSizes kDefaultSizes{4096, 1024 * 1024};
constexpr Milliseconds kReallyBlocked{50};

void create_channel(World& world, const StepArguments& arguments, const BlockSizes& sizes) {
    const std::string& channel = arguments.text(0);
    const ChannelName name(world.name_on_machine(channel));
    world.servers.remove(arguments.role, channel);
    const DuplexServerOptions options{sizes, Milliseconds{5000}, world.holdings()};
    world.servers.add(arguments.role, channel, std::make_unique<ServerRole>(name, options));
    world.log().info("created channel " + name.text());
}

void start(World& world, const StepArguments& arguments, ServerRole::Answer answer) {
    world.servers.find(arguments.role).start(std::move(answer), world.log());
}

void start_echo(World& world, const StepArguments& arguments, Milliseconds processing_time) {
    start(world, arguments,
          [processing_time](std::span<const std::byte> request, const std::stop_token& stop) {
              if (processing_time.count() > 0) wait_unless_stopped(stop, processing_time);
              return Bytes(request.begin(), request.end());
          });
}

void start_crashing(World& world, const StepArguments& arguments) {
    start(world, arguments,
          [time = Milliseconds(arguments.number(0))](std::span<const std::byte>,
                                                     const std::stop_token& stop) {
              wait_unless_stopped(stop, time);
              if (!stop.stop_requested()) ::kill(::getpid(), SIGKILL);
              return Bytes{};
          });
}

void start_doubling(World& world, const StepArguments& arguments) {
    start(world, arguments, [](std::span<const std::byte> request, const std::stop_token&) {
        Bytes twice(request.begin(), request.end());
        twice.insert(twice.end(), request.begin(), request.end());
        return twice;
    });
}

void start_xor(World& world, const StepArguments& arguments) {
    const std::byte key = xor_key(arguments.text(0));
    world.tell(kXorKeyTold, arguments.text(0));
    start(world, arguments, [key](std::span<const std::byte> request, const std::stop_token&) {
        Bytes changed(request.size());
        std::transform(request.begin(), request.end(), changed.begin(),
                       [key](std::byte byte) { return byte ^ key; });
        return changed;
    });
}

void add_channels(StepRegistry& registry) {
    registry.add({given},
                 R"(creates immutable duplex channel '([^']+)' with metadata size '(\d+)' and payload size '(\d+)')",
                 [](World& world, const auto& a) {
                     create_channel(world, a, {a.number(1), a.number(2)});
                 });
    registry.add({given, when},
                 R"(creates immutable duplex channel '([^']+)'(?: with default config)?)",
                 [](World& world, const auto& a) { create_channel(world, a, kDefaultSizes); });
    registry.add({given},
                 R"(creates immutable duplex channel '([^']+)' with processing mode '([^']+)')",
                 [](World& world, const auto& a) {
                     expect_equal("processing mode", std::string("SingleThread"), a.text(1));
                     create_channel(world, a, kDefaultSizes);
                 });
}

void add_handlers(StepRegistry& registry) {
    registry.add({given}, R"(starts echo handler)", [](World& world, const auto& a) {
        start_echo(world, a, Milliseconds{0});
    });
    registry.add({given}, R"(starts handler with '(\d+)' ms processing time)",
                 [](World& world, const auto& a) {
                     // A little more, for clients whose clock starts only after their last request:
                     // what they measure is still not less than the processing takes.
                     const auto time = a.number(0);
                     start_echo(world, a, Milliseconds(time + time / 20));
                 });
    registry.add({given}, R"(starts handler with '(\d+)' second processing delay)",
                 [](World& world, const auto& a) {
                     start_echo(world, a, std::chrono::seconds(a.number(0)));
                 });
    registry.add({given}, R"(starts handler that crashes after '(\d+)' ms)", start_crashing);
    registry.add({given}, R"(starts handler that doubles request size)", start_doubling);
    registry.add({given}, R"(starts handler that implements XOR with key '(0x[0-9A-Fa-f]{2})')",
                 start_xor);
}

// The handler ends this process, and nobody learns what this step says.
void await_own_death(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    wait_until("a request", [&] { return !role.record().calls().empty(); });
    wait_until("the death of this process", [] { return false; });
}

// The handler has answered twice, and the first answer is all that the client's ring has.
void check_second_answer_is_made(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    const std::uint64_t size = arguments.number(0);
    wait_until("two answers of the handler", [&] { return role.record().finished() >= 2; });
    for (const Handled& call : role.record().calls()) {
        expect_equal("size of a response", size, call.response.size());
    }
    wait_until("the first response in the client's ring", [&] { return role.answered() >= 1; });
    expect_equal("bytes in use in the client's ring", FrameHeader::kSize + size,
                 role.response_buffer().used());
}

void check_blocks_on_response(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    const TimePoint end = role.record().calls().at(1).end.value();
    wait_until("a response that waits", [&] { return since(end) >= kReallyBlocked; });
    const RawBuffer ring = role.response_buffer();
    expect_equal("responses written", 1U, role.answered());
    expect_equal("responses in the client's ring", 1U, ring.unread().frames);
    expect_equal("bytes in use in the client's ring",
                 FrameHeader::kSize + role.record().calls()[0].response.size(), ring.used());
}

void check_unblocked(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    wait_until("a second response", [&] { return role.answered() >= 2; });
    const auto troubles = role.record().troubles();
    expect(troubles.empty(), "expected no trouble, found " +
                                 (troubles.empty() ? "" : troubles.front().what));
    const UnreadFrames unread = role.response_buffer().unread();
    expect_equal("responses in the client's ring", 1U, unread.frames);
    expect_equal("number of that response", 2U, unread.first_sequence);
}

void add_blocking(StepRegistry& registry) {
    registry.add({then}, R"(simulates crash during processing)", await_own_death);
    registry.add({then}, R"(attempts to send response of '(\d+)' bytes)",
                 check_second_answer_is_made);
    registry.add({then}, R"(should block on response write)", check_blocks_on_response);
    registry.add({then}, R"(should unblock and complete write)", check_unblocked);
}

// The request's bytes in the ring, looked at from outside after the handler has run.
void check_request_is_untouched(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    wait_until("an answer of the handler", [&] { return role.record().finished() >= 1; });
    const auto calls = role.record().calls();
    expect_equal("requests", 1U, calls.size());
    const Bytes& request = calls.front().request;
    const RawBuffer ring = role.request_buffer();
    const FrameHeader header = ring.header_at(0);
    expect_equal("size of the request in the ring", request.size(), header.size);
    const Bytes now = ring.payload_at(FrameHeader::kSize, header.size);
    expect_bytes("the request in the ring", request, now);
    expect_pattern("the request in the ring", now, header.sequence);
}

void check_response_is_new(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    const auto calls = role.record().calls();
    expect(!calls.empty() && calls.front().end, "expected a handler that has run, found none");
    const Handled& call = calls.front();
    expect_equal("size of the response", call.request.size(), call.response.size());
    for (std::size_t i = 0; i < call.request.size(); ++i) {
        expect(call.request[i] != call.response[i],
               "expected a response that differs in every byte, found the request's byte " +
                   std::to_string(i));
    }
    const std::byte* end_of_request = call.request_at + call.request.size();
    const bool apart = call.response_at + call.response.size() <= call.request_at ||
                       end_of_request <= call.response_at;
    expect(apart, "expected a response in memory of its own, found it in the request's");
}

void check_processing_time(World& world, const StepArguments& arguments) {
    const Milliseconds least = std::chrono::seconds(arguments.number(0));
    const ServerRole& role = world.servers.find(arguments.role);
    wait_until("an answer of the handler", [&] { return role.record().finished() >= 1; });
    const Handled call = role.record().calls().front();
    const auto took = std::chrono::duration_cast<Milliseconds>(*call.end - call.begin);
    expect(took >= least, "expected a handler that takes " + text_of(least) + ", found " +
                              text_of(took));
}

// One way or the other, the attempt to send the first response has ended.
void await_attempt_to_send(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    wait_until("an attempt to send the response", [&] {
        return role.answered() > 0 || !role.record().troubles().empty();
    });
}

void check_client_death(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    const auto troubles = role.record().troubles();
    const auto gone = std::find_if(troubles.begin(), troubles.end(), [](const auto& trouble) {
        return trouble.kind == ServerTrouble::Kind::client_gone && trouble.request == 1;
    });
    expect(gone != troubles.end(),
           "expected the server to tell that the client of request 1 has gone, found " +
               (troubles.empty() ? "no trouble" : troubles.front().what));
    expect_equal("responses written", 0U, role.answered());
}

void check_serves_others(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    expect_equal("requests handled", 2U, role.record().finished());
    wait_until("a response to the other client", [&] { return role.answered() > 0; });
    expect_equal("responses written", 1U, role.answered());
    expect_equal("troubles, the first client's death", 1U, role.record().troubles().size());
}

void dispose(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    // What was sent before this step is in the ring until its handler has run.
    wait_until("responses to all requests", [&] {
        return role.request_buffer().used() == 0 && role.answered() == role.record().finished();
    });
    expect_equal("unread responses", arguments.number(0), role.response_buffer().unread().frames);
    world.servers.remove_found(arguments.role);
}

void check_name_is_used_again(World& world, const StepArguments& arguments) {
    const ServerRole& role = world.servers.find(arguments.role);
    const BufferFilesSeen files(role.name().request());
    expect(files.count() == files.files.size(),
           "expected all files of the request buffer, found " + files.existing());
    expect_equal("owner of the request buffer", static_cast<std::uint64_t>(::getpid()),
                 files.owner());
    expect_equal("bytes in use in the request buffer", 0U, role.request_buffer().used());
}

void add_outliving(StepRegistry& registry) {
    registry.add({then}, R"(the server handler receives immutable request frame)",
                 check_request_is_untouched);
    registry.add({then}, R"(the server handler returns new response data)", check_response_is_new);
    registry.add({then}, R"(completes processing after '(\d+)' seconds)", check_processing_time);
    registry.add({then}, R"(attempts to send response)", await_attempt_to_send);
    registry.add({then}, R"(detects client death when writing)", check_client_death);
    registry.add({then}, R"(continues processing other requests)", check_serves_others);
    registry.add({then}, R"(disposes server while '(\d+)' responses pending)", dispose);
    registry.add({then}, R"(the new server should reuse same channel name successfully)",
                 check_name_is_used_again);
}

}  // namespace

std::byte xor_key(const std::string& text) {
    return static_cast<std::byte>(std::stoul(text, nullptr, 16));
}

void add_duplex_server(StepRegistry& registry) {
    add_channels(registry);
    add_handlers(registry);
    add_blocking(registry);
    add_outliving(registry);
}

}  // namespace zerobuffer::serve::steps
