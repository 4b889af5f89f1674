// Runs launches of kernels that stand in another file, compiled with AddressSanitizer, and watches every access they
// make. What to run comes in on the standard input as numbers, one case after another; what is wrong goes out.
//
//     case NUMBER
//     buffers COUNT { BYTES MISALIGNMENT ROLE }     roles: 0 read, 1 written, 2 read and then written, 3 scratch
//     launches COUNT { ENTRY BLOCKS COUNT { 0 VALUE | 1 BUFFER OFFSET } }
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" void relusym_start(unsigned int entry, unsigned int blocks, const uint64_t* given);

namespace {

enum Role { READ, WRITTEN, UPDATED, SCRATCH };

struct Buffer {
    unsigned char *raw, *data;
    size_t bytes, before;
    int role;
    std::vector<unsigned char> written;
};

std::vector<Buffer> buffers;
std::string wrong;
bool watching = false;

void complain(const char* what, const Buffer& buffer, long long byte, size_t size)
{
    if (!wrong.empty())
        return;
    char text[200];
    std::snprintf(text, sizeof text, "%s array %td, at byte %lld of %zu (%zu bytes)", what, &buffer - buffers.data(), byte,
                  buffer.bytes, size);
    wrong = text;
}

void watch(uintptr_t address, size_t size, bool writes)
{
    if (!watching)
        return;
    for (Buffer& buffer : buffers) {
        const uintptr_t raw = (uintptr_t)buffer.raw, data = (uintptr_t)buffer.data, end = data + buffer.bytes;
        if (address + size <= raw || address >= end)
            continue;
        if (address < data || address + size > end) {
            complain(writes ? "writes outside of" : "reads outside of", buffer, (long long)(address - data), size);
            return;
        }
        if (buffer.role == SCRATCH)
            return;
        if (writes && buffer.role == READ)
            complain("writes over", buffer, (long long)(address - data), size);
        if (!writes && buffer.role == WRITTEN)
            complain("reads the result", buffer, (long long)(address - data), size);
        for (size_t byte = address - data; byte < address - data + size; ++byte) {
            if (writes && buffer.written[byte]++)
                complain("writes twice to", buffer, (long long)byte, size);
            if (!writes && buffer.written[byte])
                complain("reads what it wrote to", buffer, (long long)byte, size);
        }
        return;
    }
}

uint64_t number()
{
    uint64_t value;
    if (std::scanf("%" SCNu64, &value) != 1)
        std::exit(3);
    return value;
}

uint64_t state;

uint64_t random_bits()
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

// Inputs are bit patterns of all kinds, NaN and subnormals among them.
Buffer allocated(size_t bytes, size_t before, int role)
{
    void* raw = nullptr;
    if (posix_memalign(&raw, 64, before + bytes + (before + bytes == 0)))
        std::exit(3);
    Buffer buffer{(unsigned char*)raw, (unsigned char*)raw + before, bytes, before, role, std::vector<unsigned char>(bytes)};
    std::memset(raw, 0xa5, before);
    for (size_t byte = 0; byte < bytes; ++byte)
        buffer.data[byte] = role == READ || role == UPDATED ? (unsigned char)(random_bits() >> 24) : 0xa5;
    return buffer;
}

void run_case()
{
    wrong.clear();
    state = 0x9e3779b97f4a7c15u;
    buffers.clear();
    for (uint64_t left = number(); left; --left) {
        const size_t bytes = number(), before = number();
        buffers.push_back(allocated(bytes, before, (int)number()));
    }
    for (uint64_t left = number(); left; --left) {
        const unsigned int entry = (unsigned int)number(), blocks = (unsigned int)number();
        std::vector<uint64_t> given(number());
        for (uint64_t& operand : given) {
            const bool pointer = number() == 1;
            operand = number();
            if (pointer)
                operand = (uint64_t)(uintptr_t)buffers[operand].data + number();
        }
        watching = true;
        relusym_start(entry, blocks, given.data());
        watching = false;
    }
    for (Buffer& buffer : buffers) {
        if (buffer.role == WRITTEN || buffer.role == UPDATED)
            for (size_t byte = 0; byte < buffer.bytes; ++byte)
                if (!buffer.written[byte])
                    complain("never writes to", buffer, (long long)byte, 1);
        for (size_t byte = 0; byte < buffer.before; ++byte)
            if (buffer.raw[byte] != 0xa5)
                complain("changes what stands before", buffer, (long long)byte - (long long)buffer.before, 1);
        std::free(buffer.raw);
    }
}

}  // namespace

#define WATCHED(SIZE)                                                                     \
    extern "C" void __real___asan_load##SIZE(uintptr_t);                                  \
    extern "C" void __real___asan_store##SIZE(uintptr_t);                                 \
    extern "C" void __wrap___asan_load##SIZE(uintptr_t address)                           \
    {                                                                                     \
        watch(address, SIZE, false);                                                      \
        __real___asan_load##SIZE(address);                                                \
    }                                                                                     \
    extern "C" void __wrap___asan_store##SIZE(uintptr_t address)                          \
    {                                                                                     \
        watch(address, SIZE, true);                                                       \
        __real___asan_store##SIZE(address);                                               \
    }
WATCHED(1)
WATCHED(2)
WATCHED(4)
WATCHED(8)
WATCHED(16)

extern "C" void __real___asan_loadN(uintptr_t, size_t);
extern "C" void __real___asan_storeN(uintptr_t, size_t);
extern "C" void __wrap___asan_loadN(uintptr_t address, size_t size)
{
    watch(address, size, false);
    __real___asan_loadN(address, size);
}
extern "C" void __wrap___asan_storeN(uintptr_t address, size_t size)
{
    watch(address, size, true);
    __real___asan_storeN(address, size);
}
extern "C" void* __real_memcpy(void*, const void*, size_t);
extern "C" void* __wrap_memcpy(void* to, const void* from, size_t size)
{
    watch((uintptr_t)from, size, false);
    watch((uintptr_t)to, size, true);
    return __real_memcpy(to, from, size);
}

int main()
{
    uint64_t at;
    while (std::scanf(" case %" SCNu64, &at) == 1) {
        std::fprintf(stderr, "case %" PRIu64 "\n", at);  // the last one is where a sanitizer stopped
        run_case();
        if (!wrong.empty())
            std::printf("%" PRIu64 " %s\n", at, wrong.c_str());
    }
    return 0;
}
