// Steps of "Duplex channels", the asking end.

#include <unistd.h>

#include <csignal>
#include <map>
#include <thread>

#include "channel/error.hpp"
#include "serve/allocation_count.hpp"
#include "serve/death_watch.hpp"
#include "serve/patience.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr Milliseconds kConnectTimeout{10000};
// Servers look for a new client every 100 ms or faster, if they look before its first request.
constexpr Milliseconds kServerAttaches{250};
constexpr Milliseconds kLate{100};  // how much longer than its handlers an exchange may take
constexpr std::uint64_t kDefaultRequest = 1024;
constexpr const char* kUsualXorKey = "0xFF";  // of servers that do not tell theirs

void create_client(World& world, const StepArguments& arguments) {
    const std::string& channel = arguments.text(0);
    const ChannelName name(world.name_on_machine(channel));
    world.clients.remove(arguments.role, channel);
    DuplexClientOptions options;
    options.connect_timeout = kConnectTimeout;
    options.holdings = world.holdings();
    ClientRole& role = world.clients.add(
        arguments.role, channel,
        std::make_unique<ClientRole>(name, DuplexClient::connect(name, options)));
    role.server_pid = RawBuffer(name.request()).field(Field::reader_pid);
    // So that no time of attaching is measured as time of answering.
    const bool attached = role.client().wait_for_server(kServerAttaches);
    world.log().info("connected to channel " + name.text() +
                     (attached ? "" : ", whose server attaches later"));
}

void send_many(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) role.send(request_text(i));
}

void expect_all_match(const ClientRole& role) {
    expect(!role.answers().empty(), "expected responses, found none");
    for (const FrameRecord& answer : role.answers()) role.expect_echo(answer);
}

void expect_order(const ClientRole& role) {
    const auto& answers = role.answers();
    expect(answers.size() > 1,
           "expected responses to compare, found " + std::to_string(answers.size()));
    for (std::size_t i = 1; i < answers.size(); ++i) {
        const std::uint64_t before = answers[i - 1].sequence;
        expect_equal("number of the response after " + std::to_string(before), before + 1,
                     answers[i].sequence);
    }
}

// The answer to the last request.
const FrameRecord& receive_last(ClientRole& role) {
    expect(!role.sent().empty(), "no request has been sent yet");
    const FrameRecord& answer = role.receive_one();
    expect_equal("number of the response", role.sent().rbegin()->first, answer.sequence);
    return answer;
}

void receive_single(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const FrameRecord& answer = receive_last(role);
    expect_equal("size of the response", arguments.number(0), answer.data.size());
    role.expect_echo(answer);
}

void receive_in_order(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) role.receive_one();
    expect_order(role);
}

void receive_exactly(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) role.expect_echo(role.receive_one());
    role.expect_nothing_more();
}

void receive_some(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) role.expect_echo(role.receive_one());
}

void check_none_lost_or_doubled(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    role.expect_nothing_more();
    std::map<std::uint64_t, int> times;
    for (const FrameRecord& answer : role.answers()) ++times[answer.sequence];
    for (const auto& [sequence, data] : role.sent()) {
        expect_equal("responses to request " + std::to_string(sequence), 1, times[sequence]);
    }
    expect_equal("responses in all", role.sent().size(), role.answers().size());
}

void measure_total_time(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    expect(!role.sent().empty(), "no request has been sent yet");
    while (role.answers().size() < role.sent().size()) role.receive_one();
    role.total_time = since(role.first_sent());
    world.log().info("all responses after " + text_of(*role.total_time));
}

void check_total_time(World& world, const StepArguments& arguments) {
    const ClientRole& role = world.clients.find(arguments.role);
    const Milliseconds least(arguments.number(0));
    expect(role.total_time.has_value(), "the total response time has not been measured");
    expect(*role.total_time >= least && *role.total_time < least + kLate,
           "total response time: expected at least " + text_of(least) + " and under " +
               text_of(least + kLate) + ", found " + text_of(*role.total_time));
}

