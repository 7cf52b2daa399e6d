#include "serve/log.hpp"

#include "test.hpp"

using namespace zerobuffer::serve;
using namespace zerobuffer::test;

TEST(what_is_logged_is_taken_once_and_in_order) {
    Log log(Level::none);
    log.info("first");
    log.error("second");
    const auto taken = log.take();
    check_equal(2U, taken.size());
    check_equal("first", taken[0].message);
    check(taken[1].level == Level::error, "expected an error");
    const std::string shape = "0000-00-00T00:00:00.000000Z";
    const std::string& timestamp = taken[0].timestamp;
    check_equal(shape.size(), timestamp.size());
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool digit = timestamp[i] >= '0' && timestamp[i] <= '9';
        check(digit ? shape[i] == '0' : shape[i] == timestamp[i], "not ISO 8601: " + timestamp);
    }
}

TEST(logging_that_nobody_takes_costs_no_more_and_more_memory) {
    Log log(Level::none);
    for (int i = 1; i <= 30'000; ++i) log.debug(std::to_string(i));
    const auto taken = log.take();
    check_equal(10'000U, taken.size());
    check_equal("30000", taken.back().message);
}
