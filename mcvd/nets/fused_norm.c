/* Group norm, maps, scale, shift and SiLU in one go, and the way back. Called by fused_norm.py.

   x is (N, C, S): N samples, C channels, S positions; either contiguous, or with the channels last in memory (N, S, C).
   u = (x - mean) * rstd, times gamma plus beta where there are maps; z = u * scale + shift; y = z * sigmoid(z).
   Sums are kept in double. What a task computes does not depend on the number of threads. */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { X_BF16 = 1, SCALE_BF16 = 2, CHANNELS_LAST = 4, SILU = 8, CHUNK = 1024, BLOCK = 64, LANES = 32 };

typedef struct {
    const void *x, *dy, *scale, *shift, *gamma, *beta;
    void *y, *dgamma, *dbeta; /* y is dx on the way back */
    float *dscale, *dshift;   /* (N, C) */
    double *statistics;       /* (N, G, 2): mean and 1 / standard deviation */
    double *sums;             /* (N, blocks, 2, C), channels last alone */
    int64_t batch, channels, positions, groups, flags, samples_per_map;
    int64_t scale_stride, map_stride, map_row; /* between samples; of maps also between positions, channels last */
    double eps;
} Norm;

typedef struct {
    void (*run)(const Norm *, int64_t);
    const Norm *norm;
    int64_t count, next;
} Tasks;

typedef void (*Parallel)(void (*)(void *), void *, unsigned, unsigned);

static void take(void *argument) {
    Tasks *tasks = argument;
    for (;;) {
        int64_t index = __atomic_fetch_add(&tasks->next, 1, __ATOMIC_RELAXED);
        if (index >= tasks->count) return;
        tasks->run(tasks->norm, index);
    }
}

typedef void (*Task)(const Norm *, int64_t);

static void run_all(Task run, const Norm *norm, int64_t count, Parallel parallel, int64_t threads) {
    Tasks tasks = {run, norm, count, 0};
    if (threads > count) threads = count;
    if (threads > 1 && parallel)
        parallel(take, &tasks, (unsigned)threads, 0);
    else
        take(&tasks);
}

static inline float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float element(const void *data, int64_t index, int is_bf16) {
    return is_bf16 ? from_bits((uint32_t)((const uint16_t *)data)[index] << 16) : ((const float *)data)[index];
}

/* So many numbers as float: where they lie, or widened into a buffer. */
static inline const float *widened(const void *data, int64_t from, int64_t count, int is_bf16, float *buffer) {
    if (!is_bf16) return (const float *)data + from;
    const uint16_t *half = (const uint16_t *)data + from;
    for (int64_t i = 0; i < count; i++) buffer[i] = from_bits((uint32_t)half[i] << 16);
    return buffer;
}

static inline float *target(void *data, int64_t from, int is_bf16, float *buffer) {
    return is_bf16 ? buffer : (float *)data + from;
}

/* Rounds what was written into the buffer; to nearest, ties to even, as PyTorch does. */
static inline void narrowed(const float *buffer, void *data, int64_t from, int64_t count, int is_bf16) {
    if (!is_bf16) return;
    uint16_t *half = (uint16_t *)data + from;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = to_bits(buffer[i]), rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        half[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
    }
}

/* exp to about one unit in the last place, within the bounds; NaN stays. Coefficients of Cephes' expf. Beyond the
   bounds 1 + exp does not matter, and what GCC makes of a bound near the largest float divides by it in every lane,
   where denormal results take ten times as long. */
static inline float exponential(float x) {
    x = x < -60.0f ? -60.0f : x;
    x = x > 60.0f ? 60.0f : x;
    float shifted = x * 1.44269504f + 12582912.0f; /* rounds to a whole number, which then is in the last bits */
    float whole = shifted - 12582912.0f;
    float r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return from_bits(to_bits(p) + (to_bits(shifted) << 23));
}

/* SiLU in place. */
static void activate(float *y, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) y[i] = y[i] / (1.0f + exponential(-y[i]));
}

/* From values before SiLU and the gradient after it to the gradient before it, in place. */
static void pass_back(float *z, const float *dy, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        float s = 1.0f / (1.0f + exponential(-z[i]));
        z[i] = dy[i] * (s * (1.0f + z[i] * (1.0f - s)));
    }
}

static inline void keep_statistics(double *statistics, double sum, double squares, double count, double eps) {
    double mean = sum / count, variance = squares / count - mean * mean;
    variance = variance < 0 ? 0 : variance; /* NaN stays */
    statistics[0] = mean;
    statistics[1] = 1 / sqrt(variance + eps);
}

static inline void add_moments(const float *x, int64_t count, double *sum, double *squares) {
    double s = 0, q = 0;
#pragma omp simd reduction(+ : s, q)
    for (int64_t i = 0; i < count; i++) {
        double value = x[i];
        s += value;
        q += value * value;
    }
    *sum += s;
    *squares += q;
}

