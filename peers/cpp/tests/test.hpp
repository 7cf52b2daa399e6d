#pragma once
// A test is a function that throws when it fails.

#include <sys/types.h>

#include <functional>
#include <source_location>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "channel/clock.hpp"

namespace zerobuffer::test {

struct Test {
    const char* name;
    void (*run)();
};

std::vector<Test>& all_tests();

struct Registered {
    Registered(const char* name, void (*run)()) { all_tests().push_back({name, run}); }
};

[[noreturn]] void fail(const std::string& what, std::source_location at);

inline void check(bool holds, const std::string& what,
                  std::source_location at = std::source_location::current()) {
    if (!holds) fail(what, at);
}

template <class Expected, class Found>
void check_equal(const Expected& expected, const Found& found,
                 std::source_location at = std::source_location::current()) {
    if (expected == found) return;
    std::ostringstream text;
    text << "expected " << expected << ", found " << found;
    fail(text.str(), at);
}

template <class Exception>
Exception check_throws(const std::function<void()>& run,
                       std::source_location at = std::source_location::current()) {
    try {
        run();
    } catch (const Exception& exception) {
        return exception;
    } catch (const std::exception& other) {
        fail(std::string("expected another exception, found: ") + other.what(), at);
    }
    fail("expected an exception, found none", at);
}

// A buffer name that no other test and no other run has.
std::string unique_name(const std::string& base);

std::span<const std::byte> bytes(const std::string& text);
std::string text(std::span<const std::byte> bytes);

Milliseconds elapsed_since(TimePoint start);

// Something took longer than it may. On a busy machine that can happen to any program, so such a
// test is run again, some times; what is always too slow still fails.
struct TooLate : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void check_time(TimePoint start, Milliseconds limit,
                std::source_location at = std::source_location::current());

// A forked child that runs `body` and exits; with 1 when it throws.
class Child {
public:
    explicit Child(const std::function<void()>& body);
    Child(const Child&) = delete;
    ~Child();

    std::uint64_t pid() const { return static_cast<std::uint64_t>(pid_); }
    // Does not reap it.
    void kill();
    // Its exit status; 128 and the signal when one ended it.
    int wait();

private:
    pid_t pid_;
};

// Something one process tells another.
class Signal {
public:
    Signal();
    ~Signal();
    Signal(const Signal&) = delete;

    void give();
    // Throws after some seconds.
    void await();

private:
    int ends_[2];
};

}  // namespace zerobuffer::test

#define TEST(name)                                                                  \
    static void name();                                                             \
    static const zerobuffer::test::Registered registered_##name(#name, name);       \
    static void name()
