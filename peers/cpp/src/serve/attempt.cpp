#include "serve/attempt.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace zerobuffer::serve {

std::string kind_of(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(
        abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
    const std::string whole = status == 0 ? name.get() : type.name();
    const auto end_of_namespace = whole.rfind("::");
    return end_of_namespace == std::string::npos ? whole : whole.substr(end_of_namespace + 2);
}

std::string kind_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return kind_of(typeid(exception));
    } catch (...) {
        return "something that is no exception";
    }
}

std::string describe(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return kind_of(typeid(exception)) + " (" + exception.what() + ")";
    } catch (...) {
        return kind_of(error);
    }
}

Attempt::Attempt(std::string what, const std::function<void()>& run,
                 std::optional<std::uint64_t> size)
    : what_(std::move(what)), size_(size), began_(Clock::now()) {
    try {
        run();
    } catch (...) {
        error_ = std::current_exception();
    }
    ended_ = Clock::now();
}

std::uint64_t Attempt::size() const {
    expect(size_.has_value(), what_ + ": expected an attempt to write, found none");
    return *size_;
}

std::string Attempt::outcome() const { return error_ ? describe(error_) : "that it succeeded"; }

void Attempt::expect_success() const {
    expect(succeeded(), what_ + ": expected success, found " + outcome());
}

}  // namespace zerobuffer::serve