#define FOR_CHUNKS(start, total, size) \
    for (int64_t start = 0, size; \
         size = (total) - start < CHUNK ? (total) - start : CHUNK, start < (total); start += size)

/* One group of one sample, contiguous. */
static void forward_group(const Norm *k, int64_t index) {
    const int bf16 = k->flags & X_BF16, scale_bf16 = k->flags & SCALE_BF16, active = k->flags & SILU;
    const int64_t n = index / k->groups, width = k->channels / k->groups, first = (index % k->groups) * width;
    const int64_t size = k->positions, base = (n * k->channels + first) * size;
    float wide[CHUNK], out[CHUNK], wide_gamma[CHUNK], wide_beta[CHUNK];
    double sum = 0, squares = 0, *statistics = k->statistics + 2 * index;
    FOR_CHUNKS(start, width * size, count)
        add_moments(widened(k->x, base + start, count, bf16, wide), count, &sum, &squares);
    keep_statistics(statistics, sum, squares, (double)(width * size), k->eps);
    const float mean = (float)statistics[0];
    for (int64_t c = 0; c < width; c++) {
        const int64_t of_scale = n * k->scale_stride + first + c;
        const float scale = k->scale ? element(k->scale, of_scale, scale_bf16) : 1;
        const float shift = k->shift ? element(k->shift, of_scale, scale_bf16) : 0;
        const float rstd = (float)statistics[1], both = (float)(statistics[1] * scale);
        const float rest = (float)((mean - statistics[0]) * statistics[1]); /* of the mean, lost in rounding it */
        const float moved = (float)((mean - statistics[0]) * statistics[1] * scale + shift);
        const int64_t of_map = n / k->samples_per_map * k->map_stride + (first + c) * size;
        FOR_CHUNKS(start, size, count) {
            const int64_t at = base + c * size + start;
            const float *x = widened(k->x, at, count, bf16, wide);
            float *y = target(k->y, at, bf16, out);
            if (k->gamma) {
                const float *gamma = widened(k->gamma, of_map + start, count, bf16, wide_gamma);
                const float *beta = widened(k->beta, of_map + start, count, bf16, wide_beta);
#pragma omp simd
                for (int64_t i = 0; i < count; i++)
                    y[i] = (((x[i] - mean) * rstd + rest) * gamma[i] + beta[i]) * scale + shift;
            } else {
#pragma omp simd
                for (int64_t i = 0; i < count; i++) y[i] = (x[i] - mean) * both + moved;
            }
            if (active) activate(y, count);
            narrowed(out, k->y, at, count, bf16);
        }
    }
}

static inline int64_t num_blocks(const Norm *k) { return (k->positions + BLOCK - 1) / BLOCK; }

/* Channels last: the sums of every channel over one block of positions. */
static void sum_block(const Norm *k, int64_t index) {
    const int bf16 = k->flags & X_BF16;
    const int64_t blocks = num_blocks(k), n = index / blocks, start = index % blocks * BLOCK, channels = k->channels;
    const int64_t rows = k->positions - start < BLOCK ? k->positions - start : BLOCK;
    double *sums = k->sums + index * 2 * channels, *squares = sums + channels;
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t count = channels - c < LANES ? channels - c : LANES;
        double s[LANES] = {0}, q[LANES] = {0};
        float wide[LANES];
        for (int64_t row = 0; row < rows; row++) {
            const float *x = widened(k->x, (n * k->positions + start + row) * channels + c, count, bf16, wide);
            if (count == LANES)
#pragma omp simd
                for (int i = 0; i < LANES; i++) {
                    double value = x[i];
                    s[i] += value;
                    q[i] += value * value;
                }
            else
                for (int64_t i = 0; i < count; i++) {
                    double value = x[i];
                    s[i] += value;
                    q[i] += value * value;
                }
        }
        memcpy(sums + c, s, count * sizeof(double));
        memcpy(squares + c, q, count * sizeof(double));
    }
}

/* Channels last: the statistics of one group of one sample, from the sums of its blocks. */
static void join_blocks(const Norm *k, int64_t index) {
    const int64_t n = index / k->groups, width = k->channels / k->groups, first = index % k->groups * width;
    const int64_t blocks = num_blocks(k);
    double sum = 0, squares = 0;
    for (int64_t block = 0; block < blocks; block++) {
        const double *sums = k->sums + (n * blocks + block) * 2 * k->channels + first;
        for (int64_t c = 0; c < width; c++) sum += sums[c], squares += sums[k->channels + c];
    }
    keep_statistics(k->statistics + 2 * index, sum, squares, (double)(width * k->positions), k->eps);
}

