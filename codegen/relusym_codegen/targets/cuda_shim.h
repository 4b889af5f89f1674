// Stands in for CUDA where a C++ compiler runs the text of a kernel on the CPU: its qualifiers, its indices, its
// bit casts, its high halves of products and its float16 conversions (round to nearest, ties to even).
#include <cmath>
#include <cstdint>
#include <cstring>

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct relusym_index {
    unsigned int x;
};
static thread_local relusym_index blockIdx, blockDim, threadIdx, gridDim;

template <typename To, typename From> static inline To relusym_cast(From from)
{
    static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

static inline float __uint_as_float(unsigned int bits) { return relusym_cast<float>(bits); }
static inline float __int_as_float(int bits) { return relusym_cast<float>(bits); }
static inline unsigned int __float_as_uint(float value) { return relusym_cast<unsigned int>(value); }
static inline int __float_as_int(float value) { return relusym_cast<int>(value); }
static inline long long __double_as_longlong(double value) { return relusym_cast<long long>(value); }
static inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
static inline unsigned int __umulhi(unsigned int a, unsigned int b) { return (unsigned long long)a * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline double __longlong_as_double(long long bits) { return relusym_cast<double>(bits); }

static inline float relusym_half_to_float(unsigned short bits)
{
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const float sign = bits & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction ? __uint_as_float(0x7fc00000u) : sign * __uint_as_float(0x7f800000u);
    if (exponent == 0)
        return sign * std::ldexp((float)fraction, -24);
    return sign * std::ldexp((float)(fraction + 1024), exponent - 25);
}

static inline unsigned short relusym_float_to_half(float value)
{
    const unsigned short sign = (unsigned short)((__float_as_uint(value) >> 16) & 0x8000u);
    if (value != value)
        return 0x7e00u;
    const double magnitude = std::fabs((double)value);
    if (magnitude >= 65520.0)
        return (unsigned short)(sign | 0x7c00u);
    // Adding a power of two whose ulp is the result's ulp rounds once, to nearest even.
    int exponent;
    std::frexp(magnitude, &exponent);
    const int place = exponent - 11 < -24 ? -24 : exponent - 11;
    const double rounded = std::nearbyint(std::ldexp(magnitude, -place));
    const double result = std::ldexp(rounded, place);
    if (result < std::ldexp(1.0, -14))
        return (unsigned short)(sign | (unsigned short)std::ldexp(result, 24));
    std::frexp(result, &exponent);
    const int fraction = (int)std::ldexp(result, 11 - exponent) - 1024;
    return (unsigned short)(sign | ((exponent + 14) << 10) | fraction);
}