void add_asking(StepRegistry& registry) {
    registry.add({when}, R"(creates duplex channel client '([^']+)')", create_client);
    registry.add({when}, R"(sends request (?:with size '(\d+)'|of '(\d+)' bytes))",
                 [](World& world, const auto& a) {
                     const std::uint64_t size = a.number(a.text(0).empty() ? 1 : 0);
                     world.clients.find(a.role).send(pattern(size));
                 });
    registry.add({when}, R"(sends request)", [](World& world, const auto& a) {
        world.clients.find(a.role).send(pattern(kDefaultRequest));
    });
    registry.add({when}, R"(sends '(\d+)' requests(?: sequentially| from single thread)?)",
                 send_many);
    registry.add({when}, R"(measures total response time)", measure_total_time);
    registry.add({then}, R"(response should match request with size '(\d+)')", receive_single);
    registry.add({then}, R"(receives '(\d+)' responses in order)", receive_in_order);
    registry.add({then}, R"(receives exactly '(\d+)' responses)", receive_exactly);
    registry.add({when}, R"(receives '(\d+)' responses)", receive_some);
    registry.add({then}, R"(responses should match requests by content)",
                 [](World& world, const auto& a) { expect_all_match(world.clients.find(a.role)); });
    registry.add({then}, R"(all '(\d+)' responses match their requests)",
                 [](World& world, const auto& a) {
                     const ClientRole& role = world.clients.find(a.role);
                     expect_equal("responses", a.number(0), role.answers().size());
                     expect_all_match(role);
                 });
    registry.add({then}, R"(no responses should be lost or duplicated)",
                 check_none_lost_or_doubled);
    registry.add({then}, R"(total time should be at least '(\d+)' ms)", check_total_time);
    registry.add({then}, R"(responses should arrive in order)",
                 [](World& world, const auto& a) {
                     const ClientRole& role = world.clients.find(a.role);
                     expect_order(role);
                     expect_all_match(role);
                 });
}

void wait_for_response(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const Milliseconds timeout = std::chrono::seconds(arguments.number(0));
    role.servers_end.emplace(role.server_pid);
    world.attempt("waiting for a response", [&] {
        const auto answer = role.client().receive(timeout);
        expect(answer.has_value(), "no response within " + text_of(timeout));
        role.note_answer(*answer);
    });
}

void check_server_death(World& world, const StepArguments& arguments) {
    const ClientRole& role = world.clients.find(arguments.role);
    world.attempted().expect_failure<ServerDead>();
    expect(role.servers_end.has_value(), "no response has been waited for");
    expect_noticed(world.attempted(), "the server's death", *role.servers_end);
}

void check_appropriate_exception(World& world, const StepArguments& arguments) {
    const ClientRole& role = world.clients.find(arguments.role);
    const auto error = world.attempted().expect_failure<ServerDead>();
    expect_equal("the channel that the error names", role.name().text(), error.buffer());
    expect_equal("responses received", 0U, role.answers().size());
}

void crash(World& world, const StepArguments& arguments) {
    expect(!world.clients.find(arguments.role).sent().empty(), "no request has been sent yet");
    std::this_thread::sleep_for(std::chrono::seconds(arguments.number(0)));
    ::kill(::getpid(), SIGKILL);
    wait_until("the death of this process", [] { return false; });
}

// Until there are no more; how it ends is for later steps.
void receive_pending(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    role.answered_before = role.answers().size();
    world.attempt("receiving what is pending", [&] {
        for (;;) role.receive_one();
    });
}

void check_pending_exception(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    world.attempted().expect_failure<ServerDead>();
    expect_noticed(world.attempted(), "the server's end");
    const std::size_t pending = role.sent().size() - role.answered_before;
    expect(pending > 0, "expected responses that were pending, found none");
    expect_equal("responses received after the server had gone", pending,
                 role.answers().size() - role.answered_before);
    expect_all_match(role);
    expect_order(role);
}

