#include "serve/allocation_count.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace zerobuffer::serve {

namespace {

thread_local std::uint64_t allocations = 0;

// Nothing where there is no memory.
void* try_to_allocate(std::size_t size, std::size_t alignment) noexcept {
    ++allocations;
    const std::size_t some = std::max<std::size_t>(size, 1);
    if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(some);
    // A multiple of the alignment is asked for.
    return std::aligned_alloc(alignment, (some + alignment - 1) / alignment * alignment);
}

void* allocate(std::size_t size, std::size_t alignment) {
    if (void* memory = try_to_allocate(size, alignment)) return memory;
    throw std::bad_alloc();
}

constexpr std::size_t kDefault = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

constexpr std::size_t number(std::align_val_t alignment) {
    return static_cast<std::size_t>(alignment);
}

}  // namespace

std::uint64_t AllocationCount::now() noexcept { return allocations; }

}  // namespace zerobuffer::serve

// All forms: a sanitizer brings its own of those that are missing, and they do not fit together.
using namespace zerobuffer::serve;
using std::align_val_t, std::nothrow_t, std::size_t;

void* operator new(size_t size) { return allocate(size, kDefault); }
void* operator new[](size_t size) { return allocate(size, kDefault); }
void* operator new(size_t size, align_val_t at) { return allocate(size, number(at)); }
void* operator new[](size_t size, align_val_t at) { return allocate(size, number(at)); }

void* operator new(size_t size, const nothrow_t&) noexcept {
    return try_to_allocate(size, kDefault);
}
void* operator new[](size_t size, const nothrow_t&) noexcept {
    return try_to_allocate(size, kDefault);
}
void* operator new(size_t size, align_val_t at, const nothrow_t&) noexcept {
    return try_to_allocate(size, number(at));
}
void* operator new[](size_t size, align_val_t at, const nothrow_t&) noexcept {
    return try_to_allocate(size, number(at));
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, align_val_t, const nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, align_val_t, const nothrow_t&) noexcept { std::free(memory); }
