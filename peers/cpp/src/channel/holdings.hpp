#pragma once
// What one part of a program holds of the system, known outside of it: readers and writers that
// were made under a Holdings can be released by another thread, when their own hangs.

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "channel/error.hpp"

namespace zerobuffer {

// One end of a buffer. Closing is safe from any thread, and more than once.
class Holding {
public:
    virtual ~Holding() = default;
    virtual void close() noexcept = 0;
};

class Holdings {
public:
    // Makes an end and remembers it, in one step that `close_all` cannot come between.
    // Throws Closed after `close_all`.
    template <class Make>
    auto make(const std::string& name, Make&& make) {
        const std::lock_guard lock(mutex_);
        if (closed_) throw Closed(name);
        std::erase_if(ends_, [](const auto& end) { return end.expired(); });
        auto end = make();
        ends_.push_back(end);
        return end;
    }

    // Closes every end that is left; from now on none is made.
    void close_all() noexcept {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        for (const auto& weak : ends_) {
            if (const auto end = weak.lock()) end->close();
        }
        ends_.clear();
    }

private:
    std::mutex mutex_;
    bool closed_ = false;
    std::vector<std::weak_ptr<Holding>> ends_;
};

// Makes an end under `holdings`, or on its own where there are none.
template <class Make>
auto make_held(const std::shared_ptr<Holdings>& holdings, const std::string& name, Make&& make) {
    return holdings ? holdings->make(name, make) : make();
}

}  // namespace zerobuffer
