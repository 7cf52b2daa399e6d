// Steps of "Duplex channels".

#include <condition_variable>
#include <mutex>

#include "channel/error.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr Milliseconds kConnectTimeout{10000};
constexpr Milliseconds kReceiveTimeout{10000};
// How long an answer that must not come is waited for.
constexpr Milliseconds kNothingMore{50};
// Servers look for a new client every 100 ms or faster, if they look before its first request.
constexpr Milliseconds kServerAttaches{250};
constexpr Milliseconds kLate{100};  // how much longer than its handlers an exchange may take
constexpr BlockSizes kDefaultSizes{4096, 1024 * 1024};

void create_channel(World& world, const StepArguments& arguments, const BlockSizes& sizes) {
    const std::string& channel = arguments.text(0);
    const ChannelName name(world.name_on_machine(channel));
    world.servers.remove(arguments.role, channel);
    world.servers.add(arguments.role, channel,
                      std::unique_ptr<ServerRole>(new ServerRole{ImmutableDuplexServer(
                          name, {sizes, Milliseconds{5000}, world.holdings()})}));
    world.log().info("created channel " + name.text());
}

void wait_unless_stopped(const std::stop_token& stop, Milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, time, [] { return false; });
}

void start_echo(World& world, const StepArguments& arguments, Milliseconds processing_time) {
    ServerRole& role = world.servers.find(arguments.role);
    role.server.start(
        [stop = role.stopping.get_token(), processing_time](std::span<const std::byte> request) {
            if (processing_time.count() > 0) wait_unless_stopped(stop, processing_time);
            return Bytes(request.begin(), request.end());
        },
        [&log = world.log()](const std::string& what) { log.warn("channel: " + what); });
}

void add_serving(StepRegistry& registry) {
    registry.add({given},
                 R"(creates immutable duplex channel '([^']+)' with metadata size '(\d+)' and payload size '(\d+)')",
                 [](World& world, const auto& a) {
                     create_channel(world, a, {a.number(1), a.number(2)});
                 });
    registry.add({given}, R"(creates immutable duplex channel '([^']+)' with default config)",
                 [](World& world, const auto& a) { create_channel(world, a, kDefaultSizes); });
    registry.add({given},
                 R"(creates immutable duplex channel '([^']+)' with processing mode '([^']+)')",
                 [](World& world, const auto& a) {
                     expect_equal("processing mode", std::string("SingleThread"), a.text(1));
                     create_channel(world, a, kDefaultSizes);
                 });
    registry.add({given}, R"(starts echo handler)", [](World& world, const auto& a) {
        start_echo(world, a, Milliseconds{0});
    });
    registry.add({given}, R"(starts handler with '(\d+)' ms processing time)",
                 [](World& world, const auto& a) {
                     // A tenth more, for clients whose clock starts only after their last request:
                     // what they measure is still not less than the processing takes.
                     const auto time = a.number(0);
                     start_echo(world, a, Milliseconds(time + time / 10));
                 });
}

void create_client(World& world, const StepArguments& arguments) {
    const std::string& channel = arguments.text(0);
    const ChannelName name(world.name_on_machine(channel));
    world.clients.remove(arguments.role, channel);
    DuplexClientOptions options;
    options.connect_timeout = kConnectTimeout;
    options.holdings = world.holdings();
    ClientRole& role = world.clients.add(
        arguments.role, channel,
        std::make_unique<ClientRole>(ClientRole{DuplexClient::connect(name, options)}));
    // So that no time of attaching is measured as time of answering.
    const bool attached = role.client.wait_for_server(kServerAttaches);
    world.log().info("connected to channel " + name.text() +
                     (attached ? "" : ", whose server attaches later"));
}

void send(ClientRole& role, Bytes data) {
    if (role.sent.empty()) role.first_sent = Clock::now();
    const std::uint64_t sequence = role.client.send(data);
    role.sent.emplace(sequence, std::move(data));
}

void send_many(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) send(role, request_text(i));
}

const FrameRecord& receive_one(ClientRole& role) {
    const auto answer = role.client.receive(kReceiveTimeout);
    expect(answer.has_value(), "expected response number " +
                                   std::to_string(role.answers.size() + 1) +
                                   ", found none within " +
                                   std::to_string(kReceiveTimeout.count()) + " ms");
    const auto data = answer->data();
    role.answers.push_back({answer->sequence(), Bytes(data.begin(), data.end())});
    return role.answers.back();
}

void expect_answer_to_its_request(const ClientRole& role, const FrameRecord& answer) {
    const std::string what = "response " + std::to_string(answer.sequence);
    const auto request = role.sent.find(answer.sequence);
    expect(request != role.sent.end(), what + ": expected a request with this number, found none");
    expect_bytes(what, request->second, answer.data);
}