// The server has gone; when the client goes as well, nothing is left.
void check_all_removed(World& world, const StepArguments& arguments) {
    const ChannelName name = world.clients.find(arguments.role).name();
    world.clients.remove_found(arguments.role);
    for (const BufferName& buffer : {name.request(), name.response()}) {
        const BufferFilesSeen files(buffer);
        expect(files.count() == 0, "expected no file of buffer '" + buffer.text() + "', found " +
                                       files.existing());
    }
}

void add_endings(StepRegistry& registry) {
    registry.add({when}, R"(waits for response with timeout '(\d+)' seconds)", wait_for_response);
    registry.add({then}, R"(should detect server death)", check_server_death);
    registry.add({then}, R"(an appropriate exception should be thrown)",
                 check_appropriate_exception);
    registry.add({when}, R"(simulates crash after '(\d+)' seconds?)", crash);
    registry.add({when}, R"(attempts to receive pending responses)", receive_pending);
    registry.add({then}, R"(should receive exception on pending)", check_pending_exception);
    registry.add({then}, R"(all shared memory should be cleaned up)", check_all_removed);
}

// Of a handler that doubles its requests.
void receive_doubled(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t expected = role.answers().size() + 1;
    const FrameRecord& answer = role.receive_one();
    expect_equal("number of the response", expected, answer.sequence);
    Bytes twice = role.request_of(answer);
    const Bytes once = twice;
    twice.insert(twice.end(), once.begin(), once.end());
    expect_bytes("response " + std::to_string(answer.sequence), twice, answer.data);
}

void check_none_read(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    expect(role.sent().size() > 0, "no request has been sent yet");
    expect_equal("responses received", 0U, role.answers().size());
    expect_equal("payload_read_count of the response buffer", 0U,
                 RawBuffer(role.name().response()).field(Field::payload_read_count));
}

void check_xor(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const FrameRecord& answer = receive_last(role);
    Bytes expected = role.request_of(answer);
    const auto told = arguments.context.find(kXorKeyTold);
    const std::byte key = xor_key(told == arguments.context.end() ? kUsualXorKey : told->second);
    for (std::byte& byte : expected) byte ^= key;
    expect_bytes("response " + std::to_string(answer.sequence), expected, answer.data);
}

void check_no_allocations(World& world, const StepArguments& arguments) {
    const ClientRole& role = world.clients.find(arguments.role);
    // The count counts: else none would be no news.
    const AllocationCount count;
    const auto alive = std::make_unique<Bytes>(1);
    expect_equal("allocations counted of two made on purpose", 2U, count.since());
    expect_equal("allocations from acquiring the request's buffer to its commit", 0U,
                 role.allocations_while_sending());
}

void add_contents(StepRegistry& registry) {
    registry.add({when}, R"(does not read responses)", check_none_read);
    registry.add({when, then}, R"(reads one response)", receive_doubled);
    registry.add({when}, R"(acquires zero-copy request buffer of size '(\d+)')",
                 [](World& world, const auto& a) {
                     world.clients.find(a.role).acquire(a.number(0));
                 });
    registry.add({when}, R"(fills buffer with test pattern)", [](World& world, const auto& a) {
        world.clients.find(a.role).fill();
    });
    registry.add({when}, R"(commits request)", [](World& world, const auto& a) {
        world.clients.find(a.role).commit();
    });
    registry.add({then}, R"(response should contain same test pattern)",
                 [](World& world, const auto& a) {
                     ClientRole& role = world.clients.find(a.role);
                     const FrameRecord& answer = receive_last(role);
                     role.expect_echo(answer);
                     expect_pattern("the response", answer.data, answer.sequence);
                 });
    registry.add({then}, R"(no memory allocations in send path)", check_no_allocations);
    registry.add({when}, R"(sends '(\d+)' byte frame with test pattern)",
                 [](World& world, const auto& a) {
                     world.clients.find(a.role).send_pattern(a.number(0));
                 });
    registry.add({then}, R"(response should contain XOR transformed data)", check_xor);
}

}  // namespace

void add_duplex_client(StepRegistry& registry) {
    add_asking(registry);
    add_endings(registry);
    add_contents(registry);
}

}  // namespace zerobuffer::serve::steps
