#pragma once
// How often this thread asked for memory. The program's operator new counts.

#include <cstdint>

namespace zerobuffer::serve {

class AllocationCount {
public:
    AllocationCount() noexcept : begin_(now()) {}
    // Since this was made, by the thread that made it.
    std::uint64_t since() const noexcept { return now() - begin_; }

private:
    static std::uint64_t now() noexcept;

    std::uint64_t begin_;
};

}  // namespace zerobuffer::serve
