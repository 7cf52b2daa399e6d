#pragma once
// What came of something that a step attempts: it may fail, and later steps judge how.

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <typeinfo>

#include "channel/clock.hpp"
#include "serve/check.hpp"

namespace zerobuffer::serve {

// The name of an error's class, without its namespace.
std::string kind_of(const std::type_info& type);
std::string kind_of(const std::exception_ptr& error);
// The same, and what it says.
std::string describe(const std::exception_ptr& error);

class Attempt {
public:
    // Runs it. `size`: of what it tries to write, where it does.
    Attempt(std::string what, const std::function<void()>& run,
            std::optional<std::uint64_t> size = std::nullopt);

    bool succeeded() const noexcept { return !error_; }
    TimePoint began() const noexcept { return began_; }
    TimePoint ended() const noexcept { return ended_; }
    Milliseconds took() const noexcept {
        return std::chrono::duration_cast<Milliseconds>(ended_ - began_);
    }
    std::uint64_t size() const;
    std::string outcome() const;

    void expect_success() const;
    // The error, which has to be of this class.
    template <class Expected>
    Expected expect_failure() const {
        if (error_) {
            try {
                std::rethrow_exception(error_);
            } catch (const Expected& error) {
                return error;
            } catch (...) {
            }
        }
        throw StepFailure(what_ + ": expected " + kind_of(typeid(Expected)) + ", found " +
                          outcome());
    }

private:
    std::string what_;
    std::optional<std::uint64_t> size_;
    std::exception_ptr error_;
    TimePoint began_;
    TimePoint ended_;
};

}  // namespace zerobuffer::serve
