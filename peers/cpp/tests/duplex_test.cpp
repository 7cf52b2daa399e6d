#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "channel/error.hpp"
#include "channel/file.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"
#include "duplex/client.hpp"
#include "duplex/server.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{5000};

std::vector<std::byte> echo(std::span<const std::byte> request) {
    return {request.begin(), request.end()};
}

// Fails for "bad", echoes the rest.
std::vector<std::byte> picky(std::span<const std::byte> request) {
    if (text(request) == "bad") throw std::runtime_error("no good");
    return echo(request);
}

struct Server {
    explicit Server(const std::string& base, ImmutableDuplexServer::Handler handler = echo,
                    BlockSizes sizes = {64, 16384})
        : name(unique_name(base)), server(name, {sizes, Milliseconds{300}, nullptr}) {
        server.start(std::move(handler), [this](const ServerTrouble& trouble) {
            const std::lock_guard lock(mutex);
            troubles.push_back(trouble);
        });
    }

    std::size_t trouble_count() {
        const std::lock_guard lock(mutex);
        return troubles.size();
    }

    ChannelName name;
    std::mutex mutex;
    std::vector<ServerTrouble> troubles;
    ImmutableDuplexServer server;
};

std::string answer(DuplexClient& client, std::uint64_t sequence) {
    const auto frame = client.receive(kSoon);
    check(frame.has_value(), "expected an answer");
    check_equal(sequence, frame->sequence());
    return text(frame->data());
}

void check_served(const ChannelName& name) {
    DuplexClient client = DuplexClient::connect(name);
    check_equal("ping", (client.send(bytes("ping")), answer(client, 1)));
}

}  // namespace

TEST(answers_come_in_order_with_their_requests_numbers) {
    Server server("order");
    DuplexClient client = DuplexClient::connect(server.name);
    for (int i = 1; i <= 100; ++i) client.send(bytes(std::to_string(i)));
    for (int i = 1; i <= 100; ++i) {
        check_equal(std::to_string(i), answer(client, static_cast<std::uint64_t>(i)));
    }
    check(!client.receive(Milliseconds{20}), "expected nothing more");
}

TEST(a_client_waits_until_the_server_is_there) {
    const ChannelName name(unique_name("late-server"));
    std::optional<ImmutableDuplexServer> server;
    std::jthread later([&] {
        std::this_thread::sleep_for(Milliseconds{100});
        server.emplace(name, DuplexServerOptions{});
        server->start(echo, nullptr);
    });
    check_served(name);
}

TEST(requests_sent_before_the_server_starts_are_answered) {
    const ChannelName name(unique_name("early"));
    ImmutableDuplexServer server(name, {});
    DuplexClient client = DuplexClient::connect(name);
    client.send(bytes("early"));
    server.start(echo, nullptr);
    check_equal("early", answer(client, 1));
}

TEST(a_handler_that_fails_leaves_its_number_out) {
    Server server("failing", picky);
    DuplexClient client = DuplexClient::connect(server.name);
    for (const char* request : {"a", "bad", "bad", "d"}) client.send(bytes(request));
    check_equal("a", answer(client, 1));
    check_equal(2U, check_throws<HandlerFailed>([&] { client.receive(kSoon); }).sequence);
    check_equal(3U, check_throws<HandlerFailed>([&] { client.receive(kSoon); }).sequence);
    check_equal("d", answer(client, 4));
    check_equal(2U, server.trouble_count());
    check(server.troubles[0].kind == ServerTrouble::Kind::handler_failed, "expected its kind");
    check_equal(2U, server.troubles[0].request);
    check(server.troubles[0].what.find("request 2: ") == 0, "expected the request's number");
}

TEST(a_request_is_filled_in_place) {
    Server server("loan");
    DuplexClient client = DuplexClient::connect(server.name);
    Loan request = client.loan(4);
    std::memcpy(request.data().data(), "ping", 4);
    request.commit();
    check_equal("ping", answer(client, request.sequence()));
}

TEST(a_client_that_dies_before_its_answer_is_told_of) {
    std::atomic<bool> handling = false;
    std::atomic<bool> go_on = false;
    Server server("no-wait", [&](std::span<const std::byte> request) {
        handling = true;
        while (!go_on) std::this_thread::sleep_for(Milliseconds{1});
        return echo(request);
    });
    Signal asked;
    Child child([&] {
        DuplexClient client = DuplexClient::connect(server.name);
        client.send(bytes("1"));
        client.send(bytes("2"));
        asked.give();
        for (;;) ::pause();
    });
    asked.await();
    while (!handling) std::this_thread::sleep_for(Milliseconds{1});
    child.kill();
    child.wait();
    // A writer looks after its reader once a tick.
    std::this_thread::sleep_for(2 * kTick);
    go_on = true;
    const TimePoint start = Clock::now();
    while (server.trouble_count() == 0) {
        check(elapsed_since(start) < kSoon, "expected to be told");
        std::this_thread::sleep_for(Milliseconds{1});
    }
    {
        const std::lock_guard lock(server.mutex);
        check(server.troubles[0].kind == ServerTrouble::Kind::client_gone, "expected its kind");
        check_equal(1U, server.troubles[0].request);
    }
    check_equal(0U, server.server.answered());
    check_served(server.name);
    // The client may have its answer before it is counted.
    while (server.server.answered() == 0) check(elapsed_since(start) < kSoon, "expected a count");
    check_equal(1U, server.server.answered());
}