void expect_all_match(const ClientRole& role) {
    expect(!role.answers.empty(), "expected responses, found none");
    for (const FrameRecord& answer : role.answers) expect_answer_to_its_request(role, answer);
}

void expect_order(const ClientRole& role) {
    expect(role.answers.size() > 1,
           "expected responses to compare, found " + std::to_string(role.answers.size()));
    for (std::size_t i = 1; i < role.answers.size(); ++i) {
        const std::uint64_t before = role.answers[i - 1].sequence;
        expect_equal("number of the response after " + std::to_string(before), before + 1,
                     role.answers[i].sequence);
    }
}

void expect_nothing_more(ClientRole& role) {
    const auto answer = role.client.receive(kNothingMore);
    expect(!answer, "expected no further response, found one with number " +
                        (answer ? std::to_string(answer->sequence()) : std::string()));
}

void receive_single(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    expect(!role.sent.empty(), "no request has been sent yet");
    const FrameRecord& answer = receive_one(role);
    expect_equal("number of the response", role.sent.rbegin()->first, answer.sequence);
    expect_equal("size of the response", arguments.number(0), answer.data.size());
    expect_answer_to_its_request(role, answer);
}

void receive_in_order(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) receive_one(role);
    expect_order(role);
}

void receive_exactly(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    for (std::uint64_t i = 0; i < count; ++i) expect_answer_to_its_request(role, receive_one(role));
    expect_nothing_more(role);
}

void check_none_lost_or_doubled(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    expect_nothing_more(role);
    std::map<std::uint64_t, int> times;
    for (const FrameRecord& answer : role.answers) ++times[answer.sequence];
    for (const auto& [sequence, data] : role.sent) {
        expect_equal("responses to request " + std::to_string(sequence), 1, times[sequence]);
    }
    expect_equal("responses in all", role.sent.size(), role.answers.size());
}

void measure_total_time(World& world, const StepArguments& arguments) {
    ClientRole& role = world.clients.find(arguments.role);
    expect(!role.sent.empty(), "no request has been sent yet");
    while (role.answers.size() < role.sent.size()) receive_one(role);
    role.total_time = std::chrono::duration_cast<Milliseconds>(Clock::now() - role.first_sent);
    world.log().info("all responses after " + std::to_string(role.total_time->count()) + " ms");
}

void check_total_time(World& world, const StepArguments& arguments) {
    const ClientRole& role = world.clients.find(arguments.role);
    const Milliseconds least(arguments.number(0));
    expect(role.total_time.has_value(), "the total response time has not been measured");
    expect(*role.total_time >= least && *role.total_time < least + kLate,
           "total response time: expected at least " + std::to_string(least.count()) +
               " ms and under " + std::to_string((least + kLate).count()) + " ms, found " +
               std::to_string(role.total_time->count()) + " ms");
}

void add_asking(StepRegistry& registry) {
    registry.add({when}, R"(creates duplex channel client '([^']+)')", create_client);
    registry.add({when}, R"(sends request with size '(\d+)')", [](World& world, const auto& a) {
        send(world.clients.find(a.role), pattern(a.number(0)));
    });
    registry.add({when}, R"(sends '(\d+)' requests (?:sequentially|from single thread))",
                 send_many);
    registry.add({when}, R"(measures total response time)", measure_total_time);
    registry.add({then}, R"(response should match request with size '(\d+)')", receive_single);
    registry.add({then}, R"(receives '(\d+)' responses in order)", receive_in_order);
    registry.add({then}, R"(receives exactly '(\d+)' responses)", receive_exactly);
    registry.add({then}, R"(responses should match requests by content)",
                 [](World& world, const auto& a) { expect_all_match(world.clients.find(a.role)); });
    registry.add({then}, R"(all '(\d+)' responses match their requests)",
                 [](World& world, const auto& a) {
                     const ClientRole& role = world.clients.find(a.role);
                     expect_equal("responses", a.number(0), role.answers.size());
                     expect_all_match(role);
                 });
    registry.add({then}, R"(no responses should be lost or duplicated)",
                 check_none_lost_or_doubled);
    registry.add({then}, R"(total time should be at least '(\d+)' ms)", check_total_time);
    registry.add({then}, R"(responses should arrive in order)",
                 [](World& world, const auto& a) { expect_order(world.clients.find(a.role)); });
}

}  // namespace

void add_duplex(StepRegistry& registry) {
    add_serving(registry);
    add_asking(registry);
}

}  // namespace zerobuffer::serve::steps
