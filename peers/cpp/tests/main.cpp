// Runs the tests, or those whose names contain one of the arguments.

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "test.hpp"

namespace zerobuffer::test {

namespace {

const std::string run_id = "zbt" + std::to_string(::getpid());

}  // namespace

std::vector<Test>& all_tests() {
    static std::vector<Test> tests;
    return tests;
}

void fail(const std::string& what, std::source_location at) {
    throw std::runtime_error(std::string(at.file_name()) + ":" + std::to_string(at.line()) + ": " +
                             what);
}

std::string unique_name(const std::string& base) {
    static std::atomic<int> count = 0;
    return run_id + "-" + base + "-" + std::to_string(++count);
}

std::span<const std::byte> bytes(const std::string& text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Milliseconds elapsed_since(TimePoint start) {
    return std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
}

void check_time(TimePoint start, Milliseconds limit, std::source_location at) {
    const Milliseconds took = elapsed_since(start);
    if (took < limit) return;
    throw TooLate(std::string(at.file_name()) + ":" + std::to_string(at.line()) + ": took " +
                  std::to_string(took.count()) + " ms instead of less than " +
                  std::to_string(limit.count()));
}

Child::Child(const std::function<void()>& body) {
    std::fflush(stderr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    int status = 0;
    try {
        body();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "in a child: %s\n", error.what());
        status = 1;
    }
    ::_exit(status);
}

Child::~Child() {
    if (pid_ <= 0) return;
    kill();
    wait();
}

void Child::kill() { ::kill(pid_, SIGKILL); }

int Child::wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Signal::Signal() {
    if (::pipe(ends_) != 0) throw std::runtime_error("no pipe");
}

Signal::~Signal() {
    ::close(ends_[0]);
    ::close(ends_[1]);
}

void Signal::give() {
    const char byte = 0;
    if (::write(ends_[1], &byte, 1) != 1) throw std::runtime_error("the pipe is broken");
}

void Signal::await() {
    pollfd ready{ends_[0], POLLIN, 0};
    char byte;
    if (::poll(&ready, 1, 20'000) != 1 || ::read(ends_[0], &byte, 1) != 1) {
        throw std::runtime_error("the other process did not get this far");
    }
}

namespace {

std::vector<std::string> left_behind() {
    std::vector<std::string> found;
    for (const char* folder : {"/dev/shm", "/tmp/zerobuffer"}) {
        if (!std::filesystem::exists(folder)) continue;
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            const std::string name = entry.path().filename();
            if (name.find(run_id) != std::string::npos) found.push_back(entry.path());
        }
    }
    return found;
}

void run_in_time(const Test& test) {
    constexpr int kAttempts = 5;
    for (int attempt = 1;; ++attempt) {
        try {
            return test.run();
        } catch (const TooLate&) {
            if (attempt == kAttempts) throw;
            for (const std::string& path : left_behind()) std::filesystem::remove(path);
        }
    }
}

bool run(const Test& test) {
    std::string why;
    try {
        run_in_time(test);
    } catch (const std::exception& error) {
        why = error.what();
    }
    for (const std::string& path : left_behind()) {
        why += (why.empty() ? "" : "\n  ") + ("left behind: " + path);
        std::filesystem::remove(path);
    }
    if (why.empty()) return true;
    std::fprintf(stderr, "FAILED %s\n  %s\n", test.name, why.c_str());
    return false;
}

bool is_chosen(const Test& test, int argc, char** argv) {
    return argc == 1 || std::any_of(argv + 1, argv + argc, [&](const char* part) {
        return std::string_view(test.name).find(part) != std::string_view::npos;
    });
}

}  // namespace
}  // namespace zerobuffer::test

int main(int argc, char** argv) {
    using namespace zerobuffer::test;
    int passed = 0;
    int failed = 0;
    for (const Test& test : all_tests()) {
        if (is_chosen(test, argc, argv)) ++(run(test) ? passed : failed);
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0 ? 1 : 0;
}