TEST(a_server_outlives_its_clients) {
    Server server("clients");
    for (int i = 0; i < 20; ++i) check_served(server.name);
}

TEST(a_client_that_leaves_before_it_asks_is_no_trouble) {
    Server server("shy");
    for (int i = 0; i < 10; ++i) {
        DuplexClient client = DuplexClient::connect(server.name);
        if (i % 2 == 0) check(client.wait_for_server(kSoon), "expected the server to attach");
    }
    check_served(server.name);
}

TEST(a_dead_clients_response_buffer_is_removed_and_the_next_one_served) {
    Server server("dead-client");
    Signal asked;
    Child child([&] {
        DuplexClient client = DuplexClient::connect(server.name);
        client.send(bytes("ping"));
        answer(client, 1);
        for (int i = 0; i < 5; ++i) client.send(bytes("unread"));
        asked.give();
        for (;;) ::pause();
    });
    asked.await();
    child.kill();
    const TimePoint start = Clock::now();
    while (identity_of(server.name.response().segment_path())) {
        check_time(start, Milliseconds{500});
        std::this_thread::sleep_for(Milliseconds{1});
    }
    child.wait();
    check_served(server.name);
}

TEST(a_dead_server_is_noticed_by_a_client_that_waits) {
    const ChannelName name(unique_name("dead-server"));
    Signal made;
    Child child([&] {
        ImmutableDuplexServer server(name, {});
        server.start([](auto) -> std::vector<std::byte> { for (;;) ::pause(); }, nullptr);
        made.give();
        for (;;) ::pause();
    });
    made.await();
    {
        DuplexClient client = DuplexClient::connect(name);
        client.send(bytes("ping"));
        TimePoint killed{};
        std::jthread killer([&] {
            std::this_thread::sleep_for(Milliseconds{50});
            killed = Clock::now();
            child.kill();
        });
        check_throws<ServerDead>([&] { client.receive(kSoon); });
        killer.join();
        check_time(killed, Milliseconds{200});
        check_throws<ServerDead>([&] { client.send(bytes("ping")); });
    }
    child.wait();
    // A next server takes over what the dead one left.
    ImmutableDuplexServer server(name, {});
    server.start(echo, nullptr);
    check_served(name);
}

TEST(a_server_that_leaves_before_it_answers_is_noticed) {
    const ChannelName name(unique_name("never-attached"));
    Reader requests = Reader::create(name.request(), {{64, 1024}});
    DuplexClient client = DuplexClient::connect(name);
    client.send(bytes("ping"));
    TimePoint left{};
    std::jthread leaver([&] {
        std::this_thread::sleep_for(Milliseconds{50});
        left = Clock::now();
        requests.close();
    });
    check_throws<ServerDead>([&] { client.receive(kSoon); });
    leaver.join();
    check_time(left, Milliseconds{200});
}

