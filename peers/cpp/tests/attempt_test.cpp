#include "serve/attempt.hpp"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "channel/error.hpp"
#include "serve/allocation_count.hpp"
#include "serve/death_watch.hpp"
#include "serve/race.hpp"
#include "serve/table.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::serve;
using namespace zerobuffer::test;

TEST(an_attempt_is_judged_by_the_class_of_its_error) {
    const Attempt failed("writing", [] { throw BufferFull("b", 3, 2); }, 3);
    check_equal(3U, failed.expect_failure<BufferFull>().needed);
    check_equal(3U, failed.size());
    const auto other = check_throws<StepFailure>([&] { failed.expect_failure<ReaderDead>(); });
    check(std::string(other.what()).starts_with("writing: expected ReaderDead, found BufferFull ("),
          other.what());
    check_throws<StepFailure>([&] { failed.expect_success(); });
}

TEST(an_attempt_that_succeeds_has_not_failed) {
    const Attempt succeeded("writing", [] {});
    succeeded.expect_success();
    check_throws<StepFailure>([&] { succeeded.expect_failure<Error>(); });
    check_throws<StepFailure>([&] { succeeded.size(); });
}

TEST(a_death_is_seen_when_it_comes) {
    Child child([] { std::this_thread::sleep_for(Milliseconds{20000}); });
    const DeathWatch watch(child.pid());
    std::this_thread::sleep_for(Milliseconds{50});
    const TimePoint killed = Clock::now();
    child.kill();
    check(watch.died() >= killed, "expected no death before the process was killed");
    check_time(killed, Milliseconds{50});
}

TEST(a_death_that_is_past_is_taken_for_one_now) {
    Child child([] {});
    const auto pid = child.pid();
    check_equal(0, child.wait());
    const TimePoint start = Clock::now();
    check(DeathWatch(pid).died() >= start, "expected now");
}

TEST(what_lives_has_not_died) {
    check_throws<StepFailure>([] { DeathWatch(static_cast<std::uint64_t>(::getpid())).died(); });
    check_throws<StepFailure>([] { DeathWatch(0); });
}

TEST(a_death_is_noticed_in_time_or_not) {
    const Attempt slow("waiting", [] { std::this_thread::sleep_for(Milliseconds{320}); });
    check_throws<StepFailure>([&] { expect_noticed(slow, "it"); });
    Child child([] {});
    const auto pid = child.pid();
    child.wait();
    // Later than the attempt.
    expect_noticed(slow, "it", DeathWatch(pid));
    const DeathWatch before(pid);
    const Attempt late("waiting", [] { std::this_thread::sleep_for(Milliseconds{320}); });
    check_throws<StepFailure>([&] { expect_noticed(late, "it", before); });
    expect_noticed(Attempt("waiting", [] {}), "it", before);
}

TEST(allocations_of_this_thread_are_counted) {
    const AllocationCount count;
    check_equal(0U, count.since());
    const std::vector<int> one(10);
    struct alignas(256) Wide {
        char data[256];
    };
    const auto two = std::make_unique<Wide>();
    check_equal(2U, count.since());
    std::jthread([] { const std::vector<int> others(10); }).join();
    const std::uint64_t starting_a_thread = count.since();
    std::jthread([] {}).join();
    check_equal(2 * (starting_a_thread - 2), count.since() - 2);
}

TEST(tables_come_as_json) {
    const auto rows = table_of({{"table", R"([["a","b"],["1","x"],["2","y"]])"}});
    check_equal(2U, rows.size());
    check_equal(2U, rows[1].number("a"));
    check_equal("y", rows[1].text("b"));
    check_throws<StepFailure>([&] { rows[1].number("b"); });
    check_throws<StepFailure>([&] { rows[1].text("c"); });
    for (const char* bad : {"", "{", "[]", R"([["a"]])", "[1,2]"}) {
        check_throws<StepFailure>([&] { table_of({{"table", bad}}); });
    }
    check_throws<StepFailure>([] { table_of({}); });
}

TEST(what_two_processes_told_is_found_by_their_names) {
    const auto differing = told_by_process({{"reader#1.wins", "01"}, {"reader#2.wins", "10"}}, "wins");
    check_equal(2U, differing.size());
    check_equal("10", differing.at("reader#2"));
    const auto same = told_by_process({{"wins", "01"}}, "wins");
    check_equal(2U, same.size());
    check_equal("01", same.begin()->second);
    check(told_by_process({{"losses", "x"}}, "wins").empty(), "expected none");
}

TEST(two_processes_race_for_a_buffer_and_one_wins_each_round) {
    const BufferName name(unique_name("race"));
    constexpr int kRounds = 3;
    Child other([&] { Race(name, nullptr).run(kRounds); });
    Race race(name, nullptr);
    race.run(kRounds);
    check_equal(0, other.wait());
    const auto won = static_cast<std::uint64_t>(std::count(race.wins().begin(), race.wins().end(), '1'));
    check_equal(static_cast<std::size_t>(kRounds), race.wins().size());
    check_equal(won, race.intact());
    const std::string lost = won == kRounds ? "" : "ReaderAlreadyConnected=" + std::to_string(kRounds - won);
    check_equal(lost, race.losses());
}