/* Channels last: one block of positions, normalised. */
static void forward_block(const Norm *k, int64_t index) {
    const int bf16 = k->flags & X_BF16, scale_bf16 = k->flags & SCALE_BF16, active = k->flags & SILU;
    const int64_t blocks = num_blocks(k), n = index / blocks, start = index % blocks * BLOCK, channels = k->channels;
    const int64_t rows = k->positions - start < BLOCK ? k->positions - start : BLOCK, width = channels / k->groups;
    for (int64_t from = 0; from < channels; from += CHUNK) {
        const int64_t count = channels - from < CHUNK ? channels - from : CHUNK;
        float mean[CHUNK], rest[CHUNK], rstd[CHUNK], scale[CHUNK], shift[CHUNK];
        float wide[CHUNK], out[CHUNK], wide_gamma[CHUNK], wide_beta[CHUNK];
        for (int64_t c = 0; c < count; c++) {
            const double *statistics = k->statistics + 2 * (n * k->groups + (from + c) / width);
            const int64_t of_scale = n * k->scale_stride + from + c;
            mean[c] = (float)statistics[0];
            scale[c] = k->scale ? element(k->scale, of_scale, scale_bf16) : 1;
            shift[c] = k->shift ? element(k->shift, of_scale, scale_bf16) : 0;
            double lost = (mean[c] - statistics[0]) * statistics[1]; /* of the mean, in rounding it */
            rstd[c] = (float)(k->gamma ? statistics[1] : statistics[1] * scale[c]);
            rest[c] = (float)(k->gamma ? lost : lost * scale[c] + shift[c]);
        }
        for (int64_t row = start; row < start + rows; row++) {
            const int64_t at = (n * k->positions + row) * channels + from;
            const int64_t of_map = n / k->samples_per_map * k->map_stride + row * k->map_row + from;
            const float *x = widened(k->x, at, count, bf16, wide);
            float *y = target(k->y, at, bf16, out);
            if (k->gamma) {
                const float *gamma = widened(k->gamma, of_map, count, bf16, wide_gamma);
                const float *beta = widened(k->beta, of_map, count, bf16, wide_beta);
#pragma omp simd
                for (int64_t i = 0; i < count; i++)
                    y[i] = (((x[i] - mean[i]) * rstd[i] + rest[i]) * gamma[i] + beta[i]) * scale[i] + shift[i];
            } else {
#pragma omp simd
                for (int64_t i = 0; i < count; i++) y[i] = (x[i] - mean[i]) * rstd[i] + rest[i];
            }
            if (active) activate(y, count);
            narrowed(out, k->y, at, count, bf16);
        }
    }
}

/* One group of one sample, contiguous: gradients of x, scale, shift and the maps. */
static void backward_group(const Norm *k, int64_t index) {
    const int bf16 = k->flags & X_BF16, scale_bf16 = k->flags & SCALE_BF16, active = k->flags & SILU;
    const int64_t n = index / k->groups, width = k->channels / k->groups, first = (index % k->groups) * width;
    const int64_t size = k->positions, base = (n * k->channels + first) * size;
    const float mean = (float)k->statistics[2 * index], rstd = (float)k->statistics[2 * index + 1];
    float wide[CHUNK], wide_dy[CHUNK], wide_gamma[CHUNK], wide_beta[CHUNK];
    float before[CHUNK], out[CHUNK], out_gamma[CHUNK], out_beta[CHUNK];
    double total = 0, along = 0; /* of the gradient of the normalised value, and of that times the value */
    for (int pass = 0; pass < 2; pass++) {
        const float mean_total = (float)(total / (width * size)), mean_along = (float)(along / (width * size));
        for (int64_t c = 0; c < width; c++) {
            const int64_t of_scale = n * k->scale_stride + first + c;
            const float scale = k->scale ? element(k->scale, of_scale, scale_bf16) : 1;
            const float shift = k->shift ? element(k->shift, of_scale, scale_bf16) : 0;
            double of_shift = 0, of_scale_sum = 0;
            FOR_CHUNKS(start, size, count) {
                const int64_t at = base + c * size + start;
                const float *x = widened(k->x, at, count, bf16, wide);
                const float *dy = widened(k->dy, at, count, bf16, wide_dy);
                const int64_t of_map = n * k->map_stride + (first + c) * size + start;
                const float *gamma = k->gamma ? widened(k->gamma, of_map, count, bf16, wide_gamma) : 0;
                const float *beta = k->gamma ? widened(k->beta, of_map, count, bf16, wide_beta) : 0;
                float a = 0, b = 0, t = 0, l = 0;
                if (active) {
                    if (gamma)
#pragma omp simd
                        for (int64_t i = 0; i < count; i++)
                            before[i] = ((x[i] - mean) * rstd * gamma[i] + beta[i]) * scale + shift;
                    else
#pragma omp simd
                        for (int64_t i = 0; i < count; i++) before[i] = (x[i] - mean) * rstd * scale + shift;
                    pass_back(before, dy, count);
                }
                const float *dz = active ? before : dy;
                if (pass == 0 && gamma) {
#pragma omp simd reduction(+ : a, b, t, l)
                    for (int64_t i = 0; i < count; i++) {
                        float normal = (x[i] - mean) * rstd, d = dz[i] * scale * gamma[i];
                        a += dz[i], b += dz[i] * (normal * gamma[i] + beta[i]), t += d, l += d * normal;
                    }
                } else if (pass == 0) {
#pragma omp simd reduction(+ : a, b)
                    for (int64_t i = 0; i < count; i++) a += dz[i], b += dz[i] * ((x[i] - mean) * rstd);
                    t = a * scale, l = b * scale;
                } else {
                    float *dx = target(k->y, at, bf16, out);
                    if (gamma) {
                        float *dgamma = target(k->dgamma, at, bf16, out_gamma);
                        float *dbeta = target(k->dbeta, at, bf16, out_beta);
#pragma omp simd
                        for (int64_t i = 0; i < count; i++) {
                            float normal = (x[i] - mean) * rstd, du = scale * dz[i];
                            dgamma[i] = du * normal;
                            dbeta[i] = du;
                            dx[i] = rstd * (du * gamma[i] - mean_total - normal * mean_along);
                        }
                        narrowed(out_gamma, k->dgamma, at, count, bf16);
                        narrowed(out_beta, k->dbeta, at, count, bf16);
                    } else {
#pragma omp simd
                        for (int64_t i = 0; i < count; i++)
                            dx[i] = rstd * (scale * dz[i] - mean_total - (x[i] - mean) * rstd * mean_along);
                    }
                    narrowed(out, k->y, at, count, bf16);
                }
                of_shift += a, of_scale_sum += b, total += t, along += l;
            }
            if (pass == 0) {
                k->dshift[n * k->channels + first + c] = (float)of_shift;
                k->dscale[n * k->channels + first + c] = (float)of_scale_sum;
            }
        }
    }
}