TEST(a_server_rests_while_it_has_no_client) {
    const auto cpu_time = [] {
        timespec used{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
    };
    Server server("resting");
    check_served(server.name);
    const auto before = cpu_time();
    std::this_thread::sleep_for(Milliseconds{300});
    check(cpu_time() - before < Milliseconds{60}, "expected it to sleep");
}

TEST(a_client_that_does_not_read_costs_its_answers_and_no_more) {
    Server server("full", [](auto) { return std::vector<std::byte>(4000); });
    DuplexClient client = DuplexClient::connect(server.name);
    for (int i = 1; i <= 6; ++i) client.send(bytes("more"));
    const TimePoint start = Clock::now();
    while (server.trouble_count() < 2) {
        check(elapsed_since(start) < kSoon, "expected two answers to be given up");
        std::this_thread::sleep_for(Milliseconds{5});
    }
    for (std::uint64_t i = 1; i <= 4; ++i) check_equal(4000U, answer(client, i).size());
    client.send(bytes("again"));
    check_equal(5U, check_throws<HandlerFailed>([&] { client.receive(kSoon); }).sequence);
    check_equal(6U, check_throws<HandlerFailed>([&] { client.receive(kSoon); }).sequence);
    check_equal(4000U, answer(client, 7).size());
}

TEST(a_server_stops_within_200_ms_whatever_it_waits_on) {
    const auto check_stops = [](Server& server) {
        const TimePoint start = Clock::now();
        server.server.stop();
        check_time(start, Milliseconds{200});
    };
    Server without_client("idle");
    check_stops(without_client);

    Server with_client("waiting");
    DuplexClient client = DuplexClient::connect(with_client.name);
    check(client.wait_for_server(kSoon), "expected the server to attach");
    check_stops(with_client);

    std::atomic<int> handled = 0;
    Server writing("writing", [&](auto) { return ++handled, std::vector<std::byte>(9000); });
    DuplexClient asking = DuplexClient::connect(writing.name);
    asking.send(bytes("1"));
    asking.send(bytes("2"));
    while (handled < 2) std::this_thread::sleep_for(Milliseconds{1});
    check_stops(writing);

    Server attaching("attaching");
    Writer half_a_client = Writer::connect(attaching.name.request());
    half_a_client.write(bytes("x"));
    std::this_thread::sleep_for(Milliseconds{20});
    check_stops(attaching);
}

namespace {

// A client that a test plays itself, with a response buffer that no server can use.
struct BadClient {
    explicit BadClient(Server& server)
        : server(server), name(server.name.response()), responses(Reader::create(name, {{64, 1024}})) {}

    auto times_told_of(const std::string& what) {
        const std::lock_guard lock(server.mutex);
        return std::ranges::count_if(server.troubles, [&](const ServerTrouble& trouble) {
            return trouble.what.find(what) != std::string::npos;
        });
    }

    void check_told_of(const std::string& what) {
        const TimePoint start = Clock::now();
        while (times_told_of(what) == 0) {
            check(elapsed_since(start) < kSoon, "expected to be told of: " + what);
            std::this_thread::sleep_for(Milliseconds{1});
        }
    }

    void wait_until_dropped() {
        const Segment requests = Segment::open(server.name.request());
        const TimePoint start = Clock::now();
        while (requests.field(Field::payload_free_bytes).load() != requests.payload().size()) {
            check(elapsed_since(start) < kSoon, "expected the request to be dropped");
            std::this_thread::sleep_for(Milliseconds{1});
        }
    }

    Server& server;
    BufferName name;
    Reader responses;
};

}  // namespace

TEST(a_response_buffer_that_cannot_be_used_costs_its_client_only) {
    Server server("bad-buffer");
    const auto check_survived = [&](Field field, std::uint64_t value, const std::string& what) {
        BadClient client(server);
        Segment::open(client.name).field(field).store(value);
        Writer requests = Writer::connect(server.name.request());
        client.check_told_of(what);
        // The server looks once more before it drops the request, and tells nothing new.
        requests.write(bytes("ping"));
        requests.close();
        client.wait_until_dropped();
        client.responses.close();
        check_served(server.name);
        check_equal(1, client.times_told_of(what));
    };
    check_survived(Field::payload_write_pos, 2000, "write position 2000");
    check_survived(Field::metadata_size, 4096, "blocks of 4096 and 1024");
}

TEST(a_response_buffer_that_breaks_later_costs_its_client_only) {
    Server server("breaking-buffer");
    const std::string semaphore = semaphore_path(server.name.response().data_semaphore());
    {
        BadClient client(server);
        Writer requests = Writer::connect(server.name.request());
        requests.write(bytes("ping"));
        check(client.responses.read(kSoon).has_value(), "expected an answer");
        // Something else that no semaphore can be.
        ::unlink(semaphore.c_str());
        check_equal(0, ::symlink(client.name.segment_path().c_str(), semaphore.c_str()));
        client.check_told_of("opening semaphore");
    }
    ::unlink(semaphore.c_str());
    check_served(server.name);
}

TEST(requests_of_a_client_that_has_gone_are_not_answered_to_the_next_one) {
    std::atomic<int> handled = 0;
    std::atomic<bool> go_on = false;
    Server server("queued", [&](std::span<const std::byte> request) {
        ++handled;
        while (!go_on) std::this_thread::sleep_for(Milliseconds{1});
        return echo(request);
    });
    {
        DuplexClient gone = DuplexClient::connect(server.name);
        for (int i = 0; i < 5; ++i) gone.send(bytes("old"));
        while (handled < 1) std::this_thread::sleep_for(Milliseconds{1});
    }
    DuplexClient client = DuplexClient::connect(server.name);
    go_on = true;
    client.send(bytes("new"));
    check_equal("new", answer(client, 1));
    check(!client.receive(Milliseconds{50}), "expected no answer to another's request");
    // The one that was being handled, and the new client's.
    check_equal(2, handled.load());
}
