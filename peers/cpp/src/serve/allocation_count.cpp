#include "serve/allocation_count.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace zerobuffer::serve {

namespace {

thread_local std::uint64_t allocations = 0;

}  // namespace

std::uint64_t AllocationCount::now() noexcept { return allocations; }

// The forms of operator new and delete that all others call.
static void* allocate(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(std::max<std::size_t>(size, 1))) return memory;
    throw std::bad_alloc();
}

static void* allocate(std::size_t size, std::size_t alignment) {
    ++allocations;
    const std::size_t whole = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment;
    if (void* memory = std::aligned_alloc(alignment, whole * alignment)) return memory;
    throw std::bad_alloc();
}

}  // namespace zerobuffer::serve

void* operator new(std::size_t size) { return zerobuffer::serve::allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return zerobuffer::serve::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