void mcvd_norm_forward(
    const void *x, void *y, const void *scale, const void *shift, const void *gamma, const void *beta,
    double *statistics, double *sums, int64_t batch, int64_t channels, int64_t positions, int64_t groups,
    int64_t scale_stride, int64_t map_stride, int64_t map_row, int64_t samples_per_map, double eps, int64_t flags, Parallel parallel,
    int64_t threads
) {
    Norm norm = {
        .x = x, .y = y, .scale = scale, .shift = shift, .gamma = gamma, .beta = beta, .statistics = statistics,
        .sums = sums, .batch = batch, .channels = channels, .positions = positions, .groups = groups,
        .scale_stride = scale_stride, .map_stride = map_stride, .map_row = map_row, .samples_per_map = samples_per_map,
        .flags = flags, .eps = eps,
    };
    if (!(flags & CHANNELS_LAST)) {
        run_all(forward_group, &norm, batch * groups, parallel, threads);
        return;
    }
    const int64_t blocks = num_blocks(&norm);
    if (threads > 1) {
        run_all(sum_block, &norm, batch * blocks, parallel, threads);
        run_all(join_blocks, &norm, batch * groups, parallel, 1);
        run_all(forward_block, &norm, batch * blocks, parallel, threads);
        return;
    }
    for (int64_t n = 0; n < batch; n++) { /* a sample that was read just now is still in the cache */
        for (int64_t i = 0; i < blocks; i++) sum_block(&norm, n * blocks + i);
        for (int64_t i = 0; i < groups; i++) join_blocks(&norm, n * groups + i);
        for (int64_t i = 0; i < blocks; i++) forward_block(&norm, n * blocks + i);
    }
}

void mcvd_norm_backward(
    const void *x, const void *dy, void *dx, const void *scale, const void *shift, float *dscale, float *dshift,
    const void *gamma, const void *beta, void *dgamma, void *dbeta, double *statistics, int64_t batch, int64_t channels,
    int64_t positions, int64_t groups, int64_t scale_stride, int64_t map_stride,
    int64_t flags, Parallel parallel, int64_t threads
) {
    Norm norm = {
        .x = x, .dy = dy, .y = dx, .scale = scale, .shift = shift, .dscale = dscale, .dshift = dshift, .gamma = gamma,
        .beta = beta, .dgamma = dgamma, .dbeta = dbeta, .statistics = statistics, .batch = batch, .channels = channels,
        .positions = positions, .groups = groups, .scale_stride = scale_stride, .map_stride = map_stride,
        .samples_per_map = 1, .flags = flags,
    };
    run_all(backward_group, &norm, batch * groups, parallel, threads);
}
